"""The deterministic part of the daily maximum: its parts have the signs and sizes that they should."""

from itertools import product

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.data.regridding import interpolation
from convoy.climate.synthetic import temperature
from convoy.climate.synthetic.physics import saturation_humidity
from convoy.climate.synthetic.scenarios import grids, random_part
from convoy.climate.synthetic.temperature import (
    DailyMaximum,
    climatology,
    landness,
    lapse_rate,
    warming_pattern,
)

COARSE = Grid(Axis.regular(44.0, 1.0, 6), Axis.regular(6.0, 1.0, 6))
FINE = Grid(Axis.regular(44.0, 0.25, 24), Axis.regular(6.0, 0.25, 24))
UP = interpolation(COARSE, FINE, "bicubic")
SUMMER, WINTER = 2 * np.pi * 200 / 365, 2 * np.pi * 17 / 365
MIDDLE = (12, 12)
MOIST, DRY = 0.009, 0.003


def static(**fields: np.ndarray | float) -> dict[str, np.ndarray]:
    """Flat terrain far inland, but for the fields given."""
    flat = {
        "elevation": 0.0, "coast": 400.0, "slope_east": 0.0, "slope_north": 0.0, "valley": 0.0,
        "latitude": 47.0,
    }  # fmt: skip
    return {
        name: np.broadcast_to(np.asarray(field, np.float32), FINE.shape).copy()
        for name, field in {**flat, **fields}.items()
    }


