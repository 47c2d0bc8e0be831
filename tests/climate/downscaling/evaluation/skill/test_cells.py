import numpy as np
import pytest
import scores.continuous
import xarray

from convoy.climate.data.domains import Days
from convoy.climate.downscaling.evaluation.skill.cells import anomalies, area_mean, cell_measures, harmonics

# Every season angle of a year of 360 days is equally far from the next: harmonics are orthogonal.
DAYS = Days.years(2001, 2, "360_day")
AREAS = np.array([[0.1, 0.2, 0.0], [0.3, 0.3, 0.1]])


def columns(*series: np.ndarray) -> np.ndarray:
    """(T, 1, n) from n series."""
    return np.stack(series, axis=1)[:, None]


def measured(prediction, truth, areas=None, days=DAYS, kelvin=True):
    areas = np.ones(truth.shape[1:]) / truth[0].size if areas is None else areas
    return cell_measures(prediction, truth, areas, days, kelvin)


def test_anomalies_scaled_by_a_factor_have_that_ratio_of_standard_deviations():
    s = DAYS.season
    weather = np.random.default_rng(0).standard_normal((len(s), 2, 3))
    season = (8 * np.cos(s - 0.3) + np.sin(2 * s))[:, None, None]
    other = (12 * np.cos(s + 1) - 3 * np.cos(2 * s))[:, None, None]
    truth = 280 + season + weather
    # Another mean and season are no anomaly.
    found = measured(285 + other + 0.7 * weather, truth, AREAS)
    assert found["sd_ratio"] == pytest.approx(0.7, rel=1e-9)
    assert found["anomaly_correlation"] == pytest.approx(1, rel=1e-9)
    assert measured(280 - weather, truth, AREAS)["anomaly_correlation"] == pytest.approx(-1, rel=1e-9)


def test_orthogonal_anomalies_do_not_correlate_and_cells_are_pooled_by_area():
    s = DAYS.season
    unseen, also = np.cos(3 * s), np.sin(3 * s)
    areas = np.array([[0.8, 0.2]])
    truth = columns(unseen, unseen)
    assert measured(columns(also, also), truth, areas)["anomaly_correlation"] == pytest.approx(0, abs=1e-12)
    found = measured(columns(unseen, 3 * also), truth, areas)
    pooled = np.sqrt(0.8 + 0.2 * 9)
    assert found["sd_ratio"] == pytest.approx(pooled, rel=1e-9)
    assert found["anomaly_correlation"] == pytest.approx(0.8 / pooled, rel=1e-9)


def test_anomaly_correlation_is_pearsons_of_scores_after_fits_of_each_cell():
    rng = np.random.default_rng(1)
    s = DAYS.season
    truth = 280 - 9 * np.cos(s)[:, None, None] + rng.standard_normal((len(s), 1, 4))
    prediction = truth + rng.standard_normal(truth.shape)
    truth[rng.random(truth.shape) < 0.1] = np.nan
    truth[:200, 0, 2] = np.nan
    prediction = np.where(np.isnan(truth), np.nan, prediction)
    design = np.stack([np.ones_like(s), np.cos(s), np.sin(s), np.cos(2 * s), np.sin(2 * s)], axis=1)
    residuals = []
    for field in (prediction, truth):
        residual = np.full_like(field, np.nan)
        for cell in range(4):
            known = ~np.isnan(field[:, 0, cell])
            fit, *_ = np.linalg.lstsq(design[known], field[known, 0, cell])
            residual[known, 0, cell] = field[known, 0, cell] - design[known] @ fit
        residuals.append(xarray.DataArray(residual, dims=("time", "lat", "lon")))
    found = measured(prediction, truth)
    expected = float(scores.continuous.correlation.pearsonr(*residuals))
    # Pearson's takes out what is left of the common mean: nothing here, up to the gaps of each cell.
    assert found["anomaly_correlation"] == pytest.approx(expected, rel=1e-9)
    ratio = np.sqrt(np.nanmean(residuals[0] ** 2) / np.nanmean(residuals[1] ** 2))
    assert found["sd_ratio"] == pytest.approx(ratio, rel=1e-9)


