"""Lapse rates that are known come back, whatever is missing; heights are left and reached by them."""

import numpy as np
import pytest

from convoy.climate.data.domains import Domain
from convoy.climate.data.lapse import at_height, at_sea_level, daily_lapse, filled
from tests.support.climates import COARSE, FINE, YEARS, plane, with_inputs, world

RATES = np.random.default_rng(3).uniform(2, 9, 40)


def fallen(rates: np.ndarray = RATES, missing: np.ndarray | None = None) -> Domain:
    """A plane at sea level on 40 days, from which coarse and fine terrain rise with a rate of each day."""
    days = YEARS.at(slice(0, len(rates)))
    domain = world(lambda days, z: plane(FINE) - rates[:, None, None] * z / 1000, days)
    coarse = plane(COARSE) - rates[:, None, None] * domain.coarse_static["elevation"] / 1000
    if missing is not None:
        coarse = np.where(missing, np.nan, coarse)
    return with_inputs(domain, tasmax=coarse.astype(np.float32))


def some_missing() -> np.ndarray:
    """Other cells on each day, (40, 4, 5); three at sea that never have a value."""
    missing = np.random.default_rng(5).random((40, *COARSE.shape)) < 0.2
    missing[:, 0, :2] = missing[:, 3, 4] = True
    return missing


def test_the_rate_of_each_day_comes_back() -> None:
    np.testing.assert_allclose(daily_lapse(fallen(), "tasmax"), RATES, atol=2e-3)


def test_missing_cells_do_not_change_the_rate() -> None:
    np.testing.assert_allclose(daily_lapse(fallen(missing=some_missing()), "tasmax"), RATES, atol=5e-3)


def test_it_is_the_slope_of_least_squares_on_noise() -> None:
    domain = fallen()
    noise = domain.inputs["tasmax"] + np.random.default_rng(0).normal(size=(40, *COARSE.shape))
    lat, lon = np.meshgrid(COARSE.lat.centres, COARSE.lon.centres, indexing="ij")
    columns = [
        field.ravel() for field in (domain.coarse_static["elevation"] / 1000, np.ones((4, 5)), lat, lon)
    ]
    weights, *_ = np.linalg.lstsq(np.stack(columns, axis=1), noise.reshape(40, -1).T, rcond=None)
    found = daily_lapse(with_inputs(domain, tasmax=noise.astype(np.float32)), "tasmax")
    np.testing.assert_allclose(found, -weights[0], atol=1e-3)


def test_flat_surface_has_no_rate_and_a_day_without_values_has_none_that_is_known() -> None:
    domain = fallen()
    domain.coarse_static["elevation"][:] = 700
    np.testing.assert_array_equal(daily_lapse(domain, "tasmax"), 0)
    missing = np.zeros((40, *COARSE.shape), bool)
    missing[7] = True
    found = daily_lapse(fallen(missing=missing), "tasmax")
    assert np.flatnonzero(np.isnan(found)).tolist() == [7]


@pytest.mark.parametrize("missing", [None, some_missing()])
def test_a_plane_comes_down_to_sea_level(missing) -> None:
    found = at_sea_level(fallen(missing=missing), "tasmax", RATES)
    expected = np.broadcast_to(plane(COARSE), found.shape)
    if missing is not None:
        assert not np.isnan(found).any()
        # A missing cell has the level of a neighbour, which on a plane differs by its gradient alone.
        assert np.abs(found - expected).max() < 0.6 * 3 + 0.3 * 4
        found, expected = found[~missing], expected[~missing]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_plane_is_carried_up_to_the_fine_surface_exactly() -> None:
    domain = fallen()
    np.testing.assert_allclose(at_height(domain, "tasmax", RATES), domain.target, atol=2e-3)
    steady = fallen(np.full(40, 6.5))
    np.testing.assert_allclose(at_height(steady, "tasmax", 6.5), steady.target, atol=2e-3)


def test_a_missing_peak_does_not_chill_the_plain_around_it() -> None:
    """On a level of 290 K the truth is found although the only high cell has no value."""
    domain = fallen()
    height = domain.coarse_static["elevation"]
    height[:] = 0
    height[1, 2] = 2000
    coarse = np.full((40, *COARSE.shape), 290, np.float32)
    coarse[:, 1, 2] = np.nan
    found = at_height(with_inputs(domain, tasmax=coarse), "tasmax", 6.5)
    expected = 290 - 6.5 * domain.static["elevation"] / 1000
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-3)


def test_filled_takes_the_nearest_cell_that_has_a_value() -> None:
    field = np.arange(12, dtype=np.float32).reshape(1, 3, 4).repeat(3, axis=0)
    field[0, 0, 0] = np.nan
    field[1, :, 1:] = np.nan
    field[2] = np.nan
    found = filled(field)
    assert found[0, 0, 0] in (1, 4)
    np.testing.assert_array_equal(found[0].ravel()[1:], np.arange(1, 12))
    np.testing.assert_array_equal(found[1], [[0] * 4, [4] * 4, [8] * 4])
    assert np.isnan(found[2]).all()
    assert np.isnan(field[1]).sum() == 9  # what was given is left as it was


def test_filled_by_brute_force() -> None:
    draw = np.random.default_rng(0)
    field = draw.normal(size=(2, 3, 7, 9)).astype(np.float32)
    field[draw.random(field.shape) < 0.5] = np.nan
    found = filled(field)
    for day in np.ndindex(2, 3):
        known = np.argwhere(~np.isnan(field[day]))
        for cell in np.argwhere(np.isnan(field[day])):
            distance = ((known - cell) ** 2).sum(axis=1)
            nearest = [field[day][tuple(place)] for place in known[distance == distance.min()]]
            assert found[day][tuple(cell)] in nearest
    np.testing.assert_array_equal(found[~np.isnan(field)], field[~np.isnan(field)])


def test_a_whole_field_is_given_back_untouched() -> None:
    field = np.ones((2, 3, 4), np.float32)
    assert filled(field) is field