def on_day(
    surface: dict[str, np.ndarray], season: float = SUMMER, pressure_hpa: float = 0.0, huss: float = 0.006,
    north_hpa: float = 0.0, east_hpa: float = 0.0, warming: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """One day's maximum (24, 24); pressure relative to 1015 hPa in the middle, rising so much per degree."""
    lat, lon = COARSE.lat.centres[:, None] - 47, COARSE.lon.centres[None, :] - 9
    psl = 101_500 + 100 * (pressure_hpa + north_hpa * lat + east_hpa * lon)
    fields = (psl[None].astype(np.float32), np.full((1, 6, 6), huss, np.float32))
    return DailyMaximum(FINE, surface, UP)(*fields, np.array([season]), warming)[0]


def test_the_lapse_rate_lies_between_3_and_7_5_and_is_smaller_in_moister_air() -> None:
    humidity = np.linspace(0, 0.03, 200)
    for season, latitude in product(np.linspace(0, 2 * np.pi, 24), (40.0, 48.0, 56.0)):
        rates = lapse_rate(humidity, season, latitude)
        assert ((rates > 3 - 1e-9) & (rates < 7.5 + 1e-9)).all()
        assert (np.diff(rates) <= 0).all()
        assert rates[0] - rates[-1] > 2
    # At one relative humidity it is steeper in summer.
    rates = [
        lapse_rate(0.55 * saturation_humidity(climatology(47.0, 0.7, season), 95_000), season, 47.0)
        for season in (SUMMER, WINTER)
    ]
    assert rates[0] > rates[1] + 1


def test_it_grows_colder_with_height_by_that_rate() -> None:
    for season, huss in product((SUMMER, WINTER), (MOIST, DRY)):
        low, high = (on_day(static(elevation=z), season, huss=huss)[MIDDLE] for z in (0.0, 2000.0))
        expected = lapse_rate(huss, season, 47.0)
        assert (low - high) / 2 == pytest.approx(float(expected), abs=1e-3)


def test_latitude_and_season() -> None:
    warm, cold = (on_day(static(latitude=latitude))[MIDDLE] for latitude in (42.0, 52.0))
    assert 4 < warm - cold < 9
    year = np.linspace(0, 2 * np.pi, 365, endpoint=False)
    land, sea = (climatology(48.0, share, year) for share in (1.0, 0.0))
    assert np.ptp(land) > 1.5 * np.ptp(sea)
    assert 10 < sea.argmax() - land.argmax() < 40
    assert 190 < land.argmax() < 215


def test_land_begins_at_the_coast() -> None:
    np.testing.assert_array_equal(landness(np.array([-300.0, -1.0, 0.0])), 0)
    inland = landness(np.array([20.0, 120.0, 1000.0]))
    np.testing.assert_allclose(inland, [1 - np.exp(-1 / 6), 1 - np.exp(-1), 1], atol=1e-3)


def test_inversions_lie_in_valleys_and_under_highs_above_all_in_winter() -> None:
    def effect(valley: float, season: float, pressure_hpa: float) -> float:
        changed, plain = (
            on_day(static(valley=depth), season, pressure_hpa)[MIDDLE] for depth in (valley, 0.0)
        )
        return float(changed - plain)

    assert -7.1 < effect(-600, WINTER, 20) < -5
    assert -0.3 < effect(-600, WINTER, -5) <= 0
    assert effect(-600, SUMMER, 20) > 0.5 * effect(-600, WINTER, 20)
    assert effect(-100, WINTER, 20) > effect(-600, WINTER, 20)
    for pressure, season in product((-20, 0, 20), (SUMMER, WINTER)):
        assert effect(500, season, pressure) == 0


@pytest.mark.parametrize(
    ("gradient", "falling", "across"),
    [
        # Low pressure in the north: wind from the west, which descends where the terrain falls to the east.
        ({"north_hpa": -4.0}, {"slope_east": -20.0}, {"slope_north": -20.0}),
        # Low pressure in the west: wind from the south, which descends where the terrain falls to the north.
        ({"east_hpa": 4.0}, {"slope_north": -20.0}, {"slope_east": -20.0}),
    ],
)
def test_wind_that_descends_warms_and_wind_that_rises_or_goes_along_the_slope_does_not(
    gradient, falling, across
) -> None:
    def effect(slope: dict[str, float], sign: float) -> float:
        """Against a calm day, on the same slope and under the same pressure."""
        wind = {name: sign * value for name, value in gradient.items()}
        return float((on_day(static(**slope), WINTER, **wind) - on_day(static(**slope), WINTER))[MIDDLE])

    assert 1 < effect(falling, 1) <= 6
    assert abs(effect(falling, -1)) < 0.3
    assert abs(effect(across, 1)) < 0.3
    assert effect({name: value / 5 for name, value in falling.items()}, 1) < 1


def test_foehn_has_a_limit() -> None:
    wind = {"north_hpa": -60.0}
    calm, wild = (on_day(static(slope_east=-200.0), WINTER, **change)[MIDDLE] for change in ({}, wind))
    assert wild - calm == pytest.approx(6, abs=0.3)


@pytest.fixture(scope="module")
def rough():
    """Coast, slopes and a sea breeze, on a bright summer day and a dull one."""
    draw = np.random.default_rng(1)
    surface = static(
        coast=draw.uniform(-50, 150, FINE.shape), slope_east=draw.normal(0, 15, FINE.shape),
        slope_north=draw.normal(0, 15, FINE.shape),
    )  # fmt: skip
    return lambda: np.stack(
        [on_day(surface, season, p) for season in (SUMMER, WINTER) for p in (15.0, -15.0)]
    )


def test_the_maximum_is_that_of_eight_times_a_day_or_more(rough, monkeypatch) -> None:
    """It is the largest of what each hour alone would give: below none, and equal to one of them."""
    hours = temperature.HOURS
    assert len(hours) >= 8
    np.testing.assert_allclose(np.diff(hours), 24 / len(hours))
    highest = rough()
    alone = []
    for hour in hours:
        monkeypatch.setattr(temperature, "HOURS", np.array([hour]))
        alone.append(rough())
    assert all((highest >= at_hour).all() for at_hour in alone)
    np.testing.assert_array_equal(highest, np.max(alone, axis=0))
    assert len(np.unique(np.argmax(alone, axis=0))) > 1


def test_slopes_that_face_the_sun_are_warmer() -> None:
    for season in (SUMMER, WINTER):
        south, flat, north = (on_day(static(slope_north=s), season, 15)[MIDDLE] for s in (20.0, 0.0, -20.0))
        assert south > flat + 0.3 > north
        west, east = (on_day(static(slope_east=s), season, 15)[MIDDLE] for s in (20.0, -20.0))
        assert west > east
    # More so under a clear sky.
    dull = [on_day(static(slope_north=s), WINTER, -15)[MIDDLE] for s in (20.0, -20.0)]
    assert south - north > 2 * (dull[0] - dull[1])


def test_the_sea_breeze_cools_calm_summer_coasts() -> None:
    def effect(coast: float, season: float) -> float:
        """What a strong wind, which keeps the breeze away, changes."""
        surface = static(coast=coast)
        return float((on_day(surface, season, 10, north_hpa=-6.0) - on_day(surface, season, 10))[MIDDLE])

    assert effect(10.0, SUMMER) > 0.5
    assert abs(effect(10.0, WINTER)) < 0.2
    assert abs(effect(400.0, SUMMER)) < 0.15
    assert abs(effect(-40.0, SUMMER)) < 1e-3


def test_a_warmer_world_warms_land_more_than_sea_and_heights_more_than_valleys(climate) -> None:
    def warming(degrees: float, **surface: float) -> float:
        return float((on_day(static(**surface), warming=degrees) - on_day(static(**surface)))[MIDDLE])

    sea, land, height = (warming(4, coast=-100), warming(4), warming(4, elevation=2000.0))
    assert 3.5 < sea < land - 0.2 < height - 0.3 < 5
    assert warming(2) == pytest.approx(land / 2, abs=1e-3)
    pattern = warming_pattern(climate["home"].static)
    assert float(pattern.mean()) == pytest.approx(1, abs=0.03)


def test_all_but_g_comes_from_coarse_fields_season_and_surface(climate) -> None:
    """What the truth is beyond D of the stored inputs is a Gaussian field that knows of none of them."""
    home = climate["home"]
    coarse, fine = grids()
    known = DailyMaximum(fine, dict(home.static), interpolation(coarse, fine, "bicubic"))
    g = home.target - known(home.inputs["psl"], home.inputs["huss"], home.days.season, 0.0)
    # In a warmer and moister world it is the same, day by day: nothing else tells D from the truth.
    for name, warming in (("warmer_2k", 2.0), ("warmer_4k", 4.0)):
        world = climate[name].at(slice(0, 365, 10))
        rest = world.target - known(world.inputs["psl"], world.inputs["huss"], world.days.season, warming)
        np.testing.assert_allclose(rest, g[np.isin(home.days.ordinal, world.days.ordinal)], atol=2e-3)
    assert abs(g.mean()) < 0.4
    assert g.std() == pytest.approx(2.5, rel=0.06)
    covariance = random_part().covariance()
    for row, column in ((0, 3), (3, 0), (6, 6), (0, 12)):
        pair = g[:, : 64 - row, : 64 - column], g[:, row:, column:]
        assert np.mean(pair[0] * pair[1]) == pytest.approx(covariance[row, column], rel=0.12)
    of_month = [g[home.days.month == month].std() for month in range(1, 13)]
    assert max(of_month) / min(of_month) < 1.4
    # Spread by cell is the same on peaks, at sea and in valleys.
    spread = g.std(axis=0)
    for name in ("elevation", "coast", "valley"):
        assert abs(np.corrcoef(spread.ravel(), home.static[name].ravel())[0, 1]) < 0.5
    tails = np.mean(np.abs(g - g.mean()) > 2 * g.std())
    assert tails == pytest.approx(0.0455, abs=0.006)
