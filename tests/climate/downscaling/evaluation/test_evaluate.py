"""Metrics on every split by hand: shares of the way to the noise floor, nulls, changes, maps."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from convoy.climate.data.domains import Days, Domain
from convoy.climate.data.regridding import interpolation
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import (
    EvaluateParams,
    Evaluation,
    evaluate,
    telling_days,
)
from convoy.climate.synthetic.noise_floor import noise_floor_rmse
from convoy.climate.synthetic.scenarios import grids, random_part
from convoy.climate.synthetic.temperature import DailyMaximum
from tests.support import baselines
from tests.support.climates import FINE, block_means, first, noisy, with_inputs, world

PARAMS = EvaluateParams(resamples=200)
NOISE_FLOOR = 0.2
BASELINES = ("bicubic", "lapse_fixed", "monthly_residual")
Predict = Callable[[Domain], Any]


@cache
def splits() -> dict[str, list[Domain]]:
    home = world(noisy)
    train, test = home.at(home.days.year < 2003), first(home.at(home.days.year == 2003), 120)
    warmer = replace(test, name="warmer_2k", target=test.target + 2)
    away = [first(world(noisy, name=name, seed=seed), 60) for name, seed in (("away", 1), ("far", 2))]
    return {
        "train": [train], "test": [test], "unseen_terrain": [replace(away[0], days=days_of(60)), away[1]],
        "warmer_2k": [with_inputs(warmer, tasmax=test.inputs["tasmax"] + 2)],
    }  # fmt: skip


def days_of(count: int) -> Days:
    return Days.years(2007, 1).at(slice(0, count))


@cache
def table() -> dict[str, dict[str, Daily]]:
    return {name: baselines.daily(name, splits(), "tasmax") for name in BASELINES}


def scored(predict: Predict, noise_floor: float | None = NOISE_FLOOR, **changes: list[Domain]) -> Evaluation:
    parts = {**{name: part for name, part in splits().items() if name != "train"}, **changes}
    return evaluate("unet", [predict], parts, "tasmax", noise_floor, table(), PARAMS)


def off_by(error: float) -> Predict:
    return lambda domain: (domain.target + np.float32(error), None)


def rmse(errors: np.ndarray) -> float:
    """By hand, over days and area."""
    rows = np.diff(np.sin(np.radians(FINE.lat.bounds)), axis=1)
    return float(np.sqrt((errors.astype(np.float64) ** 2 * rows).mean(axis=(1, 2)).mean() / rows.mean()))


def test_a_baseline_s_daily_errors_are_those_of_its_fields() -> None:
    found = table()["lapse_fixed"]
    assert list(found) == ["test", "unseen_terrain", "warmer_2k"]
    (test,) = splits()["test"]
    interpolate = interpolation(test.coarse, test.fine, "bicubic")
    field = interpolate(test.inputs["tasmax"] + 6.5 * test.coarse_static["elevation"] / 1000)
    error = field - 6.5 * test.static["elevation"] / 1000 - test.target
    assert found["test"].rmse == pytest.approx(rmse(error), rel=1e-4)
    assert found["test"].squared_error[7] == pytest.approx(rmse(error[7:8]) ** 2, rel=1e-4)
    np.testing.assert_array_equal(found["test"].ordinal, test.days.ordinal)
    away = found["unseen_terrain"]
    assert list(away.domain) == ["away"] * 60 + ["far"] * 60
    assert away.ordinal[0] == days_of(1).ordinal[0]


def test_a_baseline_that_cannot_go_there_has_no_errors_there() -> None:
    assert list(table()["monthly_residual"]) == ["test", "warmer_2k"]


def test_at_the_noise_floor_the_share_is_one_at_the_baseline_none() -> None:
    best = min(table()[name]["test"].rmse for name in BASELINES)
    for error, share in (
        (NOISE_FLOOR, 1.0),
        (best, 0.0),
        ((NOISE_FLOOR + best) / 2, 0.5),
        (2 * best - NOISE_FLOOR, -1.0),
    ):
        found = scored(off_by(error)).metrics["test"]
        assert found["rmse"] == pytest.approx(error, rel=1e-4)
        assert found["noise_floor_share"] == pytest.approx(share, abs=1e-3)
        assert found["skill_vs_best_baseline"] == pytest.approx(1 - error / best, abs=1e-4)
        assert found["noise_floor_share_low"] <= found["noise_floor_share"] <= found["noise_floor_share_high"]
        assert found["bias"] == pytest.approx(error, rel=1e-4)


def test_the_best_baseline_is_that_of_the_split() -> None:
    metrics = scored(off_by(0.1)).metrics
    for split in ("test", "unseen_terrain", "warmer_2k"):
        errors = {name: found[split].rmse for name, found in table().items() if split in found}
        best = min(errors, key=lambda name: errors[name])
        assert metrics[split]["best_baseline"] == best
        assert metrics[split]["best_baseline_rmse"] == pytest.approx(errors[best])
    assert metrics["test"]["best_baseline"] == "monthly_residual"
    assert metrics["unseen_terrain"]["best_baseline"] == "lapse_fixed"


def test_without_a_noise_floor_there_is_no_share_of_the_way() -> None:
    metrics = scored(off_by(0.1), None).metrics
    assert metrics["noise_floor"] is None
    for end in ("", "_low", "_high"):
        assert metrics["test"][f"noise_floor_share{end}"] is None
    assert metrics["test"]["skill_vs_best_baseline"] > 0
    assert scored(off_by(0.1)).metrics["noise_floor"] == {"rmse": NOISE_FLOOR}


def test_where_the_model_cannot_go_every_key_is_null() -> None:
    found = scored(lambda domain: None if domain.place == "far" else off_by(0.3)(domain))
    assert set(found.daily) == {"test", "warmer_2k"}
    metrics = found.metrics
    assert list(metrics) == ["test", "unseen_terrain", "warmer_2k", "noise_floor"]
    assert metrics["unseen_terrain"].keys() == metrics["test"].keys() == metrics["warmer_2k"].keys()
    assert set(metrics["unseen_terrain"].values()) == {None}


def test_the_change_error_is_that_of_the_change_alone() -> None:
    assert scored(off_by(0.0)).metrics["warmer_2k"]["change_error"] == pytest.approx(0, abs=1e-4)
    # A bias that stays is no error of the change; one that comes with the warming is.
    assert scored(off_by(3.0)).metrics["warmer_2k"]["change_error"] == pytest.approx(0, abs=1e-4)
    found = scored(lambda domain: off_by(0.7 if domain.name == "warmer_2k" else 0.2)(domain)).metrics
    assert found["warmer_2k"]["change_error"] == pytest.approx(0.5, abs=1e-3)
    assert found["test"]["change_error"] is None
    assert found["unseen_terrain"]["change_error"] is None


def test_a_split_of_several_domains_is_scored_over_all_their_days() -> None:
    def predict(domain: Domain) -> Any:
        return off_by(1.0 if domain.name == "far" else 3.0)(domain)

    far = first(splits()["unseen_terrain"][1], 20)
    parts = [splits()["unseen_terrain"][0], far]
    found = evaluate(
        "unet", [predict], {"test": splits()["test"], "unseen_terrain": parts}, "tasmax", None,
        {"x": {split: Daily(*daily(domains)) for split, domains in
               (("test", splits()["test"]), ("unseen_terrain", parts))}}, PARAMS,
    ).metrics["unseen_terrain"]  # fmt: skip
    assert found["rmse"] == pytest.approx(np.sqrt((60 * 9 + 20 * 1) / 80), rel=1e-4)
    assert found["bias"] == pytest.approx((60 * 3 + 20) / 80, rel=1e-4)


def daily(domains: list[Domain]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The daily errors of somebody who is 5 K off."""
    names = np.concatenate([[domain.name] * len(domain.days) for domain in domains])
    return names, np.concatenate([domain.days.ordinal for domain in domains]), np.full(len(names), 25.0)


