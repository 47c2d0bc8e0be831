import numpy as np
import pytest
import scores.continuous
import scores.probability
import xarray
from scipy.special import ndtri

from convoy.climate.data.domains import Axis, Days, Grid
from convoy.climate.data.regridding import area_mean
from convoy.climate.downscaling.evaluation.skill import measures as skill

GRID = Grid(Axis.regular(40.0, 1.0, 16), Axis.regular(0.0, 1.0, 20))
DAYS = Days.years(2001, 2)
MEASURES = {
    *("rmse", "mae", "bias", "r2", "anomaly_correlation", "sd_ratio", "p02_bias", "p98_bias", "txx_bias"),
    *("summer_days_bias", "log_spectral_distance", "high_frequency_ratio", "ssim", "coarse_error", "crps"),
    "spread_skill",
}
CELLWISE = sorted(
    MEASURES
    - {"log_spectral_distance", "high_frequency_ratio", "ssim", "coarse_error", "crps", "spread_skill"}
)


def warm_fields(seed: int = 0, days: Days = DAYS, grid: Grid = GRID) -> np.ndarray:
    """A season and noise around 290 K, (T, H, W) in single precision."""
    noise = np.random.default_rng(seed).standard_normal((len(days), *grid.shape))
    return (290 - 8 * np.cos(days.season)[:, None, None] + 3 * noise).astype(np.float32)


def weighted_mean(values: np.ndarray, areas: np.ndarray) -> float:
    """Mean of (T, H, W) by numpy in double precision; missing values have no weight."""
    weights = np.where(np.isnan(values), 0, np.broadcast_to(areas, values.shape))
    return float(np.average(np.nan_to_num(values.astype(np.float64)), weights=weights))


def test_a_perfect_prediction():
    truth = warm_fields()
    coarse = Grid(Axis.regular(40.0, 4.0, 4), Axis.regular(0.0, 4.0, 5))
    means = area_mean(GRID, coarse)
    found = skill.measures(truth, truth, GRID, DAYS, coarse=means(truth.astype(np.float64)), means=means)
    assert set(found) == MEASURES
    for name in ("rmse", "mae", "bias", "p02_bias", "p98_bias", "txx_bias", "summer_days_bias"):
        assert found[name] == 0, name
    for name in ("r2", "anomaly_correlation", "sd_ratio", "high_frequency_ratio", "ssim"):
        assert found[name] == pytest.approx(1, abs=1e-9), name
    assert found["log_spectral_distance"] == pytest.approx(0, abs=1e-9)
    assert found["coarse_error"] == pytest.approx(0, abs=1e-9)
    assert found["crps"] is None
    assert found["spread_skill"] is None


def test_a_constant_offset_moves_every_level_and_no_anomaly():
    truth = warm_fields(1)
    found = skill.measures(truth + np.float32(1.5), truth, GRID, DAYS)
    for name in ("rmse", "mae", "bias", "p02_bias", "p98_bias", "txx_bias"):
        assert found[name] == pytest.approx(1.5, rel=1e-5), name
    for name in ("anomaly_correlation", "sd_ratio"):
        assert found[name] == pytest.approx(1, abs=1e-6), name
    assert found["log_spectral_distance"] == pytest.approx(0, abs=1e-3)
    spread = truth - weighted_mean(truth, GRID.areas)
    assert found["r2"] == pytest.approx(1 - 1.5**2 / weighted_mean(spread**2, GRID.areas), rel=1e-5)
    assert found["coarse_error"] is None
    assert found["high_frequency_ratio"] is None


