import json

import numpy as np
import pytest
from scipy.stats import binom

from convoy.climate.downscaling.comparison.compare import compare, splits_with, table
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.core.errors import ConvoyError
from tests.support import rated
from tests.support.rated import FACTS, PARAMS, Rated, always, at_home, in_turns

WORLDS = ["test", "unseen_terrain", "warmer_2k", "warmer_4k"]


@pytest.fixture(scope="module")
def parts():
    return rated.splits()


def compared(errors, parts, noise_floor=0.2, chosen=None, facts=FACTS):
    found = Rated(errors, parts, noise_floor, chosen)
    return compare(found.metrics, found.daily, facts, PARAMS)


def test_constant_errors_by_hand(parts):
    found = compared({"residual": always(0.3), "bicubic": always(0.9), "ridge": always(-0.5)}, parts)
    assert list(found["splits"]) == WORLDS
    test = found["splits"]["test"]
    assert test["ranking"] == ["residual", "ridge", "bicubic"]
    assert (test["best_baseline"], test["best_network"], test["verdict"]) == ("ridge", "residual", "network")
    # 365 days: twelve blocks of 30 and one of 5.
    assert (test["days"], test["blocks"]) == (365, 13)
    pair = test["networks"]["residual"]
    assert (pair["difference"], pair["low"], pair["high"]) == pytest.approx((-0.2, -0.2, -0.2), abs=1e-6)
    assert pair["intervals_apart"] is True
    row = test["models"]["residual"]
    assert row["rmse"] == pytest.approx(0.3, rel=1e-3)
    assert row["skill_vs_best_baseline"] == pytest.approx(0.4, rel=1e-3)
    assert row["noise_floor_share"] == pytest.approx((0.5 - 0.3) / (0.5 - 0.2), rel=1e-3)
    # A shift by a constant changes neither anomalies nor the climate signal.
    assert row["sd_ratio"] == pytest.approx(1, abs=1e-3)
    assert found["splits"]["warmer_2k"]["models"]["residual"]["change_error"] == pytest.approx(0, abs=1e-4)
    assert splits_with(found, "network") == WORLDS


def test_a_baseline_wins_and_a_tie_is_no_win(parts):
    errors = {"ridge": always(0.5), "residual": in_turns(0.3, 0.7), "unet": always(0.6), "srcnn": always(0.8)}
    test = compared(errors, parts)["splits"]["test"]
    # Seven blocks of one error and six of the other, of which the last is short.
    assert (test["best_network"], test["networks"]["residual"]["verdict"]) == ("residual", "tie")
    pair = test["networks"]["residual"]
    assert pair["low"] < 0 < pair["high"]
    assert pair["intervals_apart"] is False
    assert test["verdict"] == "tie"
    assert [test["networks"][name]["verdict"] for name in ("unet", "srcnn")] == ["baseline", "baseline"]
    assert test["networks"]["unet"]["difference"] == pytest.approx(0.1, rel=1e-3)


def test_the_interval_of_a_difference_is_that_of_its_blocks(parts):
    # Twelve equal blocks, six of either error: a resample has a binomial number of the larger one.
    home = [parts["test"][0].at(np.arange(360))]
    found = compared({"ridge": always(1.0), "residual": in_turns(0.9, 1.1)}, {"test": home})
    pair = found["splits"]["test"]["networks"]["residual"]
    odd = [6, binom.ppf(0.025, 12, 0.5), binom.ppf(0.975, 12, 0.5)]
    expected = [np.sqrt((12 - k) / 12 * 0.9**2 + k / 12 * 1.1**2) - 1 for k in odd]
    assert [pair[name] for name in ("difference", "low", "high")] == pytest.approx(expected, rel=1e-4)


def test_intervals_may_overlap_where_the_paired_difference_is_sure(parts):
    # Both err more in the same blocks: on each of them the network is the better one.
    found = compared({"ridge": in_turns(0.5, 1.5), "residual": in_turns(0.45, 1.4)}, parts)
    test = found["splits"]["test"]
    assert (test["verdict"], test["networks"]["residual"]["intervals_apart"]) == ("network", False)
    metrics = Rated({"ridge": in_turns(0.5, 1.5)}, parts).metrics["ridge"]["test"]
    assert test["models"]["ridge"]["rmse_low"] == metrics["rmse_low"] < 1 < metrics["rmse_high"]


def test_a_baseline_that_cannot_go_there_is_not_the_one_to_beat_there(parts):
    found = compared({"ridge": at_home(0.4), "bicubic": always(0.9), "residual": always(0.5)}, parts)
    unseen = found["splits"]["unseen_terrain"]
    assert (unseen["best_baseline"], unseen["absent"], unseen["verdict"]) == ("bicubic", ["ridge"], "network")
    assert "ridge" not in unseen["models"]
    assert splits_with(found, "baseline") == ["test", "warmer_2k", "warmer_4k"]


