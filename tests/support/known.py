"""What is known of the files of tests.support.gridfiles: their values anywhere, and how files are changed."""

import numpy as np

from convoy.climate.data.datasets import days_of, grid_of
from tests.support.gridfiles import daily, kelvin

SPLIT = {
    "train": [["2001-01-01", "2001-01-20"]], "validation": [["2001-01-21", "2001-01-30"]],
    "test": [["2001-02-01", "2001-02-09"]],
}  # fmt: skip


def right(found, field, atol=2e-4):
    """Whether the field has the known value everywhere, at the places and days of its dataset."""
    grid = grid_of(found)
    assert np.all(np.diff(grid.lat.centres) > 0)
    assert np.all(np.diff(grid.lon.centres) > 0)
    assert grid.lon.centres.min() >= -180
    assert grid.lon.centres.max() <= 180 or np.ptp(grid.lon.centres) < 180
    assert field.dtype == np.float32
    expected = kelvin(grid.lat.centres, grid.lon.centres, days_of(found).ordinal)
    np.testing.assert_allclose(field, expected, atol=atol)


def transposed(variables, dims, name="tasmax"):
    old, values, attributes = variables[name]
    order = [old.index(dim) for dim in dims]
    return {**variables, name: (dims, values.transpose(order), attributes)}


def changed(variables, change, name="tasmax", **attributes):
    dims, values, old = variables[name]
    return {**variables, name: (dims, change(values.astype(np.float64)), {**old, **attributes})}


COARSE_LAT = 38.3 + 1.3 * np.arange(10)
COARSE_LON = (359.2 + 1.7 * np.arange(12)) % 360


def coarse_file(lat=COARSE_LAT[::-1], lon=COARSE_LON, **changes):
    return daily(lat=lat, lon=lon, **changes)


def values(domain):
    return kelvin(domain.fine.lat.centres, domain.fine.lon.centres, domain.days.ordinal)


def block_means(field, lat, factor):
    """Means over blocks, weighted by the areas on the sphere of cells half a degree high."""
    weights = np.sin(np.radians(lat + 0.25)) - np.sin(np.radians(lat - 0.25))
    shape = (-1, len(lat) // factor, factor, field.shape[-1] // factor, factor)
    rows = (field.astype(float) * weights[:, None]).reshape(shape).sum(axis=(2, 4))
    return rows / (weights.reshape(-1, factor).sum(axis=1)[:, None] * factor)


def real(real_data, start):
    """The real file whose name begins so."""
    return next((real_data / "grids").glob(f"{start}*"))
