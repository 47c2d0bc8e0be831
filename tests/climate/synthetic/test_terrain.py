"""Made-up terrain: its relief, its spectrum, and the static fields that follow from a height."""

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.data.static_fields import terrain_fields
from convoy.climate.synthetic import terrain

GRID = Grid(Axis.regular(40.0, 0.25, 24), Axis.regular(2.0, 0.25, 32))
NORTH_KM = 111.2 * 0.25
EAST_KM = NORTH_KM * np.cos(np.radians(43.0))


def test_a_quarter_is_sea_and_the_highest_cell_is_at_3600_metres() -> None:
    for place in range(5):
        height = terrain.elevation(0, place, 64)
        assert height.shape == (64, 64)
        assert height.dtype == np.float32
        assert height.min() == 0
        assert height.max() == pytest.approx(3600)
        assert np.mean(height == 0) == pytest.approx(0.25, abs=0.001)


def test_a_place_and_a_seed_make_one_surface() -> None:
    home = terrain.elevation(0, 0, 32)
    np.testing.assert_array_equal(terrain.elevation(0, 0, 32), home)
    for other in (terrain.elevation(0, 1, 32), terrain.elevation(1, 0, 32)):
        assert abs(np.corrcoef(other.ravel(), home.ravel())[0, 1]) < 0.9


def test_the_heights_have_an_energy_spectrum_of_about_k_to_the_minus_two() -> None:
    """Of 24 places, on a window that lets the sides meet; cutting off the sea adds to small scales."""
    window = np.outer(np.hanning(64), np.hanning(64))
    power = np.zeros((64, 64))
    for place in range(24):
        height = terrain.elevation(5, place, 64).astype(np.float64)
        power += np.abs(np.fft.fft2((height - height.mean()) * window)) ** 2
    k = np.rint(np.hypot(*np.meshgrid(*[np.fft.fftfreq(64) * 64] * 2))).astype(int)
    energy = np.bincount(k.ravel(), power.ravel())
    shells = np.arange(4, 25)
    slope = np.polyfit(np.log(shells), np.log(energy[shells]), 1)[0]
    assert -2.4 < slope < -1.7


def test_the_distance_to_a_straight_coast() -> None:
    height = np.zeros(GRID.shape, np.float32)
    height[:, 20:] = 100.0
    coast = terrain_fields(height, GRID)["coast"]
    # Cells beside the coast are one cell away from the other kind.
    expected = np.concatenate([np.arange(-20, 0), np.arange(1, 13)]) * EAST_KM
    np.testing.assert_allclose(coast, np.broadcast_to(expected, GRID.shape), rtol=1e-5)
    height[:] = 0
    height[:5] = 100.0
    coast = terrain_fields(height, GRID)["coast"]
    expected = np.concatenate([np.arange(5, 0, -1), -np.arange(1, 20)]) * NORTH_KM
    np.testing.assert_allclose(coast, np.broadcast_to(expected[:, None], GRID.shape), rtol=1e-5)


def test_land_or_sea_alone_is_far_from_any_coast() -> None:
    for height, sign in ((500.0, 1), (0.0, -1)):
        coast = terrain_fields(np.full(GRID.shape, height, np.float32), GRID)["coast"]
        assert (sign * coast > 900).all()


def test_slopes_of_an_even_slope() -> None:
    north = np.arange(24)[:, None] * NORTH_KM
    east = np.arange(32)[None, :] * EAST_KM
    fields = terrain_fields((100 + 4 * north + 7 * east).astype(np.float32), GRID)
    np.testing.assert_allclose(fields["slope_north"], 4, rtol=1e-3)
    np.testing.assert_allclose(fields["slope_east"], 7, rtol=1e-3)


def test_a_pit_is_a_valley_and_a_peak_is_none() -> None:
    height = np.full(GRID.shape, 800, np.float32)
    np.testing.assert_allclose(terrain_fields(height, GRID)["valley"], 0, atol=1e-3)
    height[12, 10], height[12, 22] = 300, 1300
    valley = terrain_fields(height, GRID)["valley"]
    # The kernel of three cells' width puts 1 / (2 pi 9) of the pit itself into its surroundings.
    assert valley[12, 10] == pytest.approx(-500 * (1 - 1 / (18 * np.pi)), rel=0.01)
    assert valley[12, 22] == pytest.approx(500 * (1 - 1 / (18 * np.pi)), rel=0.01)


def test_latitude_and_types() -> None:
    fields = terrain_fields(terrain.elevation(0, 0, 32)[:24], GRID)
    assert set(fields) == {"elevation", "coast", "slope_east", "slope_north", "valley", "latitude"}
    np.testing.assert_allclose(fields["latitude"][:, 3], 40.125 + 0.25 * np.arange(24))
    assert all(field.shape == GRID.shape and field.dtype == np.float32 for field in fields.values())
