"""The coarse weather: highs and lows that last, move east and bring moisture."""

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Days, Grid
from convoy.climate.synthetic.weather import simulate

GRID = Grid(Axis.regular(40.0, 1.0, 16), Axis.regular(2.0, 1.0, 16))
DAYS = Days.years(2001, 3)


@pytest.fixture(scope="module")
def weather():
    return simulate(np.random.default_rng(0), GRID, DAYS)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_shapes_and_bounds(weather) -> None:
    for field in (weather.psl, weather.humidity):
        assert field.shape == (len(DAYS), 16, 16)
        assert field.dtype == np.float32
    assert weather.psl.min() > 94_000
    assert weather.psl.max() < 106_000
    assert 100_500 < weather.psl.mean() < 102_000
    assert weather.humidity.min() >= 0.22
    assert weather.humidity.max() <= 0.94


def test_a_grid_need_not_be_square() -> None:
    grid = Grid(Axis.regular(40.0, 1.0, 6), Axis.regular(2.0, 1.0, 9))
    assert simulate(np.random.default_rng(0), grid, DAYS.at(slice(0, 40))).psl.shape == (40, 6, 9)


def test_one_seed_is_one_weather(weather) -> None:
    again = simulate(np.random.default_rng(0), GRID, DAYS)
    np.testing.assert_array_equal(again.psl, weather.psl)
    np.testing.assert_array_equal(again.humidity, weather.humidity)
    other = simulate(np.random.default_rng(1), GRID, DAYS)
    assert abs(correlation(other.psl, weather.psl)) < 0.2


def test_lows_are_moist(weather) -> None:
    assert correlation(weather.psl, weather.humidity) < -0.3


def test_a_day_is_like_the_day_before_and_a_fortnight_later_it_is_forgotten(weather) -> None:
    anomaly = weather.psl - weather.psl.mean(axis=0)
    assert correlation(anomaly[1:], anomaly[:-1]) > 0.4
    assert abs(correlation(anomaly[20:], anomaly[:-20])) < 0.15


def test_depressions_come_from_the_west(weather) -> None:
    anomaly = weather.psl - weather.psl.mean(axis=0)
    east = correlation(anomaly[:-1, :, :-4], anomaly[1:, :, 4:])
    west = correlation(anomaly[:-1, :, 4:], anomaly[1:, :, :-4])
    assert east > west + 0.05


def test_pressure_varies_more_in_winter(weather) -> None:
    winter, summer = (np.isin(DAYS.month, months) for months in ((12, 1, 2), (6, 7, 8)))
    assert weather.psl[winter].std() > 1.2 * weather.psl[summer].std()


def test_fronts_trail_from_the_lows_dry_behind_and_moist_ahead(weather) -> None:
    """The steep steps of humidity are those from dry air in the west to moist air in the east."""
    step = np.diff(weather.humidity.astype(np.float64), axis=2)
    assert np.mean(step**3) / np.mean(step**2) ** 1.5 > 0.2
