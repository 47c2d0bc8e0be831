"""Splits of several domains: every figure is about all of their days."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convoy.climate.data.domains import Days, Domain
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams, evaluate
from tests.support.climates import first, noisy, world

PARAMS = EvaluateParams(resamples=100)
DAYS = Days.years(2004, 1)
# January and February, and 30 days of January on other terrain.
LOW, HIGH = (
    first(world(noisy, DAYS, name=name, seed=seed), days)
    for name, seed, days in (("low", 3, 59), ("high", 4, 30))
)
ERRORS = {"low": 1.0, "high": 3.0, "low_warmer": 1.25, "high_warmer": 4.0}


def off(domain: Domain) -> Any:
    return (domain.target + ERRORS[domain.name]).astype(np.float32), None


def warmer(domain: Domain) -> Domain:
    return replace(domain, name=f"{domain.name}_warmer", target=domain.target + 2)


def scored(splits: dict[str, list[Domain]]) -> dict[str, Any]:
    baseline = {
        split: Daily(
            np.concatenate([[domain.name] * len(domain.days) for domain in domains]),
            np.concatenate([domain.days.ordinal for domain in domains]),
            np.full(sum(len(domain.days) for domain in domains), 25.0),
        )
        for split, domains in splits.items()
    }
    return evaluate("unet", [off], splits, "tasmax", None, {"bicubic": baseline}, PARAMS).metrics


def test_a_season_is_that_of_all_domains() -> None:
    found = scored({"test": [LOW, HIGH]})["test"]
    by_hand = {"rmse": np.sqrt((59 * 1 + 30 * 9) / 89), "bias": (59 * 1 + 30 * 3) / 89}
    assert found["by_season"] == {"DJF": pytest.approx(by_hand, rel=1e-4)}
    # As they are the only days, they are the split's figures too.
    assert (found["rmse"], found["bias"]) == pytest.approx(tuple(by_hand.values()), rel=1e-4)


def test_a_season_that_one_domain_has_alone_is_that_domain_s() -> None:
    april = replace(HIGH, days=DAYS.at(slice(90, 120)))
    found = scored({"test": [LOW, april]})["test"]["by_season"]
    assert {season: row["bias"] for season, row in found.items()} == pytest.approx(
        {"DJF": 1.0, "MAM": 3.0}, rel=1e-4
    )


def test_a_band_is_that_of_all_domains_that_have_it() -> None:
    flat = replace(LOW, static={**LOW.static, "elevation": np.full_like(LOW.static["elevation"], 300.0)})
    slope = np.where(np.arange(16)[:, None] < 8, 300.0, 1500.0) * np.ones((1, 20))
    steep = replace(HIGH, static={**HIGH.static, "elevation": slope.astype(np.float32)})
    bands = {band["from_m"]: band for band in scored({"test": [flat, steep]})["test"]["by_elevation"]}
    assert list(bands) == [0, 1000]
    assert bands[0]["rmse"] == pytest.approx(np.sqrt((59 * 1 + 30 * 9) / 89), rel=1e-4)
    assert bands[1000]["rmse"] == pytest.approx(3, rel=1e-4)


def test_the_change_is_measured_on_each_surface_against_the_same_surface_today() -> None:
    # The order of the domains does not tell which belong together.
    splits = {"test": [LOW, HIGH], "warmer_2k": [warmer(HIGH), warmer(LOW)]}
    found = scored(splits)["warmer_2k"]["change_error"]
    assert found == pytest.approx((59 * 0.25 + 30 * 1.0) / 89, rel=1e-3)


def test_a_change_on_surface_without_test_days_is_not_known() -> None:
    assert (
        scored({"test": [LOW], "warmer_2k": [warmer(LOW), warmer(HIGH)]})["warmer_2k"]["change_error"] is None
    )


def test_a_domain_without_a_day_that_counts_changes_nothing() -> None:
    empty = replace(HIGH, target=np.full_like(HIGH.target, np.nan))
    expected, found = (scored({"test": domains})["test"] for domains in ([LOW], [LOW, empty]))
    assert found == expected
