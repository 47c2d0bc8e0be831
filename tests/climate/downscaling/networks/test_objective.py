"""What a downscaling network is fitted for, against the definitions, on cells of which some have no truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.downscaling.networks.objective import FieldError
from tests.support.climates import FINE, first, noisy, world

PLACE = first(world(noisy), 2)  # of which only the fine grid counts


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs (3, 2, 16, 20), mean and deviation, and targets of which a tenth is missing."""
    draw = torch.Generator().manual_seed(seed)
    outputs = torch.randn(3, 2, *FINE.shape, generator=draw)
    outputs[:, 1] = outputs[:, 1].exp()
    targets = torch.randn(3, *FINE.shape, generator=draw)
    targets[torch.rand(3, *FINE.shape, generator=draw) < 0.1] = torch.nan
    return outputs, targets


def test_the_loss_is_the_area_weighted_squared_error_of_cells_that_have_a_truth() -> None:
    outputs, targets = drawn()
    goal = FieldError(PLACE.fine.areas, spread=False)
    total = weight = 0.0
    for day, row, column in np.argwhere(~np.isnan(targets.numpy())):
        area = np.diff(np.sin(np.radians(FINE.lat.bounds[row])))[0]
        total += area * float(outputs[day, 0, row, column] - targets[day, row, column]) ** 2
        weight += area
    assert float(goal.loss(outputs, targets)) == pytest.approx(total / weight, rel=1e-5)
    assert float(goal.validate(outputs, targets)[1]) == pytest.approx(np.sqrt(total / weight), rel=1e-5)
    assert goal.figure == "rmse"


def test_the_crps_is_the_integral_that_defines_it() -> None:
    outputs, targets = drawn()
    outputs, targets = outputs[:1, :, :3, :2], targets[:1, :3, :2]
    targets[0, 1, 1] = torch.nan
    total = weight = 0.0
    for row, column in np.argwhere(~np.isnan(targets[0].numpy())):
        mean, deviation = (float(value) for value in outputs[0, :, row, column])
        truth = float(targets[0, row, column])
        law = norm(mean, deviation)
        below, _ = quad(lambda x, law=law: law.cdf(x) ** 2, -40, truth)
        above, _ = quad(lambda x, law=law: law.sf(x) ** 2, truth, 40)
        area = np.diff(np.sin(np.radians(FINE.lat.bounds[row])))[0]
        total, weight = total + area * (below + above), weight + area
    small = replace(PLACE, fine=Grid(Axis.regular(44.0, 0.25, 3), Axis.regular(6.0, 0.25, 2)))
    goal = FieldError(small.fine.areas, spread=True)
    assert float(goal.loss(outputs, targets)) == pytest.approx(total / weight, rel=1e-4)
    # The figure that a person reads is still the RMSE of the mean.
    plain = FieldError(small.fine.areas, spread=False).validate(outputs, targets)
    loss, figure = goal.validate(outputs, targets)
    torch.testing.assert_close(figure, plain[1])
    torch.testing.assert_close(loss, goal.loss(outputs, targets))


@pytest.mark.parametrize("spread", ["none", "normal"])
def test_a_missing_cell_changes_neither_the_loss_nor_the_gradient(spread) -> None:
    outputs, targets = drawn()
    goal = FieldError(PLACE.fine.areas, spread == "normal")
    missing = torch.isnan(targets)
    elsewhere = outputs.clone()
    elsewhere[:, 0][missing] += 1000
    torch.testing.assert_close(goal.loss(elsewhere, targets), goal.loss(outputs, targets))
    elsewhere.requires_grad_()
    goal.loss(elsewhere, targets).backward()
    assert elsewhere.grad is not None
    assert (elsewhere.grad.transpose(0, 1)[:, missing] == 0).all()
    assert (elsewhere.grad[:, 0][~missing] != 0).all()


@pytest.mark.parametrize("spread", ["none", "normal"])
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_an_output_that_is_no_number_is_no_small_error(spread, broken) -> None:
    outputs, targets = drawn()
    targets[0, 0, 0] = 1.0
    outputs[0, 0, 0, 0] = broken
    goal = FieldError(PLACE.fine.areas, spread == "normal")
    assert not torch.isfinite(goal.loss(outputs, targets))
    assert not torch.isfinite(torch.stack(goal.validate(outputs, targets))).any()