def test_cells_count_by_their_area():
    # Rows from the equator to 10 and from 60 to 70 degrees north: sin 10 and sin 70 - sin 60.
    lat = Axis(np.array([5.0, 65.0]), np.array([[0.0, 10.0], [60.0, 70.0]]))
    grid = Grid(lat, Axis.regular(0.0, 1.0, 3))
    low, high = np.sin(np.radians(10)), np.sin(np.radians(70)) - np.sin(np.radians(60))
    share = low / (low + high)
    error = np.broadcast_to(np.array([1.0, -3.0])[None, :, None], (4, 2, 3))
    truth = np.full((4, 2, 3), 280.0)
    squared = skill.daily_squared_error(truth + error, truth, grid.areas)
    np.testing.assert_allclose(squared, np.full(4, share + 9 * (1 - share)), rtol=1e-12)
    absolute = skill.daily_absolute_error(truth + error, truth, grid.areas)
    np.testing.assert_allclose(absolute, np.full(4, share + 3 * (1 - share)), rtol=1e-12)
    mean = skill.daily_error(truth + error, truth, grid.areas)
    np.testing.assert_allclose(mean, np.full(4, share - 3 * (1 - share)), rtol=1e-12)


def test_daily_errors_skip_what_either_field_misses():
    rng = np.random.default_rng(2)
    truth, prediction = warm_fields(2), warm_fields(3)
    truth[rng.random(truth.shape) < 0.2] = np.nan
    prediction[rng.random(truth.shape) < 0.2] = np.nan
    truth[7] = np.nan
    found = skill.daily_squared_error(prediction, truth, GRID.areas)
    assert found.dtype == np.float64
    assert np.isnan(found[7])
    for day in (0, 6, 8, len(truth) - 1):
        error = (prediction[day : day + 1] - truth[day : day + 1]).astype(np.float64)
        assert found[day] == pytest.approx(weighted_mean(error**2, GRID.areas), rel=1e-6)
    known = np.delete(found, 7)
    measured = skill.measures(prediction, truth, GRID, DAYS)
    assert measured["rmse"] == pytest.approx(np.sqrt(known.mean()), rel=1e-9)


def test_masked_columns_are_as_if_the_grid_ended_before_them():
    truth, prediction = warm_fields(4), warm_fields(5)
    smaller = Grid(GRID.lat, Axis.regular(0.0, 1.0, 15))
    expected = skill.measures(prediction[:, :, :15], truth[:, :, :15], smaller, DAYS)
    truth[:, :, 15:] = np.nan
    prediction[:, :, 15:] += 1000
    found = skill.measures(prediction, truth, GRID, DAYS)
    for name in CELLWISE:
        assert found[name] == pytest.approx(expected[name], rel=1e-9), name
    # Nor does it matter which of the two is missing, or what stands in its place.
    swapped = skill.measures(truth, prediction, GRID, DAYS)
    assert swapped["rmse"] == pytest.approx(expected["rmse"], rel=1e-9)
    truth[:, :, 15:], prediction[:, :, 15:] = 5, np.nan
    again = skill.measures(prediction, truth, GRID, DAYS)
    assert again == found


def test_r2_is_the_nash_sutcliffe_efficiency_of_scores():
    truth, prediction = warm_fields(6), warm_fields(7)
    truth[:, 2:5, :6] = np.nan
    dims = ("time", "lat", "lon")
    expected = scores.continuous.nse(
        xarray.DataArray(prediction, dims=dims),
        xarray.DataArray(truth, dims=dims),
        weights=xarray.DataArray(GRID.areas, dims=dims[1:]),
    )
    found = skill.measures(prediction, truth, GRID, DAYS)["r2"]
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_crps_of_a_normal_distribution_at_its_centre_and_without_spread():
    areas = GRID.areas
    truth = np.full((3, *GRID.shape), 280.0)
    sd = np.array([0.5, 1.0, 4.0])[:, None, None] * np.ones(GRID.shape)
    found = skill.daily_crps(truth, sd, truth, areas)
    np.testing.assert_allclose(found, np.array([0.5, 1, 4]) * (np.sqrt(2) - 1) / np.sqrt(np.pi), rtol=1e-12)
    exact = skill.daily_crps(truth - 3, np.zeros_like(sd), truth, areas)
    np.testing.assert_allclose(exact, 3.0, rtol=1e-12)
    np.testing.assert_allclose(skill.daily_crps(truth, np.zeros_like(sd), truth, areas), 0.0, atol=1e-12)


