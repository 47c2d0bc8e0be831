"""Comparison of models split by split: paired differences of the error on the same days."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from convoy.climate.data.variables import row_of
from convoy.climate.downscaling.evaluation.daily_io import Daily, Table
from convoy.climate.downscaling.evaluation.evaluate import WARMER, EvaluateParams
from convoy.climate.downscaling.models.specs import MODELS, SAME_AS
from convoy.core import statistics
from convoy.core.errors import ConvoyError

BLOCK_DAYS = 30
# Verdicts on the best network of a split compared with the best baseline there.
NETWORK, BASELINE, TIE, UNKNOWN = "network", "baseline", "tie", "unknown"
INTERVALS = ("rmse", "skill_vs_best_baseline", "noise_floor_share")
FIGURES = (
    "mae", "bias", "anomaly_correlation", "sd_ratio", "high_frequency_ratio", "coarse_error", "change_error",
    "coverage",
)  # fmt: skip

Metrics = Mapping[str, Mapping[str, Any]]


Copies = Mapping[str, Mapping[str, str]]


def originals(
    chosen: Iterable[str], read: Callable[[str], Mapping[str, Any]]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Mapping[str, str]]]:
    """Metrics of the chosen models, those that equal another replaced by it; and the notes on these, by name.

    read: all figures of a model.
    """
    found = {model: read(model) for model in chosen}
    copies = {model: content for model, content in found.items() if SAME_AS in content}
    kept = [copies[model][SAME_AS] if model in copies else model for model in found]
    return {model: found[model] if model in found else read(model) for model in kept}, copies


def compare(
    metrics: Metrics, daily: Table, facts: Mapping[str, Any], params: EvaluateParams,
    copies: Copies = MappingProxyType({}),
) -> dict[str, Any]:  # fmt: skip
    """Per split the ranking, the best baseline and network, their paired difference, and who wins.

    metrics: of the models in use, as `evaluation.evaluate` makes them; daily: daily errors of these models
    and of all baselines, in climate.baselines or not, among which the best one is chosen; facts: of the
    folder of grids; copies: notes on the chosen models that equal another one, and are left out.

    A network wins on a split only where the 95% confidence interval of the difference of both RMSEs (paired
    bootstrap of 30-day blocks) lies below zero, a baseline where it lies above; else it is a tie, or unknown
    where the days are too few for an interval. Where a network was trained several times, its RMSE is the
    mean of its trainings, and these are resampled too. Raises ConvoyError where two models were scored on
    other days.
    """
    if not metrics:
        raise ConvoyError(
            "no model to compare", key="climate.networks, climate.baselines", hint="name at least one"
        )
    noise_floors = [found["noise_floor"]["rmse"] for found in metrics.values() if found.get("noise_floor")]
    splits = [split for split in next(iter(metrics.values())) if split != "noise_floor"]
    networks = [model for model in metrics if MODELS[model].is_network]
    return statistics.rounded(
        {
            "target": facts["target"],
            "units": _units(facts),
            "source": facts["source"],
            "factor": facts.get("factor"),
            "perfect": bool(facts.get("perfect")),
            "coarse_grid": facts.get("coarse_grid"),
            "interpolated": dict(facts.get("interpolated", {})),
            "models": list(metrics),
            "copies": {model: dict(note) for model, note in copies.items()},
            "networks": networks,
            "trainings": {model: _trainings(daily[model]) for model in networks},
            "noise_floor": noise_floors[0] if noise_floors else None,
            "confidence": statistics.CONFIDENCE,
            "block_days": BLOCK_DAYS,
            "resamples": params.resamples,
            "splits": {split: _split(split, metrics, daily, params) for split in splits},
        }
    )


def splits_with(comparison: Mapping[str, Any], verdict: str) -> list[str]:
    """The splits on which the best network has this verdict, in their order."""
    return [split for split, found in comparison["splits"].items() if found["verdict"] == verdict]


def change_splits(comparison: Mapping[str, Any]) -> list[str]:
    """The splits with a warmer climate."""
    return [split for split in comparison["splits"] if split.startswith(WARMER)]


def _trainings(daily: Mapping[str, Daily]) -> int:
    """Number of trainings of a model, each with another seed."""
    return max((1 + len(days.others) for days in daily.values()), default=1)


def _split(split: str, metrics: Metrics, daily: Table, params: EvaluateParams) -> dict[str, Any]:
    able = [model for model in daily if split in daily[model]]
    baselines = [model for model in able if not MODELS[model].is_network]
    networks = [model for model in metrics if model in able and MODELS[model].is_network]
    if not baselines:
        raise ConvoyError(
            f"no baseline has daily errors on split '{split}'; run `dvc repro climate-baselines`"
        )

    def rmse(model: str) -> float:
        return daily[model][split].rmse

    best = min(baselines, key=rmse)
    best_network = min(networks, key=rmse, default=None)
    shown = [model for model in able if model in metrics or model == best]
    days = daily[best][split]
    blocks, known = statistics.blocks(days.ordinal, days.domain, BLOCK_DAYS), days.known
    pairs = {
        network: _difference(network, daily[network][split], best, days, blocks, params)
        for network in networks
    }
    return {
        "days": int(known.sum()),
        "days_left_out": int((~known).sum()),
        "blocks": len(np.unique(blocks[known])),
        "ranking": sorted(shown, key=rmse),
        "absent": [model for model in daily if model not in able],
        "best_baseline": best,
        "best_network": best_network,
        "verdict": None if best_network is None else pairs[best_network]["verdict"],
        "networks": pairs,
        "models": {model: _row(model, split, metrics, days, blocks, params) for model in shown},
    }


def _row(
    model: str, split: str, metrics: Metrics, best: Daily, blocks: np.ndarray, params: EvaluateParams
) -> dict[str, Any]:
    """A model's figures from its metrics; for a best baseline that is not in use, from its daily errors."""
    with_ends = [f"{name}{end}" for name in INTERVALS for end in ("", "_low", "_high")]
    if model in metrics:
        return {name: metrics[model][split][name] for name in (*with_ends, *FIGURES)}
    low, high = statistics.rmse_interval(best.trainings, blocks, params.resamples, _rng()) or (None, None)
    row: dict[str, Any] = dict.fromkeys((*with_ends, *FIGURES))
    return row | {"rmse": best.rmse, "rmse_low": low, "rmse_high": high, "skill_vs_best_baseline": 0.0}


