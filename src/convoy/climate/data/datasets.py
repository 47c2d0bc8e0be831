"""Datasets under the convention: CF-1.11 coordinates with bounds, and variables with their CF attributes.

Dims are (time, lat, lon); latitude ascends, longitude goes from west to east; values are float32 in the units
of the table of variables, missing cells NaN; time counts days since 1850 in the dataset's own calendar, to
the noon of each day.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import xarray as xr

from convoy.climate.data.domains import EPOCH, Axis, Days, Fields, Grid
from convoy.climate.data.variables import row_of

FILL = np.float32(1e20)
DAYS_A_CHUNK = 90
# A chunk is stored whole, also for few days, and HDF5 does not allow chunks of 4 GiB or more.
_BYTES_A_CHUNK = 1 << 26
_FLOAT64 = {"dtype": "f8", "_FillValue": None}
_HEIGHT = {"standard_name": "height", "long_name": "height", "units": "m", "axis": "Z", "positive": "up"}


def dataset(
    grid: Grid, days: Days | None, fields: Mapping[str, Any], attributes: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:  # fmt: skip
    """Dataset of fields by name, (time, lat, lon) or (lat, lon), with coordinates, bounds and CF attributes.

    days: None for static fields; attributes: of the dataset; units: of variables that are not in the table.
    """
    variables: dict[str, xr.Variable] = {}
    if days is not None:
        named = {
            "standard_name": "time", "long_name": "time", "axis": "T", "units": EPOCH,
            "calendar": days.calendar, "bounds": "time_bnds",
        }  # fmt: skip
        edges = np.stack([days.ordinal, days.ordinal + 1], axis=1).astype(np.float64)
        # A daily value is at noon, the middle of its bounds.
        variables["time"] = xr.Variable("time", days.ordinal + 0.5, named, _FLOAT64)
        variables["time_bnds"] = xr.Variable(("time", "bnds"), edges, {}, _FLOAT64)
    for name, axis, long_name, unit, letter in (
        ("lat", grid.lat, "latitude", "degrees_north", "Y"),
        ("lon", grid.lon, "longitude", "degrees_east", "X"),
    ):
        named = {
            "standard_name": long_name, "long_name": long_name, "units": unit, "axis": letter,
            "bounds": f"{name}_bnds",
        }  # fmt: skip
        variables[name] = xr.Variable(name, axis.centres, named, _FLOAT64)
        variables[f"{name}_bnds"] = xr.Variable((name, "bnds"), axis.bounds, {}, _FLOAT64)
    for name, field in fields.items():
        row = row_of(name, (units or {}).get(name, ""))
        if row.height_m is not None:
            variables["height"] = xr.Variable((), row.height_m, _HEIGHT, _FLOAT64)
        dims = ("time", "lat", "lon") if np.ndim(field) == 3 else ("lat", "lon")
        encoding: dict[str, Any] = {"dtype": "f4", "_FillValue": FILL}
        if days is not None:
            encoding["chunksizes"] = (days_a_chunk(len(days), grid.shape), *grid.shape)
        variables[name] = xr.Variable(dims, field, row.attributes, encoding)
    return xr.Dataset(variables, attrs={"Conventions": "CF-1.11", **(attributes or {})})


def grid_of(held: xr.Dataset) -> Grid:
    """The grid of a dataset under the convention."""
    found = (held.variables[name].values for name in ("lat", "lat_bnds", "lon", "lon_bnds"))
    lat, lat_bounds, lon, lon_bounds = found
    return Grid(Axis(lat.astype(float), lat_bounds), Axis(lon.astype(float), lon_bounds))


def days_of(held: xr.Dataset) -> Days:
    """The days of a dataset under the convention."""
    time = held.variables["time"]
    return Days(str(time.attrs["calendar"]), np.floor(time.values).astype(np.int64))


def days_a_chunk(days: int, shape: tuple[int, int]) -> int:
    """Number of days per chunk for a grid of (H, W) cells: a season for small grids."""
    return max(1, min(DAYS_A_CHUNK, days, _BYTES_A_CHUNK // (4 * prod(shape))))


def fields_of(held: xr.Dataset, name: str) -> Fields:
    """The values of a variable as a NumPy array."""
    return np.asarray(held[name].values, np.float32)