def test_winters_alone_and_a_few_days_can_be_deseasonalised():
    winter = DAYS.at(np.isin(DAYS.month, (12, 1, 2)))
    s = winter.season
    series = (3 + 2 * np.cos(s) - 5 * np.sin(2 * s))[:, None]
    np.testing.assert_allclose(anomalies(series, harmonics(s)), 0, atol=1e-9)
    # Three days cannot tell five numbers apart, and nothing is left of them.
    few = harmonics(DAYS.season[:3])
    assert few.shape == (3, 3)
    np.testing.assert_allclose(anomalies(np.array([[1.0], [5.0], [2.0]]), few), 0, atol=1e-9)
    # The same date in two years is one season, of which two values leave an anomaly.
    same = harmonics(DAYS.season[[0, 360]])
    np.testing.assert_allclose(anomalies(np.array([[1.0], [5.0]]), same), [[-2.0], [2.0]])


def test_quantiles_are_numpys_also_with_gaps():
    rng = np.random.default_rng(2)
    truth = rng.gamma(2.0, size=(len(DAYS), 2, 3)).astype(np.float32)
    prediction = truth * np.float32(1.3) + rng.standard_normal(truth.shape).astype(np.float32)
    missing = rng.random(truth.shape) < 0.3
    missing[5:, 0, 0] = True
    truth[missing] = prediction[missing] = np.nan
    found = measured(prediction, truth, AREAS)
    for name, share in (("p02_bias", 0.02), ("p98_bias", 0.98)):
        shift = np.nanquantile(prediction.astype(np.float64), share, axis=0) - np.nanquantile(
            truth.astype(np.float64), share, axis=0
        )
        assert found[name] == pytest.approx((shift * AREAS).sum(), rel=1e-6)


def test_a_shift_of_the_tail_moves_its_quantile_alone():
    truth = np.tile(np.arange(101.0), 6)[:, None, None]
    days = DAYS.at(slice(0, 606))
    prediction = np.where(truth >= 90, truth + 4, truth)
    found = measured(prediction, truth, days=days)
    assert found["p02_bias"] == 0
    assert found["p98_bias"] == pytest.approx(4)


def test_hottest_days_of_each_year_by_hand():
    truth = np.full((720, 1, 2), 280.0)
    prediction = truth.copy()
    # The first cell: 300 and 310 K against 301 and 313 K, on whichever day. The second: right.
    truth[10, 0, 0], truth[500, 0, 0] = 300, 310
    prediction[300, 0, 0], prediction[719, 0, 0] = 301, 313
    areas = np.array([[0.25, 0.75]])
    assert measured(prediction, truth, areas)["txx_bias"] == pytest.approx(0.25 * (1 + 3) / 2)
    # Missing days do not spoil their year.
    truth[50:60] = prediction[50:60] = np.nan
    assert measured(prediction, truth, areas)["txx_bias"] == pytest.approx(0.25 * (1 + 3) / 2)
    # A year without a day at a cell does not count there.
    truth[:360, 0, 0] = prediction[:360, 0, 0] = np.nan
    assert measured(prediction, truth, areas)["txx_bias"] == pytest.approx(0.25 * 3)


def test_summer_days_by_hand():
    truth = np.full((720, 1, 2), 290.0, np.float32)
    prediction = truth.copy()
    truth[:30, 0, 0] = 299
    prediction[:80, 0, 0] = 299
    # 25 degrees C is not above 25 degrees C.
    prediction[100:200] = np.float32(298.15)
    prediction[:, 0, 1] = truth[:, 0, 1] = np.nan
    assert measured(prediction, truth, np.array([[0.4, 0.6]]))["summer_days_bias"] == pytest.approx(50 / 2)
    assert np.isnan(measured(prediction, truth, kelvin=False)["summer_days_bias"])


def test_area_mean_is_of_the_cells_that_are_there():
    values = np.array([[1.0, np.nan, 50.0], [4.0, np.nan, np.nan]])
    assert area_mean(values, AREAS) == pytest.approx((0.1 * 1 + 0.3 * 4) / 0.4)
    assert np.isnan(area_mean(values * np.nan, AREAS))


def test_anomalies_of_a_cell_do_not_depend_on_gaps_elsewhere() -> None:
    s = np.linspace(0, 4 * np.pi, 200)
    series = np.random.default_rng(0).normal(280, 5, (200, 3))
    with_gap = np.column_stack([series, series[:, 0]])
    with_gap[7, 3] = np.nan
    whole = anomalies(series, harmonics(s))
    np.testing.assert_allclose(anomalies(with_gap, harmonics(s))[:, :3], whole, atol=1e-9)
    assert np.ptp(whole) > 10