def test_seasons_and_elevation_bands() -> None:
    season = {12: 1.0, 1: 1.0, 2: 1.0, 3: 2.0, 4: 2.0, 5: 2.0}

    def predict(domain: Domain) -> Any:
        months = np.array([season[month] for month in domain.days.month])
        high = np.where(domain.static["elevation"] > 1000, 0.5, 0.0)
        return (domain.target + months[:, None, None] + high).astype(np.float32), None

    found = scored(predict).metrics["test"]
    assert set(found["by_season"]) == {"DJF", "MAM"}
    assert found["by_season"]["MAM"]["bias"] - found["by_season"]["DJF"]["bias"] == pytest.approx(1, abs=1e-3)
    bands = {band["from_m"]: band["bias"] for band in found["by_elevation"]}
    assert bands[1000] - bands[500] == pytest.approx(0.5, abs=1e-3)


def test_a_spread_is_scored() -> None:
    draw = np.random.default_rng(0)

    def predict(domain: Domain) -> Any:
        noise = draw.normal(0, 0.5, domain.target.shape).astype(np.float32)
        return domain.target + noise, np.full(domain.target.shape, 0.5, np.float32)

    found = scored(predict).metrics["test"]
    # Of a Gaussian that is right: the deviation over the root of pi.
    assert found["crps"] == pytest.approx(0.5 / np.sqrt(np.pi), rel=0.02)
    assert found["spread_skill"] == pytest.approx(1, rel=0.02)
    assert scored(off_by(0.1)).metrics["test"]["crps"] is None


