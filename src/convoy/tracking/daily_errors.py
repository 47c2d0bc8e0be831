"""How versions of a downscaling model are judged: by their daily errors on the same test days."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convoy.climate.data import io as grids
from convoy.climate.downscaling import daily_io as daily
from convoy.climate.downscaling.daily_io import Daily
from convoy.climate.downscaling.evaluate import TODAY, together
from convoy.climate.downscaling.skill.judged import answers, daily_errors, judged
from convoy.core import statistics
from convoy.core.errors import ConvoyError
from convoy.report.numbers import percent
from convoy.tracking.task import Judge, Metrics

if TYPE_CHECKING:
    from convoy.tracking.promotion import PromotionParams

_HEADLINES = ("rmse", "mae", "bias", "best_baseline_rmse", "skill_vs_best_baseline")


class DailyErrors(Judge):
    """RMSE of one version over that of another; days are paired, and resampled in blocks of 30."""

    file = "daily.parquet"
    source = "grids"

    def read(self, path: Path) -> Daily:
        """The errors of the test days."""
        models = list(daily.read(path).values())
        if len(models) != 1 or TODAY not in models[0]:
            raise ConvoyError(f"{path}: expected the {TODAY} days of one model; run `dvc repro` to make it")
        return models[0][TODAY]

    def test_split(self, path: Path, data: Mapping[str, str]) -> str:
        """A hash of the test days and of the data that holds their truth."""
        found = self.read(path)
        digest = hashlib.sha256(data.get(self.source, "").encode())
        digest.update("\0".join(map(str, found.domain)).encode())
        digest.update(np.asarray(found.ordinal, "<i8").tobytes())
        return digest.hexdigest()

    def faults(self, metrics: Mapping[str, Any], measured: Daily, params: "PromotionParams") -> list[str]:  # noqa: ARG002
        test = metrics[TODAY]
        odd = [key for key in _HEADLINES if not isinstance(test.get(key), int | float)]
        if odd:
            return [f"{', '.join(odd)} not known"]
        failed, found = [], measured.rmse
        if not math.isclose(found, test["rmse"], rel_tol=1e-4):
            failed.append(f"the RMSE of its days is {found:.4g}, its figures say {test['rmse']:.4g}")
        low, high = test.get("skill_vs_best_baseline_low"), test.get("skill_vs_best_baseline_high")
        skill = test["skill_vs_best_baseline"]
        if (skill if low is None else low) <= 0:
            interval = "" if low is None else f", 95% interval {signed(low)} to {signed(high)}"
            failed.append(
                f"RMSE {test['rmse']:.3g} is not surely below that of the best baseline, "
                f"{test['best_baseline']}, "
                f"{test['best_baseline_rmse']:.3g} (skill {signed(skill)}{interval})"
            )
        return failed

    def again(self, source: Path, measured: Daily, model: Any) -> Daily:  # noqa: ARG002
        """The errors of all trainings of the model on the test days of the folder of grids `source`.

        All, since the candidate brings those of all its own: versions are compared by the mean of their
        trainings, never by one that was lucky.
        """
        facts, domains = grids.read_facts(source), grids.read(source, TODAY)
        measured_now: list[Daily] = []
        if all(domain.target is not None for domain in domains):
            tested = judged(TODAY, domains)
            # One training at a time: its fields may fill the memory.
            for predict in model.trainings():
                said = answers("the champion", predict, TODAY, tested, facts["target"])
                if said is None:
                    break
                measured_now.append(daily_errors(said))
        if not measured_now:
            names = ", ".join(domain.name for domain in domains)
            raise ConvoyError(f"{source}: the champion cannot go to {names}, where the candidate was")
        return together(measured_now)

    def difference(self, candidate: Daily, champion: Daily, resamples: int, seed: int) -> dict[str, float]:
        """1 - RMSE of the candidate / RMSE of the champion on the same n days, with its 95% interval.

        Blocks of 30 days are resampled for both together, and the trainings of each on their own.
        Raises ConvoyError where the days are not the same, and where they are too few for an interval.
        """
        first, second = _by_day(candidate), _by_day(champion)
        if not (
            np.array_equal(first.domain, second.domain) and np.array_equal(first.ordinal, second.ordinal)
        ):
            raise ConvoyError(
                "the daily errors of the two versions are not about the same test days "
                f"({len(first.ordinal)} and {len(second.ordinal)}); run `dvc repro` and `convoy publish`, "
                "then promote again"
            )
        both = first.known & second.known
        blocks = statistics.blocks(first.ordinal, first.domain)
        errors = first.trainings, second.trainings
        interval = statistics.skill_interval(*errors, blocks, resamples, np.random.default_rng(seed))
        if interval is None:
            raise ConvoyError(
                f"{np.count_nonzero(both)} test days in common: an interval needs two blocks of 30 days at "
                "least, and errors in them; give the test split a longer range and run `dvc repro`"
            )
        rmses = [part.at(both).rmse for part in (first, second)]
        found = {
            "difference": float(statistics.skill(*rmses)),
            "low": interval[0],
            "high": interval[1],
            "n": int(np.count_nonzero(both)),
            "rmse": rmses[0],
            "champion_rmse": rmses[1],
        }
        return statistics.rounded(found)

    def margin(self, params: "PromotionParams") -> float:
        return params.rmse_margin

    def words(self, difference: Mapping[str, float]) -> str:
        n, excluded = f"{difference['n']:,.0f}", difference["low"] >= -difference["margin"]
        return (
            f"RMSE {difference['rmse']:.3g} against {difference['champion_rmse']:.3g} on the same {n} test "
            f"days, skill {signed(difference['difference'])} (95% interval {signed(difference['low'])} to "
            f"{signed(difference['high'])}), so an RMSE more than {percent(difference['margin'])} larger "
            f"{'is' if excluded else 'cannot be'} excluded"
        )

    def beside(self, new: Metrics, old: Metrics) -> tuple[float, str] | None:
        """The intervals of both are set against each other, in shares of the old RMSE."""
        if not all({"rmse", "rmse_low", "rmse_high"} <= set(side) for side in (new, old)) or old["rmse"] <= 0:
            return None
        lead = 1 - new["rmse"] / old["rmse"]
        spread = math.hypot(new["rmse"] - new["rmse_low"], old["rmse_high"] - old["rmse"])
        return lead + spread / old["rmse"], f"skill {signed(lead)} on the same test days"

    def spoken(self, metrics: Mapping[str, float]) -> str | None:
        return f"RMSE {metrics['rmse']:.3g}" if "rmse" in metrics else None


def signed(share: float) -> str:
    """A share in per cent with its sign."""
    text = percent(share).replace("-", "−")
    return f"+{text}" if share > 0 else text


def _by_day(found: Daily) -> Daily:
    ordered = found.at(np.lexsort((found.ordinal, found.domain.astype(str))))
    return replace(ordered, domain=ordered.domain.astype(str))