def test_baselines_alone(parts):
    found = compared({"ridge": at_home(0.4), "bicubic": always(0.9)}, parts)
    assert found["networks"] == []
    for split in found["splits"].values():
        assert (split["best_network"], split["verdict"], split["networks"]) == (None, None, {})


def test_a_network_alone_is_compared_with_all_baselines(parts):
    errors = {"ridge": in_turns(0.4, 0.6), "bicubic": always(0.9), "residual": always(0.3)}
    found = compared(errors, parts, chosen=["residual"])
    test = found["splits"]["test"]
    assert found["models"] == ["residual"]
    assert (test["best_baseline"], test["ranking"]) == ("ridge", ["residual", "ridge"])
    every = compared(errors, parts)["splits"]["test"]
    assert test["networks"] == every["networks"]
    shown, whole = test["models"]["ridge"], every["models"]["ridge"]
    for name in ("rmse", "rmse_low", "rmse_high"):
        assert shown[name] == pytest.approx(whole[name], rel=1e-4)
    assert shown["sd_ratio"] is None


def test_days_that_nobody_could_be_judged_on_are_counted_apart(parts):
    found = Rated({"ridge": always(0.5), "unet": always(0.4)}, {"test": parts["test"]})
    for model in ("ridge", "unet"):
        # A whole block, and a day of the next.
        found.daily[model]["test"].squared_error[30:61] = np.nan
    test = compare(found.metrics, found.daily, FACTS, PARAMS)["splits"]["test"]
    assert (test["days"], test["days_left_out"], test["blocks"]) == (365 - 31, 31, 12)


def test_few_days_have_no_interval(parts):
    few = {"test": [parts["test"][0].at(np.arange(25))]}
    test = compared({"ridge": always(0.5), "residual": always(0.1)}, few)["splits"]["test"]
    assert (test["days"], test["blocks"], test["verdict"]) == (25, 1, "unknown")
    pair = test["networks"]["residual"]
    assert (pair["low"], pair["high"], pair["intervals_apart"]) == (None, None, None)
    assert pair["difference"] == pytest.approx(-0.4, rel=1e-3)
    assert test["models"]["residual"]["rmse_low"] is None


def test_real_grids_have_one_split_and_no_noise_floor(parts):
    found = compared({"ridge": always(0.5), "unet": always(0.4)}, {"test": parts["test"]}, noise_floor=None)
    assert (list(found["splits"]), found["noise_floor"]) == (["test"], None)
    assert found["splits"]["test"]["models"]["unet"]["noise_floor_share"] is None


@pytest.mark.parametrize(
    ("facts", "units"),
    [
        ({}, "K"),
        ({"target": "pr"}, "kg m-2 s-1"),
        ({"target": "snow", "units": {"snow": "cm"}}, "cm"),
        ({"target": "snow", "units": "m"}, "m"),
        ({"target": "snow"}, ""),
    ],
)
def test_units_are_the_facts_or_the_conventions(parts, facts, units):
    found = compared({"ridge": always(0.5)}, {"test": parts["test"]}, facts=FACTS | facts)
    assert found["units"] == units


def test_other_days_are_refused(parts):
    found = Rated({"ridge": always(0.5), "unet": always(0.4)}, {"test": parts["test"]})
    days = found.daily["unet"]["test"]
    shifted = Daily(days.domain, days.ordinal + 1, days.squared_error)
    with pytest.raises(ConvoyError, match=r"unet and ridge are not of the same days \(365 and 365\).*`dvc"):
        compare(found.metrics, {**found.daily, "unet": {"test": shifted}}, FACTS, PARAMS)


def test_nothing_to_compare_is_refused(parts):
    with pytest.raises(ConvoyError, match=r"climate\.networks, climate\.baselines: no model to compare"):
        compare({}, {}, FACTS, PARAMS)
    found = Rated({"ridge": always(0.5), "unet": always(0.4)}, {"test": parts["test"]})
    with pytest.raises(ConvoyError, match="no baseline has daily errors on split 'test'"):
        compare({"unet": found.metrics["unet"]}, {"unet": found.daily["unet"]}, FACTS, PARAMS)


def test_the_comparison_is_plain_json_and_a_flat_table(parts):
    found = compared({"ridge": at_home(0.4), "bicubic": always(0.9), "unet": always(0.5)}, parts)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    header, rows = table(found)
    # Three models on three splits, two on unseen terrain.
    assert len(rows) == 11
    assert rows[0][:4] == ["test", "ridge", "baseline", pytest.approx(0.4, rel=1e-3)]
    assert all(len(row) == len(header) for row in rows)
    assert [row[1] for row in rows if row[0] == "unseen_terrain"] == ["unet", "bicubic"]