def _difference(
    network: str, own: Daily, baseline: str, other: Daily, blocks: np.ndarray, params: EvaluateParams
) -> dict[str, Any]:
    """RMSE of the network minus that of the baseline, its interval, whether both own intervals overlap."""
    if not (np.array_equal(own.ordinal, other.ordinal) and np.array_equal(own.domain, other.domain)):
        raise ConvoyError(
            f"daily errors of {network} and {baseline} are not of the same days "
            f"({len(own.ordinal)} and {len(other.ordinal)}); run `dvc repro` to make both again"
        )
    pair = [own.trainings, other.trainings]
    drawn = statistics.rmse_draws(pair, blocks, params.resamples, _rng())
    found: dict[str, Any] = {
        "difference": own.rmse - other.rmse, "low": None, "high": None, "intervals_apart": None,
        "verdict": UNKNOWN,
    }  # fmt: skip
    if not np.isfinite(drawn).all():
        return found
    low, high = statistics.percentile_interval(drawn[:, 0] - drawn[:, 1])
    (own_low, own_high), (other_low, other_high) = map(statistics.percentile_interval, drawn.T)
    verdict = NETWORK if high < 0 else BASELINE if low > 0 else TIE
    apart = own_high < other_low or other_high < own_low
    return found | {"low": low, "high": high, "intervals_apart": apart, "verdict": verdict}


def _rng() -> np.random.Generator:
    # The seed of the evaluation's intervals, so that the same days are drawn for every model.
    return np.random.default_rng(0)


def _units(facts: Mapping[str, Any]) -> str:
    """Units of the target by the facts, else those of its convention; "" where unknown."""
    target = facts["target"]
    stated = facts.get("units", {})
    stated = stated.get(target) if isinstance(stated, Mapping) else stated
    return str(stated or row_of(target).units)


def table(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """Header and rows of the comparison as a flat table: one row per split and model, the best first."""
    header = [
        "split",
        "model",
        "kind",
        *(f"{name}{end}" for name in INTERVALS for end in ("", "_low", "_high")),
    ]
    header += FIGURES
    rows: list[list[object]] = []
    for split, found in comparison["splits"].items():
        for model in found["ranking"]:
            kind = "network" if MODELS[model].is_network else "baseline"
            row = found["models"][model]
            rows.append(
                [split, model, kind, *("" if row[name] is None else row[name] for name in header[3:])]
            )
    return header, rows
