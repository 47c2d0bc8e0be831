"""Each baseline in a world that is as it believes: there it makes no error."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from convoy.climate.data.domains import Days, Domain
from convoy.climate.data.regridding import interpolation
from convoy.climate.downscaling.models.baselines import RIDGE_PENALTIES
from convoy.climate.downscaling.models.params import BaselineParams
from convoy.climate.downscaling.models.specs import MODELS
from convoy.core.models import names_of
from tests.support.baselines import fit, predict
from tests.support.climates import COARSE, FINE, YEARS, first, heights, noisy, plane, with_inputs, world

PER_PIXEL = {"climatology", "monthly_residual", "quantile_mapping", "ridge"}
BASELINES = names_of(MODELS, "baseline")
BICUBIC = interpolation(COARSE, FINE, "bicubic")
MONTHLY = np.random.default_rng(2).uniform(3, 9, 12)


def fitted(name: str, training: list[Domain], domain: Domain) -> np.ndarray:
    field = predict(name, fit(name, training)[0], domain)
    assert field.shape == domain.target.shape
    return field


def split(domain: Domain) -> tuple[Domain, Domain]:
    """Two years to learn from and one to be tested on."""
    return domain.at(domain.days.year < 2003), domain.at(domain.days.year == 2003)


def coarse_noise(days: Days, seed: int = 0) -> np.ndarray:
    return 285 + np.random.default_rng([seed, len(days)]).normal(0, 3, (len(days), *COARSE.shape))


def lapsing(rates: np.ndarray, days: Days = YEARS) -> Domain:
    """A plane at sea level, and the rate (T,) at which both terrains rise from it."""
    rates = rates[:, None, None]
    domain = world(lambda days, z: plane(FINE) - rates * z / 1000, days)
    coarse = plane(COARSE) - rates * domain.coarse_static["elevation"] / 1000
    return with_inputs(domain, tasmax=coarse.astype(np.float32))


def test_the_baselines_and_which_of_them_are_per_pixel() -> None:
    assert list(BASELINES) == [
        "nearest", "climatology", "bilinear", "bicubic", "lapse_fixed", "lapse_monthly", "lapse_daily",
        "monthly_residual", "quantile_mapping", "ridge",
    ]  # fmt: skip
    assert {name for name in BASELINES if MODELS[name].per_pixel} == PER_PIXEL


def test_nearest_where_the_truth_is_made_of_blocks() -> None:
    domain = world(lambda days, z: np.kron(coarse_noise(days), np.ones((4, 4))), first_days(10))
    np.testing.assert_allclose(fitted("nearest", [domain], domain), domain.target, atol=1e-3)


def first_days(count: int) -> Days:
    return YEARS.at(slice(0, count))


def test_bilinear_where_the_truth_is_scipy_s() -> None:
    points = np.stack(np.meshgrid(FINE.lat.centres, FINE.lon.centres, indexing="ij"), axis=-1)
    axes = (COARSE.lat.centres, COARSE.lon.centres)
    coarse = coarse_noise(first_days(10))
    truth = np.stack([
        RegularGridInterpolator(axes, day, bounds_error=False, fill_value=None)(points) for day in coarse
    ])  # fmt: skip
    domain = world(lambda days, z: truth, first_days(10), coarse=lambda _: coarse)
    np.testing.assert_allclose(fitted("bilinear", [domain], domain), truth, atol=1e-3)
    assert np.abs(fitted("bicubic", [domain], domain) - truth).max() > 0.1


def test_bicubic_where_the_truth_is_a_parabola() -> None:
    def parabola(grid):
        north, east = grid.lat.centres[:, None] - 46, grid.lon.centres[None, :] - 8
        return 285 + north**2 - 0.7 * east**2 + 0.3 * north * east

    truth, coarse = (parabola(grid)[None].repeat(3, axis=0) for grid in (FINE, COARSE))
    domain = world(lambda days, z: truth, first_days(3), coarse=lambda _: coarse)
    inner = (slice(None), slice(6, 10), slice(6, 14))
    np.testing.assert_allclose(fitted("bicubic", [domain], domain)[inner], truth[inner], atol=1e-3)
    assert np.abs(fitted("bilinear", [domain], domain) - truth)[inner].max() > 0.1


def test_the_fixed_lapse_where_it_is_the_standard_one() -> None:
    domain = lapsing(np.full(20, 6.5), first_days(20))
    np.testing.assert_allclose(fitted("lapse_fixed", [domain], domain), domain.target, atol=2e-3)


def test_the_monthly_lapse_where_months_have_their_own() -> None:
    train, test = split(lapsing(MONTHLY[YEARS.month - 1]))
    np.testing.assert_allclose(fitted("lapse_monthly", [train], test), test.target, atol=1e-2)
    assert np.abs(fitted("lapse_fixed", [train], test) - test.target).max() > 1


def test_a_month_that_was_never_seen_takes_the_mean_of_all_days() -> None:
    train, _ = split(lapsing(MONTHLY[YEARS.month - 1]))
    winter = train.at(np.isin(train.days.month, (12, 1, 2)))
    tensors, _ = fit("lapse_monthly", [winter])
    expected = MONTHLY[winter.days.month - 1].mean()
    np.testing.assert_allclose(tensors["lapse"][[3, 6]], expected, atol=1e-2)
    np.testing.assert_allclose(tensors["lapse"][[11, 0, 1]], MONTHLY[[11, 0, 1]], atol=1e-2)


def test_the_daily_lapse_where_each_day_has_its_own() -> None:
    rates = np.random.default_rng(4).uniform(2, 10, 50)
    domain = lapsing(rates, first_days(50))
    np.testing.assert_allclose(fitted("lapse_daily", [domain], domain), domain.target, atol=5e-3)


def on_bicubic(add: np.ndarray | float = 0.0, stretch: np.ndarray | float = 1.0) -> Domain:
    """The truth is a function of bicubic, cell by cell."""
    coarse = coarse_noise(YEARS)
    bicubic = BICUBIC(coarse.astype(np.float32))
    return world(lambda days, z: 285 + stretch * (bicubic - 285) + add, coarse=lambda _: coarse)


def test_the_monthly_residual_where_each_month_has_a_map() -> None:
    maps = np.random.default_rng(6).normal(0, 2, (12, *FINE.shape))
    train, test = split(on_bicubic(maps[YEARS.month - 1]))
    np.testing.assert_allclose(fitted("monthly_residual", [train], test), test.target, atol=5e-3)
    # A month that was never seen takes the mean of all days.
    half = train.at(train.days.month <= 6)
    july = test.at(test.days.month == 7)
    expected = BICUBIC(july.inputs["tasmax"]) + maps[half.days.month - 1].mean(axis=0)
    np.testing.assert_allclose(fitted("monthly_residual", [half], july), expected, atol=5e-3)


def test_quantile_mapping_where_each_cell_and_season_stretches_what_comes() -> None:
    draw = np.random.default_rng(7)
    stretch, shift = draw.uniform(0.5, 2, (4, *FINE.shape)), draw.normal(0, 3, (4, *FINE.shape))
    season = YEARS.month % 12 // 3
    train, test = split(on_bicubic(shift[season], stretch[season]))
    found = fitted("quantile_mapping", [train], test)
    # Between the outermost quantiles a straight map is exact.
    guess, known = BICUBIC(test.inputs["tasmax"]), BICUBIC(train.inputs["tasmax"])
    of_train, of_test = (domain.days.month % 12 // 3 for domain in (train, test))
    for number in range(4):
        days = of_test == number
        low, high = np.quantile(known[of_train == number], [0.01, 0.99], axis=0)
        inside = (guess[days] >= low) & (guess[days] <= high)
        assert inside.mean() > 0.9
        np.testing.assert_allclose(found[days][inside], test.target[days][inside], atol=0.02)
        # Beyond, the change is that of the outermost quantile.
        above = guess[days] - high
        beyond = np.where(above > 0.2, found[days] - guess[days], np.nan)
        outermost = shift[number] + (stretch[number] - 1) * (high - 285)
        np.testing.assert_allclose(
            beyond[above > 0.2], np.broadcast_to(outermost, beyond.shape)[above > 0.2], atol=0.05
        )


def test_quantile_mapping_makes_any_distribution_into_that_of_the_truth() -> None:
    def skewed(bicubic: np.ndarray) -> np.ndarray:
        return 285 + np.exp((bicubic - 285) / 3)

    coarse = coarse_noise(YEARS)
    domain = world(lambda days, z: skewed(BICUBIC(coarse.astype(np.float32))), coarse=lambda _: coarse)
    found = fitted("quantile_mapping", [domain], domain)
    for level in (0.05, 0.5, 0.95):
        error = np.quantile(found, level, axis=0) - np.quantile(domain.target, level, axis=0)
        assert np.abs(error).mean() < 0.05


def test_ridge_where_the_truth_is_linear_in_what_it_sees() -> None:
    """Over the daily lapse: pressure to the east, humidity here and the season, weighted cell by cell."""
    draw = np.random.default_rng(8)
    weight, other, wave = draw.normal(0, 1, (3, *FINE.shape))
    domain = lapsing(np.random.default_rng(4).uniform(2, 10, len(YEARS)))
    east = np.concatenate([domain.inputs["psl"][:, :, 1:], domain.inputs["psl"][:, :, -1:]], axis=2)
    cells = np.ones((4, 4), np.float32)
    pressure = np.kron((east - 101_300) / 700, cells)
    moisture = np.kron((domain.inputs["huss"] - 0.007) / 0.002, cells)
    more = weight * pressure + other * moisture + wave * np.sin(2 * YEARS.season)[:, None, None]
    train, test = split(replace(domain, target=(domain.target + more).astype(np.float32)))
    tensors, _ = fit("ridge", [train])
    found = predict("ridge", tensors, test)
    assert np.sqrt(np.mean((found - test.target) ** 2)) < 0.02
    assert np.sqrt(np.mean((fitted("lapse_daily", [train], test) - test.target) ** 2)) > 1
    assert tensors["penalty"] == min(RIDGE_PENALTIES)


def test_ridge_is_scikit_learn_s() -> None:
    """Of one cell, on predictors that are put together here."""
    from sklearn.linear_model import Ridge

    train = first(world(noisy), 300)
    tensors, _ = fit("ridge", [train])
    row, column, cell = 2, 3, (9, 13)
    window = [
        field[:, max(row + i, 0)][:, max(column + j, 0)]
        for field in train.inputs.values() for i in (-1, 0, 1) for j in (-1, 0, 1)
    ]  # fmt: skip
    angle = train.days.season
    waves = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    predictors = np.stack([*window, *waves], axis=1).astype(np.float64)
    scaled = (predictors - tensors["mean"]) / tensors["scale"]
    base = fitted("lapse_daily", [train], train)[(slice(None), *cell)]
    truth = train.target[(slice(None), *cell)]
    model = Ridge(alpha=float(tensors["penalty"][0])).fit(scaled, truth - base)
    found = fitted("ridge", [train], train)[(slice(None), *cell)]
    np.testing.assert_allclose(found, base + model.predict(scaled), atol=5e-3)


def test_ridge_trusts_nothing_where_there_is_only_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 1, (len(YEARS), *FINE.shape))
    domain = lapsing(np.full(len(YEARS), 6.0))
    domain = replace(domain, target=(domain.target + noise).astype(np.float32))
    assert fit("ridge", [first(domain, 200)])[0]["penalty"] == max(RIDGE_PENALTIES)


@pytest.mark.parametrize("name", BASELINES)
def test_a_per_pixel_baseline_is_bound_to_a_place_and_goes_to_the_same_surface(name) -> None:
    home = first(world(noisy), 400)
    away = first(world(noisy, name="away", seed=1), 40)
    warmer = replace(away, name="warmer", place="home", static=home.static, coarse_static=home.coarse_static)
    tensors, place = fit(name, [away, home])
    assert place == ("home" if name in PER_PIXEL else None)
    assert np.isfinite(predict(name, tensors, warmer)).all()


def test_the_place_with_the_most_days_in_all_is_learnt() -> None:
    home, away = world(noisy), world(noisy, name="away", seed=1)
    parts = [first(home, 30), first(away, 25), first(away, 25)]
    assert fit("monthly_residual", parts)[1] == "away"


@pytest.mark.parametrize("name", sorted(PER_PIXEL))
def test_cells_that_are_always_missing_stay_so_and_change_no_other(name) -> None:
    domain = first(world(noisy), 400)
    masked = replace(domain, target=domain.target.copy())
    sea = heights() < 300
    masked.target[:, sea] = np.nan
    whole, found = (fitted(name, [part], part) for part in (domain, masked))
    assert np.isnan(found[:, sea]).all()
    np.testing.assert_allclose(found[:, ~sea], whole[:, ~sea], atol=1e-3)


@pytest.mark.parametrize("name", sorted(PER_PIXEL))
def test_days_that_are_missing_are_as_days_that_were_not_given(name) -> None:
    domain = first(world(noisy), 400)
    gaps = np.random.default_rng(0).random(400) < 0.1
    gaps[5] = True
    masked = replace(domain, target=domain.target.copy())
    masked.target[gaps] = np.nan
    found, expected = (fitted(name, [part], domain) for part in (masked, domain.at(~gaps)))
    assert np.isfinite(found).all()
    # Ridge scales its predictors by all days that it is given.
    np.testing.assert_allclose(found, expected, atol=0.05 if name == "ridge" else 1e-3)


def test_climatology_is_the_mean_of_pixel_and_month_by_xarray() -> None:
    import xarray as xr

    train, test = split(world(noisy))
    dates = np.array(train.days.labels, dtype="datetime64[ns]")
    truth = xr.DataArray(train.target.astype(np.float64), dims=("time", "y", "x"), coords={"time": dates})
    means = truth.groupby("time.month").mean()
    expected = means.sel(month=xr.DataArray(test.days.month)).values
    np.testing.assert_allclose(fitted("climatology", [train], test), expected, atol=1e-3)


def test_climatology_makes_no_error_where_every_year_is_the_same_and_sees_no_coarse_field() -> None:
    def months(days: Days, z: np.ndarray) -> np.ndarray:
        return 270 + MONTHLY[days.month - 1][:, None, None] + z / 1000

    train, test = split(world(months))
    np.testing.assert_allclose(fitted("climatology", [train], test), test.target, atol=1e-3)
    other = with_inputs(test, tasmax=test.inputs["tasmax"] + np.float32(9))
    np.testing.assert_array_equal(fitted("climatology", [train], other), fitted("climatology", [train], test))


def test_a_month_that_training_lacks_has_the_mean_of_all_days() -> None:
    train, test = split(world(noisy))
    found = fitted("climatology", [train.at(train.days.month != 7)], test)
    expected = train.at(train.days.month != 7).target.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(found[test.days.month == 7][0], expected, atol=1e-3)


@pytest.mark.parametrize("name", BASELINES)
def test_missing_coarse_cells_are_filled_from_beside_them(name) -> None:
    domain = first(world(noisy), 400)
    holed = with_inputs(domain, **{key: field.copy() for key, field in domain.inputs.items()})
    for field in holed.inputs.values():
        field[:, 0, 0] = np.nan
    found = fitted(name, [holed], holed)
    assert np.isfinite(found).all()
    whole = fitted(name, [domain], domain)
    assert np.abs(found - whole)[:, 8:, 8:].max() < 1.5


def test_baselines_have_nothing_to_set() -> None:
    assert not BaselineParams.model_fields
