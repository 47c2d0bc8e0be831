"""One model on every split: its measures, its skill against the best rival and the floor, its maps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from convoy import statistics
from convoy.climate.downscaling import rivals
from convoy.climate.lapse import at_height, daily_lapse
from convoy.climate.regridding import area_mean
from convoy.climate.skill import measures as skill
from convoy.climate.skill import patterns as skill_patterns
from convoy.params import Section
from convoy.storage.daily import Daily
from convoy.storage.grids import Domain, Fields

Prediction: TypeAlias = tuple[Fields, Fields | None]
Predict: TypeAlias = Callable[[Domain], Prediction | None]
TODAY = "test"
WARMER = "warmer_"
DAYS_DRAWN = ("hottest", "coldest", "most shaped by the ground")


class EvaluateParams(Section):
    """How sure the intervals are to be."""

    resamples: int = Field(2000, ge=100, le=100000, description="bootstrap samples of 30-day blocks")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """metrics: by split, plain values; daily: errors by split; maps: arrays of the test days to draw."""

    metrics: dict[str, Any]
    daily: dict[str, Daily]
    maps: dict[str, npt.NDArray[Any]]


def rival_daily(name: str, splits: Mapping[str, Sequence[Domain]], target: str) -> dict[str, Daily]:
    """Fit one rival; its daily errors on every split but training that it can go to."""
    tensors, place = rivals.fit(name, splits["train"], target)

    def predict(domain: Domain) -> Prediction | None:
        field = rivals.predict(name, tensors, place, domain, target)
        return None if field is None else (field, None)

    found = {split: _predicted(predict, domains) for split, domains in splits.items() if split != "train"}
    return {split: _daily(splits[split], fields) for split, fields in found.items() if fields is not None}


def evaluate(
    predict: Predict, splits: Mapping[str, Sequence[Domain]], target: str, floor: float | None,
    rivals_table: Mapping[str, Mapping[str, Daily]], params: EvaluateParams,
) -> Evaluation:  # fmt: skip
    """Score `predict` on all splits given (test and, for a synthetic climate, three more).

    Every split has the same keys; where the model cannot go they are null. Intervals are of 95%, by bootstrap
    over blocks of 30 days. The floor holds for the synthetic climate with perfect inputs.
    """
    found = {split: _predicted(predict, domains) for split, domains in splits.items()}
    metrics: dict[str, Any] = {}
    daily: dict[str, Daily] = {}
    keys: list[str] = []
    for split, domains in splits.items():
        fields = found[split]
        if fields is None:
            metrics[split] = None
            continue
        daily[split] = _daily(domains, fields)
        metrics[split] = {**_measures(domains, fields, target), "rmse": daily[split].rmse}
        best = _best_rival(rivals_table, split)
        metrics[split] |= _against(daily[split], best, rivals_table[best][split], floor, params)
        metrics[split]["change_error"] = _change_error(split, splits, found)
        metrics[split] |= _parts(domains, fields)
        keys = list(metrics[split])
    metrics = {key: dict.fromkeys(keys) if value is None else value for key, value in metrics.items()}
    metrics["floor"] = None if floor is None else {"rmse": floor}
    return Evaluation(statistics.rounded(metrics), daily, _maps(splits[TODAY], found[TODAY], target))


def _predicted(predict: Predict, domains: Sequence[Domain]) -> list[Prediction] | None:
    """What the model says of each domain of a split; None where it cannot go to one of them."""
    found = [predict(domain) for domain in domains]
    whole = [prediction for prediction in found if prediction is not None]
    return whole if len(whole) == len(found) else None


def _truth(domain: Domain) -> Fields:
    assert domain.target is not None
    return domain.target


def _daily(domains: Sequence[Domain], fields: Sequence[Prediction]) -> Daily:
    errors = [
        skill.daily_squared_error(field, _truth(domain), domain.fine.areas)
        for domain, (field, _) in zip(domains, fields, strict=True)
    ]
    names = np.concatenate([[domain.name] * len(domain.days) for domain in domains])
    ordinals = np.concatenate([domain.days.ordinal for domain in domains])
    return Daily(names, ordinals, np.concatenate(errors))


def _measures(domains: Sequence[Domain], fields: Sequence[Prediction], target: str) -> dict[str, Any]:
    """The measures of a split; of several domains their mean, weighted by days."""
    found = []
    for domain, (field, spread) in zip(domains, fields, strict=True):
        means = area_mean(domain.fine, domain.coarse)
        found.append(
            skill.measures(
                field, _truth(domain), domain.fine, domain.days, sd=spread, means=means,
                coarse=domain.inputs[target], kelvin=target == "tasmax",
            )
        )  # fmt: skip
    if len(found) == 1:
        return dict(found[0])
    days = [len(domain.days) for domain in domains]
    return {
        key: None if any(part[key] is None for part in found)
        else float(np.average([part[key] for part in found], weights=days))
        for key in found[0]
    }  # fmt: skip


def _best_rival(table: Mapping[str, Mapping[str, Daily]], split: str) -> str:
    return min((name for name in table if split in table[name]), key=lambda name: table[name][split].rmse)


def _against(
    own: Daily, best: str, rival: Daily, floor: float | None, params: EvaluateParams
) -> dict[str, Any]:
    """Interval of the RMSE; skill against the best rival and share of the way to the floor with theirs."""
    blocks = statistics.blocks(own.ordinal, own.domain)

    def rng() -> np.random.Generator:
        return np.random.default_rng(0)

    errors = own.squared_error, rival.squared_error
    found: dict[str, Any] = {
        "best_rival": best,
        "best_rival_rmse": rival.rmse,
        "skill_vs_best_rival": float(statistics.skill(own.rmse, rival.rmse)),
        "floor_share": None,
    }
    intervals = {
        "rmse": statistics.rmse_interval(own.squared_error, blocks, params.resamples, rng()),
        "skill_vs_best_rival": statistics.skill_interval(*errors, blocks, params.resamples, rng()),
        "floor_share": None,
    }
    if floor is not None:
        share = float(statistics.floor_share(own.rmse, rival.rmse, floor))
        found["floor_share"] = share if np.isfinite(share) else None
        intervals["floor_share"] = statistics.floor_share_interval(
            *errors, floor, blocks, params.resamples, rng()
        )
    for name, interval in intervals.items():
        found[f"{name}_low"], found[f"{name}_high"] = interval or (None, None)
    return found


def _change_error(
    split: str, splits: Mapping[str, Sequence[Domain]], found: Mapping[str, list[Prediction] | None]
) -> float | None:
    future, today = found[split], found[TODAY]
    if not split.startswith(WARMER) or future is None or today is None:
        return None
    return skill.change_error(
        future[0][0], today[0][0], _truth(splits[split][0]), _truth(splits[TODAY][0]),
        splits[TODAY][0].fine.areas,
    )  # fmt: skip


def _parts(domains: Sequence[Domain], fields: Sequence[Prediction]) -> dict[str, Any]:
    """By season and elevation band, of the split's first domain."""
    domain, (field, _) = domains[0], fields[0]
    return {
        "by_season": skill.by_season(field, _truth(domain), domain.fine, domain.days),
        "by_elevation": skill.by_elevation(field, _truth(domain), domain.fine, domain.static["elevation"]),
    }


