"""Reads stations from NetCDF and Zarr: CF discrete sampling geometries with station and time dimensions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from convoy.climate.data import axes
from convoy.climate.data.netcdf import Reader, time_of
from convoy.climate.data.packing import undeclared_fill
from convoy.climate.series.sources.naming import Floats, Settings, chosen, converted
from convoy.climate.series.sources.stations import Station, check_latitudes
from convoy.core.errors import ConvoyError

MOST_VALUES = 200_000_000  # of all variables of a file, which are held in double precision
_STATION_NAMES = ("station_name", "station_id", "station", "site", "location")
_LATITUDE = "latitude"


def cf_stations(path: str, reader: Reader, settings: Settings, wanted: Sequence[str] | None) -> list[Station]:
    """The stations of a file whose variables lie along a station and a time dimension, in either order."""
    raw = reader.open(path)
    _refuse_ragged(path, raw)
    attributes = {str(name): dict(held.attrs) for name, held in raw.variables.items() if held.ndim == 2}
    names = chosen(path, list(attributes), attributes, settings, wanted)
    values: dict[str, Floats] = {}
    shape: tuple[str, str] | None = None
    for name, stored in names.items():
        time = time_of(raw, stored)
        others = [str(dim) for dim in raw[stored].dims if time is None or dim != time[0]]
        if time is None or len(others) != 1:
            dims = ", ".join(map(str, raw[stored].dims))
            raise ConvoyError(
                f"variable '{stored}' lies on ({dims})", path=path, expected="a station and a time dimension"
            )
        if shape is not None and shape != (others[0], time[1]):
            raise ConvoyError(
                f"variable '{stored}' has other stations or times than the first one", path=path
            )
        shape = others[0], time[1]
        if (size := raw[stored].size * len(names)) > MOST_VALUES:
            raise ConvoyError(
                f"{', '.join(names)} have {size:,} values", path=path,
                expected=f"at most {MOST_VALUES:,}", hint="split the file by stations",
            )  # fmt: skip
        held = raw[stored].variable.transpose(others[0], time[0]).values
        if (wrong := undeclared_fill(held, raw[stored].attrs)).any():
            raise ConvoyError(
                f"variable '{stored}' holds {held[wrong][0]:.6g}", path=path,
                hint="if it means missing, declare it as the variable's _FillValue",
            )  # fmt: skip
        units = str(raw[stored].attrs.get("units") or "").strip()
        values[name] = converted(path, name, stored, held.astype(np.float64), settings, units)
    assert shape is not None
    days = axes.days(raw, shape[1])
    sites = _station_names(path, reader, raw, shape[0])
    latitude = _latitudes(raw, shape[0], len(sites))
    check_latitudes(np.array(latitude), path)
    return [
        Station(site, latitude[row], days, {name: table[row] for name, table in values.items()})
        for row, site in enumerate(sites)
    ]


def _refuse_ragged(path: str, raw: xr.Dataset) -> None:
    """Raise ConvoyError for CF's ragged arrays, in which one dimension holds the days of all stations."""
    for name, held in raw.variables.items():
        for attribute in ("sample_dimension", "instance_dimension"):
            if attribute in held.attrs:
                raise ConvoyError(
                    f"its stations are in a ragged array ('{name}' has a {attribute})", path=path,
                    expected="variables along a station and a time dimension",
                )  # fmt: skip


def _station_names(path: str, reader: Reader, raw: xr.Dataset, dim: str) -> list[str]:
    """Names along the station dimension: those with cf_role timeseries_id, else of a usual variable."""
    along = [str(name) for name, held in raw.variables.items() if held.dims[:1] == (dim,) and held.ndim < 3]
    roles = [name for name in along if raw[name].attrs.get("cf_role") == "timeseries_id"]
    usual = [name for known in (dim, *_STATION_NAMES) for name in along if name.lower() == known.lower()]
    count = raw.sizes[dim]
    for name in [*roles, *usual]:
        held = raw[name]
        if held.ndim > 1 and held.shape[1] > 1000:
            continue
        stored = reader.request(path, f"'{name}' cannot be read", name, None, (slice(None),) * held.ndim)
        found = np.asarray(stored)
        if found.ndim == 2:
            found = np.array([b"".join(map(_bytes, row)).split(b"\0")[0] for row in found], object)
        sites = [_bytes(value).decode("utf-8", "replace").strip() for value in found.tolist()]
        if len(set(sites)) != count or not all(sites):
            raise ConvoyError(f"'{name}' does not name each of the {count} stations once", path=path)
        return sites
    raise ConvoyError(
        f"no variable along '{dim}' names the stations", path=path,
        expected=f"one with cf_role timeseries_id, or called {', '.join(_STATION_NAMES)}",
    )  # fmt: skip


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _latitudes(raw: xr.Dataset, dim: str, count: int) -> list[float]:
    for name, held in raw.variables.items():
        known = str(name).lower() in ("lat", _LATITUDE) or held.attrs.get("standard_name") == _LATITUDE
        if known and held.dims == (dim,):
            return [float(value) for value in held.values]
    return [float("nan")] * count