def test_crps_agrees_with_that_of_a_large_ensemble_in_scores():
    # More days than are held at a time; the ensemble holds the quantiles of the distribution.
    rng = np.random.default_rng(8)
    shape = (300, 1, 2)
    mean, sd, truth = rng.normal(size=shape), rng.uniform(0.2, 2, shape), 3 * rng.normal(size=shape)
    truth[40, 0, 0] = np.nan
    members = mean[..., None] + sd[..., None] * ndtri((np.arange(4000) + 0.5) / 4000)
    dims = ("time", "lat", "lon")
    expected = scores.probability.crps_for_ensemble(
        xarray.DataArray(members, dims=(*dims, "member")),
        xarray.DataArray(truth, dims=dims),
        "member",
        preserve_dims="time",
    )
    found = skill.daily_crps(mean, sd, truth, np.array([[0.5, 0.5]]))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_spread_that_tells_the_error_is_one_and_counts_only_where_there_is_truth():
    rng = np.random.default_rng(9)
    prediction = warm_fields(10)
    sd = rng.uniform(0.5, 2.5, prediction.shape)
    truth = prediction + sd * rng.standard_normal(prediction.shape)
    found = skill.measures(prediction, truth, GRID, DAYS, sd=sd)
    assert found["spread_skill"] == pytest.approx(1, abs=0.01)
    # Expected CRPS of a right normal distribution: sd / sqrt(pi).
    assert found["crps"] == pytest.approx(1.5 / np.sqrt(np.pi), rel=0.01)
    assert skill.measures(prediction, truth, GRID, DAYS, sd=2 * sd)["spread_skill"] == pytest.approx(
        2 * found["spread_skill"], rel=1e-9
    )
    truth[:, 3] = np.nan
    kept = skill.measures(prediction, truth, GRID, DAYS, sd=sd)
    sd[:, 3] = 1e6
    assert skill.measures(prediction, truth, GRID, DAYS, sd=sd) == kept


def test_coarse_error_weighs_coarse_cells_by_area_and_skips_those_mostly_missing():
    fine = Grid(Axis.regular(0.0, 10.0, 8), Axis.regular(0.0, 10.0, 4))
    coarse = Grid(Axis.regular(0.0, 20.0, 4), Axis.regular(0.0, 20.0, 2))
    means = area_mean(fine, coarse)
    truth = np.random.default_rng(11).normal(280, 5, (300, *fine.shape))
    given = means(truth)
    offset = np.array([0.0, 1.0, 0.0, 2.0])
    found = skill.coarse_error(truth + offset.repeat(2)[:, None], given, means, fine.areas)
    area = np.diff(np.sin(np.radians([0, 20, 40, 60, 80])))
    assert found == pytest.approx(np.sqrt((area * offset**2).sum() / area.sum()), rel=1e-9)
    # Without the highest row of coarse cells only the offset of 1 K is left.
    broken = truth + offset.repeat(2)[:, None]
    broken[:, 6:] = np.nan
    found = skill.coarse_error(broken, given, means, fine.areas)
    assert found == pytest.approx(np.sqrt(area[1] / area[:3].sum()), rel=1e-9)
    assert np.isnan(skill.coarse_error(np.full_like(truth, np.nan), given, means, fine.areas))


def test_change_error_is_that_of_the_mean_change():
    today, future = warm_fields(12), warm_fields(13, Days.years(2051, 1))
    pattern = np.zeros((16, 1))
    pattern[:4] = 0.5
    # A bias that stays is no error of the change; a change too large by 0.5 K in the four southern rows is.
    found = skill.change_error(future + 2 + pattern, today + 2, future, today, GRID.areas)
    assert found == pytest.approx(0.5 * np.sqrt(GRID.areas[:4].sum()), rel=1e-4)
    today[:, :4] = np.nan
    found = skill.change_error(future + 2 + pattern, today + 2, future, today, GRID.areas)
    assert found == pytest.approx(0, abs=1e-5)
    assert skill.change_error(future, today * np.nan, future, today, GRID.areas) is None


