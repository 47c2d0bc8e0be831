"""Small NetCDF files with one quirk each: a field whose value at any place and day is known."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

LAT = 40 + np.arange(20) / 2
LON = 1 + np.arange(24) / 2
NORTH = {"units": "degrees_north"}
EAST = {"units": "degrees_east"}
DAYS = {"units": "days since 2001-01-01", "calendar": "noleap"}
FILL = np.float32(1e20)


def kelvin(lat: np.ndarray, lon: np.ndarray, ordinal: np.ndarray) -> np.ndarray:
    """The field, (T, lat, lon): by latitude, longitude (on any turn) and the day since 1850-01-01."""
    day, lat, lon = (
        np.asarray(ordinal, float)[:, None, None],
        np.asarray(lat)[:, None],
        (np.asarray(lon) + 180) % 360 - 180,
    )
    return 290 - 0.5 * (lat - 45) + 0.2 * lon + 8 * np.sin(day / 40) + 0.3 * np.cos(day * (1 + lat / 90))


def days_since_1850(times: np.ndarray, attributes: dict[str, str]) -> np.ndarray:
    """By cftime, the days of times in the units and calendar of `attributes`."""
    calendar = attributes.get("calendar", "standard")
    dates = netCDF4.num2date(times, attributes["units"], calendar, only_use_cftime_datetimes=True)
    return np.floor(np.atleast_1d(netCDF4.date2num(dates, "days since 1850-01-01", calendar)) + 1e-6)


def write(path: Path, variables: dict[str, Any], kind: Any = "NETCDF4") -> Path:
    """A file of variables: name -> (dims, values) or (dims, values, attributes, `_FillValue` among them)."""
    with netCDF4.Dataset(str(path), "w", format=kind) as file:
        for name, (dims, values, *rest) in variables.items():
            attributes = dict(rest[0]) if rest else {}
            values = np.asarray(values)
            for dim, length in zip(dims, values.shape, strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, None if dim == "time" and kind != "NETCDF4" else length)
            variable = file.createVariable(
                name, values.dtype, dims, fill_value=attributes.pop("_FillValue", None)
            )
            variable.set_auto_maskandscale(False)
            variable.setncatts(attributes)
            variable[...] = values
    return path


def daily(
    lat: np.ndarray = LAT, lon: np.ndarray = LON, times: Any = None, time: dict[str, str] | None = None,
    name: str = "tasmax", units: str | None = "K", **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    """Variables for `write`: `kelvin` on (time, lat, lon); `changes` add variables, or take them (None)."""
    times = np.arange(40.0) if times is None else np.asarray(times)
    time = DAYS if time is None else time
    field = kelvin(lat, lon, days_since_1850(times, time))
    variables = {
        "time": (("time",), times, time),
        "lat": (("lat",), lat, NORTH),
        "lon": (("lon",), lon, EAST),
        name: (("time", "lat", "lon"), field.astype(np.float32), {} if units is None else {"units": units}),
        **changes,
    }
    return {key: value for key, value in variables.items() if value is not None}
