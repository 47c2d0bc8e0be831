"""Metrics of one model on every split: errors, skill, share of the way to the noise floor, maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from convoy.climate.data.domains import Domain, Fields
from convoy.climate.data.lapse import at_height, daily_lapse
from convoy.climate.data.regridding import area_mean
from convoy.climate.downscaling.evaluation.daily_io import Daily, Table
from convoy.climate.downscaling.evaluation.skill import measures, patterns
from convoy.climate.downscaling.evaluation.skill.judged import (
    Answer,
    Predict,
    Splits,
    answers,
    daily_errors,
    judged,
    truth,
)
from convoy.core import statistics
from convoy.core.params import Section

TODAY = "test"
WARMER = "warmer_"


class EvaluateParams(Section):
    """Params of the confidence intervals."""

    resamples: int = Field(
        2000, ge=100, le=100000, description="bootstrap samples of 30-day blocks and of trainings"
    )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """metrics: by split, plain values; daily: errors by split; maps: arrays of the test days to draw."""

    metrics: dict[str, Any]
    daily: dict[str, Daily]
    maps: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Measured:
    """Results of one model: figures by split (None where it cannot be applied), daily errors, maps."""

    figures: dict[str, dict[str, Any] | None]
    daily: dict[str, Daily]
    maps: dict[str, npt.NDArray[Any]]


def measure(model: str, trainings: Sequence[Predict], splits: Splits, target: str) -> Measured:
    """Figures of a model on all splits given (test and, for a synthetic climate, three more).

    trainings: the predictors of each training of the model, with one seed each; the first is the one whose
    weights are published, and whose maps are drawn. Figures are means over trainings. `coverage` is the share
    of the truth's values that the model itself predicts, see `judged.answers`. Raises ConvoyError where a
    prediction is missing that the model should make.
    """
    tested = {split: judged(split, domains) for split, domains in splits.items()}
    maps: dict[str, npt.NDArray[Any]] = {}
    measured, errors = [], []
    # One training at a time: its fields may fill the memory.
    for predict in trainings:
        found = {split: answers(model, predict, split, domains, target) for split, domains in tested.items()}
        maps = maps or _maps(found[TODAY], target)
        measured.append({split: _measures(split, found, target) for split in tested})
        errors.append({split: daily_errors(parts) for split, parts in found.items() if parts is not None})
    own = {split: together([one[split] for one in errors]) for split in errors[0]}
    figures = {
        split: _mean([one[split] for one in measured]) | {"rmse": own[split].rmse} if split in own else None
        for split in tested
    }
    return Measured(figures, own, maps)


def score(
    measured: Measured, noise_floor: float | None, baselines_table: Table, params: EvaluateParams
) -> dict[str, Any]:
    """Metrics by split: the figures, and the skill relative to the best baseline, with intervals.

    95% confidence intervals are from a bootstrap of blocks of 30 days and, where there are several,
    trainings. Every split has the same keys, null where the model cannot be applied. The noise floor applies
    to the synthetic climate with perfect inputs.
    """
    metrics: dict[str, Any] = dict.fromkeys(measured.figures)
    for split, figures in measured.figures.items():
        if figures is not None:
            best = _best_baseline(baselines_table, split)
            of_best = baselines_table[best][split]
            metrics[split] = figures | _relative(measured.daily[split], best, of_best, noise_floor, params)
    keys = list(next(iter(value for value in metrics.values() if value is not None), {}))
    metrics = {key: dict.fromkeys(keys) if value is None else value for key, value in metrics.items()}
    metrics["noise_floor"] = None if noise_floor is None else {"rmse": noise_floor}
    return statistics.rounded(metrics)


def evaluate(
    model: str, trainings: Sequence[Predict], splits: Splits, target: str, noise_floor: float | None,
    baselines_table: Table, params: EvaluateParams,
) -> Evaluation:  # fmt: skip
    """Measure a model and score it: see `measure` and `score`."""
    measured = measure(model, trainings, splits, target)
    metrics = score(measured, noise_floor, baselines_table, params)
    return Evaluation(metrics, measured.daily, measured.maps)


def together(trainings: Sequence[Daily]) -> Daily:
    """The daily errors of several trainings on the same days."""
    first, *others = trainings
    return Daily(first.domain, first.ordinal, first.squared_error, tuple(one.squared_error for one in others))


def _measures(split: str, found: Mapping[str, list[Answer] | None], target: str) -> dict[str, Any] | None:
    """The measures of one training on a split; for several domains their mean, weighted by days.

    Seasons and elevation bands are over the days of all domains, as the RMSE is. There are no bands where no
    domain has known elevations.
    """
    parts = found[split]
    if parts is None:
        return None
    counted = [answer for answer in parts if answer.days]
    return {
        **_mean([_measured(answer, target) for answer in counted], [answer.days for answer in counted]),
        "coverage": sum(answer.predicted for answer in parts) / sum(answer.values for answer in parts),
        "change_error": _change_error(split, counted, found[TODAY]),
        "by_season": _by_season(counted),
        "by_elevation": _by_elevation(counted),
    }


def _measured(answer: Answer, target: str) -> dict[str, Any]:
    domain = answer.domain
    return measures.measures(
        answer.field, answer.truth, domain.fine, domain.days, sd=answer.spread,
        means=area_mean(domain.fine, domain.coarse), coarse=domain.inputs[target], kelvin=target == "tasmax",
    )  # fmt: skip


def _mean(found: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """The weighted mean of figures, or of dictionaries or lists of them; None where one is None."""
    first, *others = found
    if not others:
        return first
    if isinstance(first, dict):
        return {key: _mean([one[key] for one in found], weights) for key in first}
    if isinstance(first, list):
        return [_mean(parts, weights) for parts in zip(*found, strict=True)]
    return None if any(one is None for one in found) else float(np.average(found, weights=weights))


def _best_baseline(table: Table, split: str) -> str:
    return min((name for name in table if split in table[name]), key=lambda name: table[name][split].rmse)


def _relative(
    own: Daily, best: str, baseline: Daily, noise_floor: float | None, params: EvaluateParams
) -> dict[str, Any]:
    """Interval of the RMSE; skill and share of the way to the noise floor with their intervals."""
    blocks = statistics.blocks(own.ordinal, own.domain)

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    errors = own.trainings, baseline.trainings
    found: dict[str, Any] = {
        "best_baseline": best,
        "best_baseline_rmse": baseline.rmse,
        "skill_vs_best_baseline": float(statistics.skill(own.rmse, baseline.rmse)),
        "noise_floor_share": None,
    }
    intervals = {
        "rmse": statistics.rmse_interval(own.trainings, blocks, params.resamples, rng()),
        "skill_vs_best_baseline": statistics.skill_interval(*errors, blocks, params.resamples, rng()),
        "noise_floor_share": None,
    }
    if noise_floor is not None:
        share = float(statistics.noise_floor_share(own.rmse, baseline.rmse, noise_floor))
        found["noise_floor_share"] = share if np.isfinite(share) else None
        intervals["noise_floor_share"] = statistics.noise_floor_share_interval(
            *errors, noise_floor, blocks, params.resamples, rng()
        )
    for name, interval in intervals.items():
        found[f"{name}_low"], found[f"{name}_high"] = interval or (None, None)
    return found


def _change_error(split: str, future: Sequence[Answer], today: Sequence[Answer] | None) -> float | None:
    """Error of the climate change signal between a warmer climate and the test days on the same terrain."""
    if not split.startswith(WARMER) or today is None:
        return None
    at = {answer.domain.place: answer for answer in reversed(today)}
    if any(answer.domain.place not in at for answer in future):
        return None
    found = []
    for answer in future:
        before = at[answer.domain.place]
        fields = answer.field, before.field, answer.truth, before.truth
        found.append(measures.change_error(*fields, answer.domain.fine.areas))
    change: float | None = _mean(found, [answer.days for answer in future])
    return change


def _by_season(found: Sequence[Answer]) -> dict[str, Any]:
    parts = [(answer.field, answer.truth, answer.domain.fine.areas) for answer in found]
    squared, error = (
        np.concatenate([measure(*part) for part in parts])
        for measure in (measures.daily_squared_error, measures.daily_error)
    )
    return measures.by_season(squared, error, np.concatenate([answer.domain.days.month for answer in found]))


def _by_elevation(found: Sequence[Answer]) -> list[dict[str, float | None]] | None:
    heights = [answer.domain.static["elevation"] for answer in found]
    if not any(map(measures.has_relief, heights)):
        return None
    return measures.by_elevation(
        (answer.field, answer.truth, answer.domain.fine, height_m)
        for answer, height_m in zip(found, heights, strict=True)
    )


def _maps(parts: Sequence[Answer] | None, target: str) -> dict[str, npt.NDArray[Any]]:
    """Bias and RMSE by cell, spectra, and the fields of three days of the test split.

    They are of its first domain with a valid day.
    """
    assert parts is not None
    shown = next(answer for answer in parts if answer.days)
    domain, field, true = shown.domain, shown.field, shown.truth
    error = field - true
    days = telling_days(domain, target)
    # Predictions without a truth, such as over the sea, must not add power to the spectrum.
    wavenumber, power = patterns.spectrum(np.where(np.isnan(true), true, field))
    return {
        "bias": _over_days(error), "rmse": np.sqrt(_over_days(error**2)), "days": field[days],
        "truth_days": true[days], "coarse_days": domain.inputs[target][days],
        "ordinal": domain.days.ordinal[days], "wavenumber": wavenumber, "power": power,
        "truth_power": patterns.spectrum(true)[1], "lat": domain.fine.lat.centres,
        "lon": domain.fine.lon.centres, "elevation": domain.static["elevation"],
    }  # fmt: skip


def _over_days(field: Fields) -> Fields:
    """Mean over the days without missing values, (H, W)."""
    count = (~np.isnan(field)).sum(axis=0)
    total = np.nansum(field, axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def telling_days(domain: Domain, target: str) -> npt.NDArray[np.int64]:
    """Indices of the hottest day, the coldest, and the one on which elevation explains least of the truth.

    Only days with a truth and a coarse field are considered. Where elevations are not known, the last is the
    day that is least like its coarse field.
    """
    missing = [np.isnan(field).all(axis=(1, 2)) for field in (truth(domain), domain.inputs[target])]
    known = np.flatnonzero(~(missing[0] | missing[1]))
    days = domain.at(known)
    true = truth(days)
    level = np.nanmean(true, axis=(1, 2))
    unexplained = np.nanstd(true - at_height(days, target, daily_lapse(days, target)), axis=(1, 2))
    return known[[level.argmax(), level.argmin(), unexplained.argmax()]]
