"""CF-1.11 NetCDF-4 files: attributes of what we store, and how it is written and read back."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from convoy.climate.data.domains import EPOCH, Days, Fields, Grid
from convoy.core.errors import ConvoyError

DAYS_A_CHUNK = 90
# A chunk is stored whole, however few of its days there are, and HDF5 takes none of 4 GiB or more.
_BYTES_A_CHUNK = 1 << 26
_FILL = np.float32(1e20)

# CF attributes of what we store; others are stored with their name and units alone.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "tasmax": {
        "standard_name": "air_temperature", "units": "K", "cell_methods": "time: maximum",
        "long_name": "Daily maximum near-surface air temperature", "coordinates": "height",
    },
    "tasmin": {
        "standard_name": "air_temperature", "units": "K", "cell_methods": "time: minimum",
        "long_name": "Daily minimum near-surface air temperature", "coordinates": "height",
    },
    "tas": {
        "standard_name": "air_temperature", "units": "K", "cell_methods": "time: mean",
        "long_name": "Daily mean near-surface air temperature", "coordinates": "height",
    },
    "psl": {
        "standard_name": "air_pressure_at_mean_sea_level", "units": "Pa", "cell_methods": "time: mean",
        "long_name": "Sea level pressure",
    },
    "huss": {
        "standard_name": "specific_humidity", "units": "kg kg-1", "cell_methods": "time: mean",
        "long_name": "Near-surface specific humidity", "coordinates": "height",
    },
    "pr": {
        "standard_name": "precipitation_flux", "units": "kg m-2 s-1", "cell_methods": "time: mean",
        "long_name": "Precipitation",
    },
    "sfcWind": {
        "standard_name": "wind_speed", "units": "m s-1", "cell_methods": "time: mean",
        "long_name": "Near-surface wind speed",
    },
    "elevation": {"standard_name": "surface_altitude", "units": "m", "long_name": "Surface altitude"},
}  # fmt: skip
HEIGHT_M = {"tasmax": 2.0, "tasmin": 2.0, "tas": 2.0, "huss": 2.0}


class dataset:  # noqa: N801 (used as a function: `with dataset(...) as file`)
    """A new CF-1.11 NetCDF-4 file with the coordinates of `grid` and, but for static fields, `days`."""

    def __init__(self, path: Path, grid: Grid, days: Days | None, facts: Mapping[str, str] | None = None):
        self.file = netCDF4.Dataset(str(path), "w", format="NETCDF4")
        file = self.file
        file.setncatts({"Conventions": "CF-1.11", **(facts or {})})
        if days is not None:
            file.createDimension("time", None)
        file.createDimension("lat", len(grid.lat))
        file.createDimension("lon", len(grid.lon))
        file.createDimension("bnds", 2)
        if days is not None:
            time = file.createVariable("time", "f8", ("time",), chunksizes=(DAYS_A_CHUNK,))
            time.setncatts(
                {
                    "standard_name": "time", "long_name": "time", "axis": "T", "units": EPOCH,
                    "calendar": days.calendar, "bounds": "time_bnds",
                }
            )  # fmt: skip
            file.createVariable("time_bnds", "f8", ("time", "bnds"), chunksizes=(DAYS_A_CHUNK, 2))
        for name, axis, long_name, units, letter in (
            ("lat", grid.lat, "latitude", "degrees_north", "Y"),
            ("lon", grid.lon, "longitude", "degrees_east", "X"),
        ):
            variable = file.createVariable(name, "f8", (name,))
            variable.setncatts(
                {
                    "standard_name": long_name, "long_name": long_name, "units": units, "axis": letter,
                    "bounds": f"{name}_bnds",
                }
            )  # fmt: skip
            variable[:] = axis.centres
            file.createVariable(f"{name}_bnds", "f8", (name, "bnds"))[:] = axis.bounds
        if days is not None:
            add_days(file, days)

    def __enter__(self) -> netCDF4.Dataset:
        return self.file

    def __exit__(self, *_: object) -> None:
        self.file.close()


def add_days(file: netCDF4.Dataset, days: Days) -> None:
    """Append days to the time axis of a file that `dataset` made."""
    first = len(file.dimensions["time"])
    span = slice(first, first + len(days))
    # A day's value stands for the day: noon, between its bounds.
    file["time"][span] = days.ordinal + 0.5
    file["time_bnds"][span] = np.stack([days.ordinal, days.ordinal + 1], axis=1)


def days_a_chunk(days: int, shape: tuple[int, int]) -> int:
    """How many of a file's days, on a grid of (H, W) cells, are stored together: a season of small ones."""
    return max(1, min(DAYS_A_CHUNK, days, _BYTES_A_CHUNK // (4 * prod(shape))))


def declare(file: netCDF4.Dataset, name: str, attributes: Mapping[str, str] | None = None) -> Any:
    """A new float32 variable on the file's grid, with CF attributes; a static one where there is no time."""
    attributes = dict(ATTRIBUTES.get(name, {"long_name": name.replace("_", " ")}), **(attributes or {}))
    dims = ("time", "lat", "lon") if "time" in file.dimensions else ("lat", "lon")
    shape = len(file.dimensions["lat"]), len(file.dimensions["lon"])
    chunks = (days_a_chunk(len(file.dimensions["time"]), shape), *shape) if len(dims) == 3 else None
    if attributes.get("coordinates") == "height" and "height" not in file.variables:
        height = file.createVariable("height", "f8", ())
        height.setncatts(
            {"standard_name": "height", "long_name": "height", "units": "m", "axis": "Z", "positive": "up"}
        )
        height[...] = HEIGHT_M.get(name, 2.0)
    variable = file.createVariable(name, "f4", dims, fill_value=_FILL, chunksizes=chunks)
    variable.setncatts(attributes)
    variable.set_auto_mask(False)
    return variable


def put(file: netCDF4.Dataset, name: str, field: Fields) -> None:
    """Declare and write a whole variable; NaN is stored as the fill value."""
    declare(file, name)[:] = np.where(np.isnan(field), _FILL, field)


def opened(path: Path) -> netCDF4.Dataset:
    """A file of ours to read, its numbers as they are stored; ConvoyError where it cannot be read."""
    try:
        file = netCDF4.Dataset(str(path))
    except OSError as error:
        raise ConvoyError(f"{path}: cannot be read ({error}); make the grids again") from None
    file.set_auto_mask(False)
    return file


def values(variable: Any) -> Fields:
    """All values of a variable, NaN where there is the fill value."""
    found = variable[:]
    found[found == _FILL] = np.nan
    return found
