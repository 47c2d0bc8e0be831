"""One training per seed: what each is called with, and what is collected."""

from pathlib import Path

import numpy as np

from convoy.core.training_params import TrainingParams
from convoy.training.checkpoints import Checkpoint
from convoy.training.loop import OnEpoch
from convoy.training.seeds import Trained, train_seeds


def train(seed: int, checkpoint: Checkpoint | None, on_epoch: OnEpoch) -> Trained:
    on_epoch({"epoch": 1}, checkpoint is not None)
    name = None if checkpoint is None else checkpoint.name
    return Trained({"first": seed, "checkpoint": name}, {"w": np.full(2, seed)}, f"epoch\n{seed}\n")


def test_tensors_of_every_seed_and_the_curve_of_the_first() -> None:
    params = TrainingParams(epochs=2)
    found = train_seeds(train, params, (5, 3))
    assert found.config == {"first": 5, "checkpoint": None, "training": params.model_dump(mode="json")}
    assert found.curve == "epoch\n5\n"
    assert list(found.tensors) == [5, 3]
    assert {seed: tensors["w"].tolist() for seed, tensors in found.tensors.items()} == {5: [5, 5], 3: [3, 3]}


def test_each_seed_has_its_checkpoint_and_reports_its_rows() -> None:
    rows: list[tuple[int, dict[str, float], bool]] = []
    found = train_seeds(
        train, TrainingParams(), (0, 2), lambda seed: Checkpoint(Path("none"), f"bow-{seed}", "key"),
        lambda *row: rows.append(row),
    )  # fmt: skip
    assert found.config["checkpoint"] == "bow-0"
    assert rows == [(0, {"epoch": 1}, True), (2, {"epoch": 1}, True)]
