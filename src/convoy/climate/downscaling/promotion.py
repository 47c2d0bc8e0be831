"""Comparison of two versions of a downscaling model: RMSE on the same test days, paired by day."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import TODAY, together
from convoy.climate.downscaling.evaluation.skill.judged import answers, daily_errors, judged
from convoy.climate.downscaling.fields_model import FieldsModel
from convoy.core.errors import ConvoyError
from convoy.core.statistics import blocks, rounded, skill, skill_interval
from convoy.report.numbers import percent
from convoy.tasks import Difference, Estimate, Metrics, PromotionParams

Grids: TypeAlias = tuple[str, Sequence[Domain]]
"""The target's name and the domains of the test split."""
GRIDS = "grids"
_HEADLINES = ("rmse", "mae", "bias", "best_baseline_rmse", "skill_vs_best_baseline")
_SAME = 1e-4  # relative difference that an RMSE may have from the one in the metrics file


def test_split(daily: Daily, data: Mapping[str, str]) -> str:
    """A hash of the test days and of the data that holds their truth."""
    digest = hashlib.sha256(data.get(GRIDS, "").encode())
    digest.update("\0".join(map(str, daily.domain)).encode())
    digest.update(np.asarray(daily.ordinal, "<i8").tobytes())
    return digest.hexdigest()


def checks(metrics: Mapping[str, Any], daily: Daily, params: PromotionParams) -> list[str]:  # noqa: ARG001
    """The acceptance checks that the figures of a model fail, in words."""
    test = metrics[TODAY]
    odd = [key for key in _HEADLINES if not isinstance(test.get(key), int | float)]
    if odd:
        return [f"{', '.join(odd)} not known"]
    failed, found = [], daily.rmse
    if not math.isclose(found, test["rmse"], rel_tol=_SAME):
        failed.append(f"the RMSE of its days is {found:.4g}, that of its metrics file {test['rmse']:.4g}")
    low, high = test.get("skill_vs_best_baseline_low"), test.get("skill_vs_best_baseline_high")
    skill = test["skill_vs_best_baseline"]
    if (skill if low is None else low) <= 0:
        interval = "" if low is None else f", 95% confidence interval {signed(low)} to {signed(high)}"
        failed.append(
            f"RMSE {test['rmse']:.3g} is not significantly below that of the best baseline, "
            f"{test['best_baseline']}, {test['best_baseline_rmse']:.3g} (skill {signed(skill)}{interval})"
        )
    return failed


def remeasure(grids: Grids, daily: Daily, model: FieldsModel) -> Daily:  # noqa: ARG001
    """The errors of all trainings of the model on all test days of the grids.

    Versions are compared by the means over all of their trainings, not by a single one.
    """
    target, domains = grids
    measured: list[Daily] = []
    if all(domain.target is not None for domain in domains):
        tested = judged(TODAY, domains)
        # One training at a time: its fields may fill the memory.
        for predict in model.trainings():
            found = answers("the champion", predict, TODAY, tested, target)
            if found is None:
                break
            measured.append(daily_errors(found))
    if not measured:
        names = ", ".join(domain.name for domain in domains)
        raise ConvoyError(f"the champion cannot be applied to {names}, on which the candidate was tested")
    return together(measured)


def difference(candidate: Daily, champion: Daily, resamples: int, seed: int) -> Difference:
    """1 - RMSE of the candidate / RMSE of the champion on the same n days, with its 95% confidence interval.

    Paired bootstrap: blocks of 30 days are resampled for both together, the trainings of each on their own.
    Raises ConvoyError where the days are not the same, and where they are too few for an interval.
    """
    first, second = _by_day(candidate), _by_day(champion)
    if not (np.array_equal(first.domain, second.domain) and np.array_equal(first.ordinal, second.ordinal)):
        raise ConvoyError(
            "the daily errors of the two versions are not of the same test days "
            f"({len(first.ordinal)} and {len(second.ordinal)}); run `dvc repro` and `convoy publish`, "
            "then promote again"
        )
    both = first.known & second.known
    months = blocks(first.ordinal, first.domain)
    errors = first.trainings, second.trainings
    interval = skill_interval(*errors, months, resamples, np.random.default_rng(seed))
    if interval is None:
        raise ConvoyError(
            f"{np.count_nonzero(both)} test days in common: an interval needs two blocks of 30 days at "
            "least, and errors in them; give the test split a longer range and run `dvc repro`"
        )
    rmses = [part.at(both).rmse for part in (first, second)]
    return Difference(
        difference=rounded(float(skill(*rmses))),
        low=rounded(float(interval[0])),
        high=rounded(float(interval[1])),
        n=int(np.count_nonzero(both)),
        details={"rmse": rounded(rmses[0]), "champion_rmse": rounded(rmses[1])},
    )


def describe(found: Difference, margin: float) -> str:
    """The difference in words, and whether the interval excludes an RMSE above the margin."""
    excluded = "is" if found.low >= -margin else "cannot be"
    return (
        f"RMSE {found.details['rmse']:.3g} compared with {found.details['champion_rmse']:.3g} on the same "
        f"{found.n:,} test days, skill {signed(found.difference)} (95% confidence interval "
        f"{signed(found.low)} to {signed(found.high)}), so an RMSE more than {percent(margin)} larger "
        f"{excluded} excluded"
    )


def estimate(new: Metrics, old: Metrics) -> Estimate | None:
    """The difference from the two intervals alone, in shares of the old RMSE."""
    if not all({"rmse", "rmse_low", "rmse_high"} <= set(side) for side in (new, old)) or old["rmse"] <= 0:
        return None
    lead = 1 - new["rmse"] / old["rmse"]
    spread = math.hypot(new["rmse"] - new["rmse_low"], old["rmse_high"] - old["rmse"])
    return Estimate(lead + spread / old["rmse"], f"skill {signed(lead)} on the same test days")


def figure(metrics: Metrics) -> str | None:
    """The RMSE in words."""
    return f"RMSE {metrics['rmse']:.3g}" if "rmse" in metrics else None


def signed(share: float) -> str:
    """A share in per cent with its sign."""
    text = percent(share)
    return f"+{text}" if share > 0 else text


def _by_day(found: Daily) -> Daily:
    ordered = found.at(np.lexsort((found.ordinal, found.domain.astype(str))))
    return replace(ordered, domain=ordered.domain.astype(str))
