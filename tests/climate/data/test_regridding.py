"""Interpolation and area means against other libraries, exact polynomials and sums written out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.data.regridding import METHODS, area_mean, filled_mean, interpolation, whole_ratio

COARSE = Grid(Axis.regular(40.0, 1.0, 9), Axis.regular(5.0, 1.0, 8))
FINE = Grid(Axis.regular(40.0, 0.25, 36), Axis.regular(5.0, 0.25, 32))


def axis(edges: np.ndarray) -> Axis:
    return Axis((edges[:-1] + edges[1:]) / 2, np.stack([edges[:-1], edges[1:]], axis=1))


# Cells of different sizes, none of whose edges is one of COARSE; a margin of FINE on some sides.
ODD = Grid(
    axis(np.array([39.6, 40.7, 41.1, 42.85, 44.2, 45.9, 47.3, 49.4])),
    axis(np.array([5.3, 6.05, 7.9, 8.2, 9.77, 10.6, 11.9])),
)


def field(grid: Grid, days: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(285, 5, (days, *grid.shape))


def mesh(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    lat, lon = np.meshgrid(grid.lat.centres, grid.lon.centres, indexing="ij")
    return lat, lon


@pytest.mark.parametrize("target", [FINE, ODD, COARSE])
@pytest.mark.parametrize("source", [COARSE, ODD])
def test_bilinear_is_scipy_s_also_beyond_the_grid_and_between_unequal_cells(source, target) -> None:
    values = field(source)
    found = interpolation(source, target, "bilinear")(values)
    points = np.stack(mesh(target), axis=-1)
    for day, expected in enumerate(values):
        scipy = RegularGridInterpolator(
            (source.lat.centres, source.lon.centres), expected, bounds_error=False, fill_value=None
        )
        np.testing.assert_allclose(found[day], scipy(points), atol=1e-9)


@pytest.mark.parametrize(("source", "target"), [(COARSE, FINE), (ODD, FINE), (COARSE, ODD)])
def test_nearest_is_the_cell_whose_centre_is_nearest(source, target) -> None:
    values = field(source)
    found = interpolation(source, target, "nearest")(values)
    rows, columns = (
        np.abs(there.centres[:, None] - here.centres[None, :]).argmin(axis=1)
        for there, here in ((target.lat, source.lat), (target.lon, source.lon))
    )
    np.testing.assert_array_equal(found, values[:, rows][:, :, columns])


def test_bicubic_is_torch_s_with_the_same_parameter_away_from_the_edges() -> None:
    """With antialias torch takes Keys' a = -1/2, without it a = -3/4."""
    values = field(COARSE)
    found = interpolation(COARSE, FINE, "bicubic")(values)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    keys, other = (
        F.interpolate(
            torch.from_numpy(values)[:, None], FINE.shape, mode="bicubic", antialias=antialias
        )[:, 0].numpy()
        for antialias in (True, False)
    )  # fmt: skip
    np.testing.assert_allclose(found[inner], keys[inner], atol=1e-9)
    assert np.abs(found[inner] - other[inner]).max() > 0.1


@pytest.mark.parametrize("target", [FINE, ODD])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_a_plane_stays_a_plane_everywhere(method, target) -> None:
    def plane(grid: Grid) -> np.ndarray:
        lat, lon = mesh(grid)
        return 280 - 0.7 * lat + 0.4 * lon + 0.1 * lat * lon

    np.testing.assert_allclose(
        interpolation(COARSE, target, method)(plane(COARSE)), plane(target), atol=1e-9
    )  # fmt: skip


def test_bicubic_is_exact_for_a_parabola_and_bilinear_is_not() -> None:
    def parabola(grid: Grid) -> np.ndarray:
        lat, lon = mesh(grid)
        return (lat - 44) ** 2 - 0.5 * (lon - 9) ** 2 + 0.2 * (lat - 44) ** 2 * (lon - 9) ** 2

    inner = (slice(8, -8), slice(8, -8))
    for method, exact in (("bicubic", True), ("bilinear", False)):
        error = (interpolation(COARSE, FINE, method)(parabola(COARSE)) - parabola(FINE))[inner]
        assert (np.abs(error).max() < 1e-9) == exact