def test_by_season_tells_the_months_apart():
    truth = warm_fields(14)
    errors = np.select([DAYS.month <= 2, DAYS.month == 7], [2.0, -1.0], 0.0)
    prediction = truth + errors[:, None, None]
    squared, error = (
        measure(prediction, truth, GRID.areas) for measure in (skill.daily_squared_error, skill.daily_error)
    )
    found = skill.by_season(squared, error, DAYS.month)
    assert list(found) == ["DJF", "MAM", "JJA", "SON"]
    # 59 of the 90 days of winter, 31 of the 92 of summer.
    assert found["DJF"] == pytest.approx({"rmse": 2 * np.sqrt(59 / 90), "bias": 2 * 59 / 90}, rel=1e-6)
    assert found["JJA"] == pytest.approx({"rmse": np.sqrt(31 / 92), "bias": -31 / 92}, rel=1e-6)
    assert found["MAM"] == found["SON"] == {"rmse": 0.0, "bias": 0.0}
    winter = DAYS.month == 1
    assert list(skill.by_season(squared[winter], error[winter], DAYS.month[winter])) == ["DJF"]


def test_by_elevation_has_the_bands_that_have_cells():
    truth = warm_fields(15)
    elevation = np.full(GRID.shape, -3.0)
    elevation[4:8], elevation[8:12], elevation[12:] = 500.0, 500.5, 2600.0
    prediction = truth + (elevation > 0) * 1.0 + (elevation > 2000) * 2.0
    truth[:, 8:10] = np.nan
    found = skill.by_elevation([(prediction, truth, GRID, elevation)])
    assert [(band["from_m"], band["to_m"]) for band in found] == [
        (None, 0),
        (0, 500),
        (500, 1000),
        (2000, None),
    ]
    assert [band["bias"] for band in found] == pytest.approx([0, 1, 1, 3])
    assert [band["rmse"] for band in found] == pytest.approx([0, 1, 1, 3])
    truth[:, 8:12] = np.nan
    assert [band["from_m"] for band in skill.by_elevation([(prediction, truth, GRID, elevation)])] == [
        None,
        0,
        2000,
    ]


def test_a_band_weighs_its_cells_by_area():
    truth = np.zeros((2, *GRID.shape))
    prediction = np.zeros_like(truth)
    prediction[:, 15] = 1
    (band,) = skill.by_elevation([(prediction, truth, GRID, np.zeros(GRID.shape))])
    assert band["bias"] == pytest.approx(GRID.areas[15].sum())


def test_bands_hold_the_days_of_all_domains_that_have_them():
    truth = warm_fields(16)[:6]
    low, high = np.full(GRID.shape, 100.0), np.full(GRID.shape, 700.0)
    high[:, :3] = 100.0
    found = skill.by_elevation([(truth + 1, truth, GRID, low), (truth[:2] - 3, truth[:2], GRID, high)])
    assert [band["from_m"] for band in found] == [0, 500]
    # Six days too warm by 1 K and two too cold by 3 K lie low, the same two lie high.
    assert found[0]["bias"] == pytest.approx((6 - 2 * 3) / 8, abs=1e-4)
    assert found[0]["rmse"] == pytest.approx(np.sqrt((6 + 2 * 9) / 8), rel=1e-5)
    assert found[1]["bias"] == pytest.approx(-3, rel=1e-5)


def test_what_cannot_be_known_is_none():
    nothing = np.full((5, *GRID.shape), np.nan, np.float32)
    few = DAYS.at(slice(0, 5))
    assert skill.measures(nothing, nothing, GRID, few, sd=nothing) == dict.fromkeys(MEASURES)
    flat = np.full((5, *GRID.shape), 290.0, np.float32)
    found = skill.measures(flat + 1, flat, GRID, few, sd=np.ones_like(flat))
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == {
        *("r2", "anomaly_correlation", "sd_ratio", "log_spectral_distance", "high_frequency_ratio"),
        *("ssim", "coarse_error"),
    }
    assert found["spread_skill"] == pytest.approx(1)
    assert skill.measures(flat, flat, GRID, few, sd=flat)["spread_skill"] is None
