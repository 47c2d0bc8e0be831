"""Models with known errors, scored by convoy's own evaluation on worlds of a few cells."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convoy.climate.data.domains import Days, Domain
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams, evaluate
from convoy.climate.downscaling.models.specs import MODELS
from tests.support.climates import first, noisy, world

PARAMS = EvaluateParams(resamples=400)
TEST_DAYS = Days.years(2004, 1)
FACTS = {"target": "tasmax", "source": "made up", "factor": 4, "perfect": True}
# What a model errs by on a domain: a number or (T, 1, 1); None where it cannot go.
Error = Callable[[Domain], Any]


def splits(days: int = 365) -> dict[str, list[Domain]]:
    """Test days at home, unseen terrain, and two warmer worlds with home's weather."""

    def warmed(by: float) -> Callable[[Days, np.ndarray], np.ndarray]:
        return lambda of, z: noisy(of, z) + by

    home = world(noisy, TEST_DAYS)
    found = {
        "test": [home],
        "unseen_terrain": [world(noisy, TEST_DAYS, name="unseen", seed=1)],
        "warmer_2k": [world(warmed(2.0), TEST_DAYS, name="warmer_2k", place="home")],
        "warmer_4k": [world(warmed(4.0), TEST_DAYS, name="warmer_4k", place="home")],
    }
    return {split: [first(domain, days) for domain in domains] for split, domains in found.items()}


def always(by: float) -> Error:
    """The same error everywhere: the RMSE is its size, and no resample of days differs."""
    return lambda _domain: by


def at_home(by: float) -> Error:
    """The same, from a model that knows its own terrain alone."""
    return lambda domain: by if domain.place == "home" else None


def in_turns(low: float, high: float) -> Error:
    """One error in even blocks of 30 days, another in odd ones."""

    def error(domain: Domain) -> np.ndarray:
        odd = np.arange(len(domain.days)) // 30 % 2 == 1
        return np.where(odd, high, low)[:, None, None]

    return error


class Rated:
    """metrics, maps and daily errors by model; `daily` holds baselines that were not chosen too."""

    def __init__(
        self, errors: Mapping[str, Error | list[Error]], parts: Mapping[str, list[Domain]],
        noise_floor: float | None = 0.2, chosen: list[str] | None = None,
    ) -> None:  # fmt: skip
        """`errors`: of a model, or of each of its trainings."""
        trainings = {name: error if isinstance(error, list) else [error] for name, error in errors.items()}
        self.daily = {
            name: {
                split: daily([error(domains[0]) for error in of_model], domains[0])
                for split, domains in parts.items()
                if of_model[0](domains[0]) is not None
            }
            for name, of_model in trainings.items()
        }
        baselines = {name: days for name, days in self.daily.items() if not MODELS[name].is_network}
        self.metrics: dict[str, Any] = {}
        self.maps: dict[str, Any] = {}
        for name in chosen or errors:
            said = [predictor(error) for error in trainings[name]]
            found = evaluate(name, said, parts, "tasmax", noise_floor, baselines, PARAMS)
            self.metrics[name], self.maps[name] = found.metrics, found.maps


def predictor(error: Error) -> Callable[[Domain], Any]:
    def predict(domain: Domain) -> Any:
        by = error(domain)
        return None if by is None else ((domain.target + by).astype(np.float32), None)

    return predict


def daily(trainings: list[Any], domain: Domain) -> Daily:
    """Daily errors by hand: those of a training that are the same in all cells of a day are squared."""
    shape = len(domain.days), 1, 1
    first, *others = (
        np.broadcast_to(np.square(by, dtype=np.float64), shape)[:, 0, 0].copy() for by in trainings
    )
    return Daily(np.array([domain.name] * len(domain.days)), domain.days.ordinal, first, tuple(others))
