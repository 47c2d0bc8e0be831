"""The same training once per seed."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.core.training_params import TrainingParams
from convoy.training.checkpoints import Checkpoint
from convoy.training.loop import OnEpoch

Tensors: TypeAlias = dict[str, npt.NDArray[np.generic]]


class Trained(NamedTuple):
    """Result of one training: entries of config.json, tensors by `state_dict` name, learning curve as CSV."""

    config: dict[str, Any]
    tensors: Tensors
    curve: str


class TrainedSeeds(NamedTuple):
    """Results of one training per seed: tensors by seed; `config` and `curve` are those of the first seed.

    The config holds the params of the training too.
    """

    config: dict[str, Any]
    tensors: dict[int, Tensors]
    curve: str


def train_seeds(
    train: Callable[[int, Checkpoint | None, OnEpoch], Trained],
    params: TrainingParams,
    seeds: Iterable[int],
    checkpoint: Callable[[int], Checkpoint] | None = None,
    on_epoch: Callable[[int, dict[str, float], bool], None] | None = None,
) -> TrainedSeeds:
    """Call `train(seed, checkpoint, on_epoch)` for each of the seeds, at least one, and collect the results.

    `checkpoint` returns a seed's checkpoint. `on_epoch` is called with the seed, a row of the learning curve
    and whether the row was read from a checkpoint.
    """
    results = {}
    for seed in seeds:
        results[seed] = train(
            seed,
            None if checkpoint is None else checkpoint(seed),
            _ignore if on_epoch is None else partial(on_epoch, seed),
        )
    first = next(iter(results.values()))
    config = {**first.config, "training": params.model_dump(mode="json")}
    return TrainedSeeds(config, {seed: one.tensors for seed, one in results.items()}, first.curve)


def _ignore(_row: dict[str, float], _resumed: bool) -> None:
    """For trainings without a progress callback."""
