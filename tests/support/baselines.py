"""Downscaling baselines by name, fitted and applied without a folder of grids."""

from collections.abc import Mapping, Sequence

import numpy as np

from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import measure
from convoy.climate.downscaling.models.params import BaselineParams
from convoy.climate.downscaling.models.specs import MODELS

Tensors = dict[str, np.ndarray]


def fit(name: str, training: list[Domain]) -> tuple[Tensors, str | None]:
    """Tensors, and the place that they are bound to."""
    found = MODELS[name].fit(name, BaselineParams(), training, [], "tasmax", (0,), None, None)
    return found.tensors[0], found.config["place"]


def predict(name: str, tensors: Tensors, domain: Domain) -> np.ndarray:
    field, spread = MODELS[name].predict({"target": "tasmax"}, tensors)(domain)
    assert spread is None
    return field


def daily(name: str, splits: Mapping[str, Sequence[Domain]], target: str) -> dict[str, Daily]:
    """Daily errors on every split but `train`, which the baseline is fitted on."""
    fitted = MODELS[name].fit(name, BaselineParams(), splits["train"], [], target, (0,), None, None)
    predictor = MODELS[name].predict({"target": target}, fitted.tensors[0])
    place = fitted.config["place"]
    tested = {split: domains for split, domains in splits.items() if split != "train"}
    model = [lambda domain: predictor(domain) if place in (None, domain.place) else None]
    return measure(name, model, tested, target).daily
