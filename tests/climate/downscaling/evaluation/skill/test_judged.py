"""Which days and cells count, and what a model is charged with where it says nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import EvaluateParams, evaluate
from convoy.climate.downscaling.evaluation.skill.judged import answers, daily_errors, judged
from convoy.core.errors import ConvoyError
from tests.support import baselines
from tests.support.climates import FINE, first, noisy, with_inputs, world

HOME = world(noisy)
TEST = first(HOME.at(HOME.days.year == 2003), 80)
Change = Callable[[np.ndarray], None]


def says(change: Change, by: float = 0.5, spread: np.ndarray | None = None) -> Callable[[Domain], Any]:
    """A model that is off by `by`, but for what `change` does to its field."""

    def predict(domain: Domain) -> Any:
        field = (TEST.target[: len(domain.days)] + by).astype(np.float32)
        change(field)
        return field, spread

    return predict


def nothing_on(day: int) -> Change:
    def change(field: np.ndarray) -> None:
        field[day] = np.nan

    return change


def one(model: str, predict: Callable[[Domain], Any], domain: Domain = TEST) -> Any:
    found = answers(model, predict, "test", judged("test", [domain]), "tasmax")
    assert found is not None
    return found[0]


def holed(name: str, day: int) -> Domain:
    """The test days with an input that is missing in all cells of a day."""
    field = TEST.inputs[name].copy()
    field[day] = np.nan
    return with_inputs(TEST, **{name: field})


def test_a_network_that_says_nothing_is_refused_in_one_line() -> None:
    def change(field: np.ndarray) -> None:
        field[7, 2, 3] = field[9, 4, 5:7] = np.nan

    with pytest.raises(ConvoyError) as told:
        one("residual", says(change))
    assert str(told.value).startswith(
        "residual, split 'test', home: no finite tasmax for 3 values of the truth on 2 days, the first "
        "2003-01-08, although the inputs are there; fit it again"
    )
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("model", ["residual", "bicubic", "ridge"])
def test_an_infinite_number_is_refused_of_any_model(model: str) -> None:
    def change(field: np.ndarray) -> None:
        field[0, 0, 0] = np.inf

    with pytest.raises(ConvoyError, match=f"{model}, split 'test', home: no finite tasmax for 1 values"):
        one(model, says(change))


def test_a_baseline_that_could_speak_everywhere_is_refused_as_a_network_is() -> None:
    with pytest.raises(ConvoyError, match="lapse_daily, split 'test', home: no finite tasmax for 320 values"):
        one("lapse_daily", says(nothing_on(3)))


def test_a_spread_that_is_no_number_is_refused_too() -> None:
    spread = np.ones(TEST.target.shape, np.float32)
    spread[11, 0, 0] = np.nan
    with pytest.raises(ConvoyError, match="1 values of the truth on 1 days, the first 2003-01-12"):
        one("unet", says(lambda _field: None, spread=spread))


def test_what_is_said_where_there_is_no_truth_does_not_matter() -> None:
    sea = replace(TEST, target=TEST.target.copy())
    sea.target[:, :4] = np.nan

    def change(field: np.ndarray) -> None:
        field[:, :4] = np.nan

    silent, loud = one("residual", says(change), sea), one("residual", says(lambda _field: None), sea)
    assert silent.predicted == silent.values == loud.values == 80 * 12 * 20
    np.testing.assert_array_equal(daily_errors([silent]).squared_error, daily_errors([loud]).squared_error)


def test_where_a_pixel_was_never_seen_bicubic_interpolation_stands_in() -> None:
    def change(field: np.ndarray) -> None:
        field[:, 3, 6:10] = np.nan

    found = one("ridge", says(change, by=0.1))
    assert (found.predicted, found.values) == (80 * (320 - 4), 80 * 320)
    squared = np.full(TEST.target.shape, 0.01)
    bicubic = baselines.predict("bicubic", {}, TEST)
    squared[:, 3, 6:10] = (bicubic - TEST.target)[:, 3, 6:10].astype(np.float64) ** 2
    expected = (squared * FINE.areas).sum(axis=(1, 2)) / FINE.areas.sum()
    np.testing.assert_allclose(daily_errors([found]).squared_error, expected, rtol=1e-3)
    # Which is worse than what it said elsewhere: silence does not pay.
    assert daily_errors([found]).rmse > 0.2


def test_coverage_is_the_share_of_its_own_answers() -> None:
    def change(field: np.ndarray) -> None:
        field[:, :4] = np.nan

    best = {"ridge": {"test": Daily(np.array(["home"] * 80), TEST.days.ordinal, np.ones(80))}}
    params = EvaluateParams(resamples=100)
    for model, predict, share in (("ridge", says(change), 0.75), ("unet", says(lambda _field: None), 1.0)):
        found = evaluate(model, [predict], {"test": [TEST]}, "tasmax", None, best, params)
        assert found.metrics["test"]["coverage"] == share


def test_a_baseline_has_an_error_on_every_day_although_training_never_saw_a_pixel() -> None:
    unseen = first(HOME, 365)
    unseen = replace(unseen, target=unseen.target.copy())
    unseen.target[:, 2, 5] = np.nan
    for name in ("monthly_residual", "quantile_mapping", "ridge"):
        found = baselines.daily(name, {"train": [unseen], "test": [TEST]}, "tasmax")["test"]
        assert found.known.all()
        tensors, _ = baselines.fit(name, [unseen])
        field = baselines.predict(name, tensors, TEST)
        assert np.isnan(field[:, 2, 5]).all()
        field[:, 2, 5] = baselines.predict("bicubic", {}, TEST)[:, 2, 5]
        squared = (field - TEST.target).astype(np.float64) ** 2 * FINE.areas
        np.testing.assert_allclose(
            found.squared_error, squared.sum(axis=(1, 2)) / FINE.areas.sum(), rtol=1e-3
        )


@pytest.mark.parametrize("name", ["tasmax", "psl"])
def test_a_day_without_an_input_counts_for_no_model(name: str) -> None:
    domain = holed(name, 40)
    for model, change in (("residual", nothing_on(40)), ("srcnn", lambda _field: None)):
        found = one(model, says(change), domain)
        assert (found.days, found.predicted, found.values) == (79, 79 * 320, 79 * 320)
        errors = daily_errors([found])
        assert np.flatnonzero(~errors.known).tolist() == [40]
        assert errors.rmse == pytest.approx(0.5, rel=1e-4)
    # Whoever is silent on the day after, when the input is back, is refused.
    with pytest.raises(ConvoyError, match="the first 2003-02-11"):
        one("residual", says(nothing_on(41)), domain)


def test_a_day_of_which_only_part_is_missing_counts() -> None:
    field = TEST.inputs["psl"].copy()
    field[40, 1:] = np.nan
    assert one("residual", says(lambda _field: None), with_inputs(TEST, psl=field)).days == 80


def test_a_split_without_a_day_to_judge_is_refused() -> None:
    empty = with_inputs(TEST, huss=np.full_like(TEST.inputs["huss"], np.nan))
    with pytest.raises(ConvoyError, match="split 'test': no day on which the truth and all inputs have"):
        judged("test", [empty])
    found = judged("test", [empty, TEST])
    assert np.isnan(found[0].target).all()
    assert found[1] is TEST