def _maps(
    domains: Sequence[Domain], fields: Sequence[Prediction] | None, target: str
) -> dict[str, npt.NDArray[Any]]:
    """Bias and RMSE by cell, spectra, and the fields of three telling days of the test split."""
    assert fields is not None
    domain, (field, _) = domains[0], fields[0]
    truth = _truth(domain)
    error = field - truth
    days = telling_days(domain, target)
    wavenumber, power = skill_patterns.spectrum(field)
    return {
        "bias": _mean(error), "rmse": np.sqrt(_mean(error**2)), "days": field[days],
        "truth_days": truth[days], "coarse_days": domain.inputs[target][days],
        "ordinal": domain.days.ordinal[days], "wavenumber": wavenumber, "power": power,
        "truth_power": skill_patterns.spectrum(truth)[1], "lat": domain.fine.lat.centres,
        "lon": domain.fine.lon.centres, "elevation": domain.static["elevation"],
    }  # fmt: skip


def _mean(field: Fields) -> Fields:
    count = (~np.isnan(field)).sum(axis=0)
    total = np.nansum(field, axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def telling_days(domain: Domain, target: str) -> npt.NDArray[np.int64]:
    """Indices of the hottest day, the coldest, and the one on which height explains least of the truth.

    Among the days that have a truth and a coarse field.
    """
    missing = [np.isnan(field).all(axis=(1, 2)) for field in (_truth(domain), domain.inputs[target])]
    known = np.flatnonzero(~(missing[0] | missing[1]))
    days = domain.at(known)
    truth = _truth(days)
    level = np.nanmean(truth, axis=(1, 2))
    unexplained = np.nanstd(truth - at_height(days, target, daily_lapse(days, target)), axis=(1, 2))
    return known[[level.argmax(), level.argmin(), unexplained.argmax()]]
