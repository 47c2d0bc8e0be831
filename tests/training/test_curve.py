"""The learning curve as people and files get it, and the loop on data and objectives of other kinds."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convoy.core.training_params import TrainingParams
from convoy.training.batches import Batch, Plan, equal_shapes_plan
from convoy.training.curve import Epoch, Fitted
from convoy.training.loop import fit, predict

CURVE = (
    Epoch(1, 1.23456789, 0.000123456789, 0.5, 3e-3),
    Epoch(12, 1 / 3, 123456.789, 2 / 3, 3e-7),
)


def test_a_row_has_the_figure_s_name_and_six_digits() -> None:
    assert CURVE[0].columns("rmse") == {
        "epoch": 1, "train_loss": 1.23457, "validation_loss": 0.000123457, "validation_rmse": 0.5,
        "learning_rate": 0.003,
    }  # fmt: skip
    assert isinstance(CURVE[0].columns("rmse")["epoch"], int)


def test_the_curve_in_csv_holds_what_the_rows_tell() -> None:
    text = Fitted(CURVE, CURVE[0], "rmse").csv()
    assert text == (
        "epoch,train_loss,validation_loss,validation_rmse,learning_rate\n"
        "1,1.23457,0.000123457,0.5,0.003\n"
        "12,0.333333,123457,0.666667,3e-07\n"
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    for row, epoch in zip(rows, CURVE, strict=True):
        assert {name: float(value) for name, value in row.items()} == epoch.columns("rmse")


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


class Products:
    """Two numbers whose difference is to be told: inputs that are no single tensor, targets of a field."""

    def __init__(self, count: int, seed: int) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.pair = Pair(*torch.randn(2, count, 3, generator=draw))

    def __len__(self) -> int:
        return len(self.pair.left)

    def to(self, _device: torch.device) -> "Products":
        return self

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        return equal_shapes_plan(len(self), batch_size, random, torch.device("cpu"))

    def draw(self, batch: Batch, training: bool) -> tuple[Any, Tensor]:
        pair = Pair(*(part[batch.items] for part in self.pair))
        return pair, pair.left - 2 * pair.right

    def names(self, items: Sequence[int]) -> list[str]:
        return [f"pair {item}" for item in items]


class Difference(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(2))

    def forward(self, pair: Pair) -> Tensor:
        return self.weights[0] * pair.left + self.weights[1] * pair.right


class SquaredError:
    """The squared error; the figure is the largest error."""

    figure = "worst"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs - targets) ** 2).mean()

    def validate(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.loss(outputs, targets), (outputs - targets).abs().max()


def test_the_same_loop_fits_fields_by_another_objective() -> None:
    params = TrainingParams(
        recipe="adam", learning_rate=0.1, epochs=30, patience=30, batch_size=25, threads=1, device="cpu",
        precision="float32",
    )  # fmt: skip
    network = Difference()
    fitted = fit(network, Products(100, 0), Products(40, 1), SquaredError(), params, 0, "pairs")
    np.testing.assert_allclose(network.weights.detach(), [1, -2], atol=0.02)
    outputs = predict(network, Products(40, 1), params)
    error = outputs - Products(40, 1).draw(Batch(torch.arange(40), (40,)), False)[1]
    assert fitted.best.validation_figure == pytest.approx(float(error.abs().max()), rel=1e-4)
    assert fitted.best.validation_loss == pytest.approx(float((error**2).mean()), rel=1e-4)