@pytest.mark.parametrize("method", METHODS)
def test_values_at_the_centres_themselves_are_kept(method) -> None:
    values = field(COARSE)
    np.testing.assert_allclose(interpolation(COARSE, COARSE, method)(values), values, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_cells_are_enough(method, count) -> None:
    small = Grid(Axis.regular(40.0, 3.0, count), Axis.regular(5.0, 3.0, count))
    constant = interpolation(small, FINE, method)(np.full((1, *small.shape), 7.0))
    np.testing.assert_allclose(constant, 7)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def brute_force(source: Grid, target: Grid, values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Mean over the part of each target cell that kept source cells cover; NaN where there is none."""
    out = np.full(target.shape, np.nan)
    for i, j in np.ndindex(*target.shape):
        total = area = 0.0
        for row, column in np.argwhere(keep):
            lat = np.sin(np.radians([source.lat.bounds[row], target.lat.bounds[i]]))
            shared = overlap(*lat) * overlap(source.lon.bounds[column], target.lon.bounds[j])
            total, area = total + shared * values[row, column], area + shared
        if area > 0:
            out[i, j] = total / area
    return out


@pytest.mark.parametrize(("source", "target"), [(FINE, COARSE), (FINE, ODD), (COARSE, ODD), (ODD, COARSE)])
def test_area_means_are_those_of_overlaps_on_the_sphere(source, target) -> None:
    values = field(source, 1)[0]
    found = area_mean(source, target)(values)
    expected = brute_force(source, target, values, np.ones(source.shape, bool))
    # Where there is no overlap, there is no mean: 0.
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1e-9)


def test_the_mean_of_all_is_kept() -> None:
    values = field(FINE, 1)[0]
    means = area_mean(FINE, COARSE)(values)
    assert (means * COARSE.areas).sum() == pytest.approx((values * FINE.areas).sum(), rel=1e-12)
    globe, cells = (
        Grid(Axis.regular(-90.0, step, int(180 / step)), Axis.regular(-180.0, step, int(360 / step)))
        for step in (10.0, 36.0)
    )
    values = field(globe, 1)[0]
    means = area_mean(globe, cells)(values)
    assert (means * cells.areas).sum() == pytest.approx((values * globe.areas).sum(), rel=1e-12)
    # Poleward rows of a cell count less than on a plane.
    lat, _ = mesh(globe)
    assert area_mean(globe, cells)(lat)[-1, 0] < lat[lat > 54].mean()


def test_cells_that_the_source_does_not_touch_are_zero_and_all_others_are_means() -> None:
    wide = Grid(Axis.regular(38.0, 1.0, 13), Axis.regular(4.5, 1.0, 12))
    means = area_mean(FINE, wide)
    np.testing.assert_allclose(means.lat.sum(axis=1), [0, 0, *[1] * 9, 0, 0])
    # Half a cell on each side is covered.
    np.testing.assert_allclose(means.lon.sum(axis=1), [*[1] * 9, 0, 0, 0])
    np.testing.assert_allclose(means(np.full(FINE.shape, 5.0))[2:11, :9], 5)


def test_filled_means_are_of_what_is_there_and_missing_where_most_is() -> None:
    values = field(FINE, 1)[0]
    values[np.random.default_rng(1).random(FINE.shape) < 0.35] = np.nan
    values[:4, :4] = np.nan
    values[4:8, :3] = np.nan
    found = filled_mean(area_mean(FINE, COARSE), values)
    expected = brute_force(FINE, COARSE, np.nan_to_num(values), ~np.isnan(values))
    present = brute_force(FINE, COARSE, (~np.isnan(values)).astype(float), np.ones(FINE.shape, bool))
    assert np.isnan(found[0, 0])
    assert np.isnan(found[1, 0])
    np.testing.assert_array_equal(np.isnan(found), present < 0.5)
    np.testing.assert_allclose(found[present >= 0.5], expected[present >= 0.5])
    assert 10 < np.isfinite(found).sum() < 72


def test_half_a_cell_is_enough() -> None:
    values = np.ones(FINE.shape, np.float32)
    values[:, ::2] = np.nan
    np.testing.assert_array_equal(filled_mean(area_mean(FINE, COARSE), values), 1)
    values[0, 1] = np.nan
    assert np.isnan(filled_mean(area_mean(FINE, COARSE), values)[0, 0])


def test_precision_is_that_of_the_field() -> None:
    for dtype in (np.float32, np.float64):
        values = field(FINE).astype(dtype)
        assert area_mean(FINE, COARSE)(values).dtype == dtype
        assert filled_mean(area_mean(FINE, COARSE), values).dtype == dtype
        assert interpolation(FINE, COARSE, "bicubic")(values).dtype == dtype


def test_whole_ratio() -> None:
    assert whole_ratio(COARSE, FINE) == 4
    assert whole_ratio(COARSE, COARSE) == 1
    assert whole_ratio(FINE, COARSE) is None
    for lat, lon in (
        (Axis.regular(40.1, 0.25, 36), FINE.lon),  # shifted
        (Axis.regular(40.0, 0.5, 18), FINE.lon),  # another factor along each axis
        (Axis.regular(40.0, 9 / 35, 35), FINE.lon),  # not whole
        (FINE.lat, Axis.regular(5.0, 0.3, 32)),  # too wide
    ):
        assert whole_ratio(COARSE, Grid(lat, lon)) is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.05, 3), min_size=2, max_size=9),
    st.lists(st.floats(0.05, 3), min_size=2, max_size=9),
    st.floats(-2, 2),
)  # fmt: skip
def test_whatever_the_cells_weights_sum_to_one_and_means_lie_between_the_extremes(
    source, target, shift
) -> None:
    here, there = (
        axis(start + np.concatenate([[0.0], np.cumsum(steps)]))
        for start, steps in ((40, source), (40 + shift, target))
    )
    for method in METHODS:
        weights = interpolation(Grid(here, here), Grid(there, there), method).lat
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-9)
    means = area_mean(Grid(here, here), Grid(there, there)).lat
    assert (means >= 0).all()
    touched = [any(overlap(cell, other) > 1e-6 for other in here.bounds) for cell in there.bounds]
    np.testing.assert_allclose(means.sum(axis=1)[touched], 1, atol=1e-9)