def test_intervals_hold_what_was_found_and_a_single_block_has_none() -> None:
    draw = np.random.default_rng(1)
    noise = draw.normal(size=(120, 1, 1)).astype(np.float32)
    found = scored(lambda domain: (domain.target + noise[: len(domain.days)], None)).metrics["test"]
    for name in ("rmse", "skill_vs_best_baseline", "noise_floor_share"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
    short = [first(splits()["test"][0], 20)]
    errors = {"x": {"test": Daily(*daily(short))}}
    found = evaluate("unet", [off_by(0.5)], {"test": short}, "tasmax", NOISE_FLOOR, errors, PARAMS).metrics[
        "test"
    ]
    assert found["rmse_low"] is None
    assert found["noise_floor_share_high"] is None


def test_metrics_are_plain_and_the_same_each_time() -> None:
    one, again = (scored(off_by(0.1)).metrics for _ in range(2))
    assert json.dumps(one, allow_nan=False) == json.dumps(again, allow_nan=False)


def test_a_day_without_a_truth_counts_for_nothing() -> None:
    (test,) = splits()["test"]
    holed = replace(test, target=test.target.copy())
    holed.target[5] = np.nan
    found = scored(lambda domain: (test.target[: len(domain.days)] + 0.3, None), test=[holed])
    assert found.metrics["test"]["rmse"] == pytest.approx(0.3, rel=1e-3)
    assert found.metrics["test"]["rmse_low"] is not None
    assert np.isnan(found.daily["test"].squared_error[5])
    json.dumps(found.metrics, allow_nan=False)
    assert 5 not in found.maps["ordinal"] - test.days.ordinal[0]


def test_maps_hold_the_errors_by_cell_and_the_telling_days() -> None:
    (test,) = splits()["test"]
    error = np.random.default_rng(3).normal(0.2, 1, test.target.shape).astype(np.float32)
    holed = replace(test, target=test.target.copy())
    holed.target[:, 2, 3] = holed.target[:50, 4, 5] = np.nan
    maps = scored(lambda domain: (test.target[: len(domain.days)] + error[: len(domain.days)], None),
                  test=[holed]).maps  # fmt: skip
    expected = error.mean(axis=0)
    expected[2, 3], expected[4, 5] = np.nan, error[50:, 4, 5].mean()
    np.testing.assert_allclose(maps["bias"], expected, atol=1e-3)
    assert np.isnan(maps["rmse"][2, 3])
    assert maps["rmse"][0, 0] == pytest.approx(np.sqrt(np.mean(error[:, 0, 0] ** 2)), rel=1e-3)
    days = telling_days(holed, "tasmax")
    np.testing.assert_array_equal(maps["ordinal"], test.days.ordinal[days])
    np.testing.assert_allclose(maps["days"], test.target[days] + error[days], atol=1e-3)
    np.testing.assert_array_equal(maps["truth_days"], holed.target[days])
    np.testing.assert_array_equal(maps["coarse_days"], test.inputs["tasmax"][days])
    np.testing.assert_array_equal(maps["lat"], FINE.lat.centres)
    np.testing.assert_array_equal(maps["elevation"], test.static["elevation"])
    assert maps["power"].shape == maps["truth_power"].shape == maps["wavenumber"].shape == (8,)


def test_the_days_that_tell_most() -> None:
    domain = first(splits()["test"][0], 40)
    target = domain.target.copy()
    target[3] += 40
    target[8] -= 40
    # Heat in half of the region, which no height explains.
    target[20, :, :10] += 15
    made = replace(domain, target=target)
    made = with_inputs(made, tasmax=block_means(target).astype(np.float32))
    made.inputs["tasmax"][20] = domain.inputs["tasmax"][20]
    assert telling_days(made, "tasmax").tolist() == [3, 8, 20]
    # A day on which one side is missing shows nothing.
    target[3] = np.nan
    made.inputs["tasmax"][20] = np.nan
    hottest, coldest, odd = telling_days(made, "tasmax")
    assert hottest != 3
    assert coldest == 8
    assert odd not in (3, 20)


def test_who_knows_all_but_g_goes_most_of_the_way_to_the_noise_floor(climate) -> None:
    """On the synthetic climate, with g as the bicubic field of its own coarse means."""
    coarse, fine = grids()
    noise_floor = noise_floor_rmse(random_part(), coarse, fine)
    home = climate["home"]
    test = first(home.at(home.days.year == 2004), 90)
    parts = {"train": [first(home, 365)], "test": [test]}
    baselines_table = {name: baselines.daily(name, parts, "tasmax") for name in ("bicubic", "lapse_fixed")}
    up = interpolation(coarse, fine, "bicubic")
    known = DailyMaximum(fine, dict(home.static), up)

    def predict(domain: Domain) -> Any:
        base = known(domain.inputs["psl"], domain.inputs["huss"], domain.days.season, 0.0)
        rows = np.diff(np.sin(np.radians(fine.lat.bounds)), axis=1).reshape(16, 4, 1, 1)
        blocks = (base.reshape(-1, 16, 4, 16, 4) * rows).sum(axis=(2, 4)) / (4 * rows.sum(axis=1)[:, :, 0])
        return base + up(domain.inputs["tasmax"] - blocks.astype(np.float32)), None

    parts = {"test": [test]}
    found = evaluate("unet", [predict], parts, "tasmax", noise_floor, baselines_table, PARAMS).metrics["test"]
    assert noise_floor < found["rmse"] < found["best_baseline_rmse"]
    assert 0.8 < found["noise_floor_share"] < 1
    assert found["best_baseline_rmse"] > 2 * noise_floor


@pytest.mark.parametrize("wrong", [{"resamples": 10}, {"resample": 200}])
def test_params_out_of_bounds_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        EvaluateParams(**wrong)
