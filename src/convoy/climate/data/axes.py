"""Coordinates of other people's files under the convention: latitude up, longitude eastward, whole days."""

import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import cf_xarray  # noqa: F401 (the accessor `cf`)
import cftime
import numpy as np
import numpy.typing as npt
import xarray as xr

from convoy.climate.data.domains import EPOCH, Axis, Days
from convoy.core.errors import ConvoyError

Floats: TypeAlias = npt.NDArray[np.float64]
Order: TypeAlias = npt.NDArray[np.int64]
CALENDARS = {
    "standard": "standard", "gregorian": "standard", "proleptic_gregorian": "proleptic_gregorian",
    "noleap": "noleap", "365_day": "noleap", "360_day": "360_day",
}  # fmt: skip
# From here on the Gregorian calendars are one; before it they are ten days apart.
GREGORIAN_FROM = cftime.datetime(1582, 10, 15, calendar="proleptic_gregorian")


def coordinates(raw: xr.Dataset, variable: str) -> tuple[str, str]:
    """Names of the one-dimensional latitude and longitude of a variable.

    Raises ConvoyError for a grid that is not made of rows of latitude and columns of longitude.
    """
    dims, known = raw[variable].dims, raw.cf.coordinates
    if not {"latitude", "longitude"} <= set(known):
        # Neither standard names nor units tell, but their own names may; to guess takes a while.
        known = raw.cf.guess_coord_axis().cf.coordinates
    found: list[str] = []
    for kind, unit in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        fitting = [str(name) for name in raw.variables if name in known.get(kind, [])]
        lines = [name for name in fitting if raw[name].ndim == 1 and raw[name].dims[0] in dims]
        if lines:
            found.append(min(lines, key=lambda name: name not in dims))
            continue
        what = f"none of its dimensions ({', '.join(map(str, dims))}) has a {kind} in {unit}"
        for wide in (name for name in fitting if raw[name].ndim == 2):
            over = ", ".join(map(str, raw[wide].dims))
            what = f"its {kind} '{wide}' is two-dimensional ({over}), so its grid is not rectilinear"
        _refuse(
            raw,
            f"variable '{variable}': {what}; expected rows of latitude and columns of longitude: regrid it "
            "first (`cdo remapbil`)",
        )
    lat, lon = found
    if raw[lat].dims == raw[lon].dims:
        _refuse(
            raw,
            f"variable '{variable}': '{lat}' and '{lon}' both lie along '{raw[lat].dims[0]}', as those of "
            "stations do; expected rows of latitude and columns of longitude",
        )
    return lat, lon


def latitudes(raw: xr.Dataset, name: str) -> tuple[Axis, Order]:
    """The axis from south to north, and for each of its cells the place in the file."""
    centres = _degrees(raw, name, (-90, 90), 0.01)
    steps = np.diff(centres)
    _require(
        raw, steps * np.sign(steps[0]) > 0,
        lambda at: f"'{name}' is not sorted: {centres[at]:.6g} is followed by {centres[at + 1]:.6g}",
    )  # fmt: skip
    axis, order = _axis(raw, name, centres)
    return Axis(axis.centres, np.clip(axis.bounds, -90, 90)), order


def longitudes(raw: xr.Dataset, name: str) -> tuple[Axis, Order]:
    """The axis from west to east, and for each of its cells the place in the file.

    In -180..180; a region across 180 degrees goes on beyond it, as 170, 180, 190.
    """
    stored = _degrees(raw, name, (-180, 360), 180.01)
    centres = stored - 360 * (stored > 180.0001) + 360 * (stored < -180.0001)
    steps = np.diff(np.sort(centres))
    usual = 3 * np.median(steps)
    if steps.max() > usual and centres.min() + 360 - centres.max() <= usual:
        # The ends meet at 180: the region begins after the gap.
        west = np.sort(centres)[int(np.argmax(steps)) + 1]
        centres = centres + 360 * (centres < west - 1e-6)
    east = np.sort(centres)
    steps = np.diff(east)
    _require(
        raw, steps >= 1e-6,
        lambda at: f"'{name}' holds {east[at + 1]:.6g} twice (as 0 and 360?); leave one out",
    )  # fmt: skip
    _require(
        raw, (steps <= 3 * np.median(steps)) | (steps < steps.max()),
        lambda at: f"'{name}' jumps from {east[at]:.6g} to {east[at + 1]:.6g}: columns are left out; "
        "cut it there",
    )  # fmt: skip
    return _axis(raw, name, centres)


def days(raw: xr.Dataset, name: str) -> Days:
    """The days of a time coordinate, whatever the hour; refused where they are not in order, each once.

    A stamp at the end of its interval (midnight of the next day) counts for the day that its bounds enclose.
    Standard and proleptic Gregorian dates after 1582 are the same days and get the same calendar.
    """
    if name not in raw.variables:
        _refuse(raw, f"dimension '{name}' has no coordinate that says when")
    stated = str(raw[name].attrs.get("calendar", "standard")).lower()
    if stated not in CALENDARS:
        _refuse(raw, f"'{name}' is in the calendar '{stated}'; expected one of {', '.join(CALENDARS)}")
    calendar = CALENDARS[stated]
    numbers, dates = _since_epoch(raw, name, _finite(raw, name), calendar)
    steps = np.diff(numbers)
    _require(
        raw, steps >= -1e-6,
        lambda at: f"'{name}' is not sorted: {_label(dates[at])} is followed by {_label(dates[at + 1])}; "
        "sort it (`cdo mergetime`)",
    )  # fmt: skip
    _require(raw, steps > 1e-6, lambda at: f"'{name}' holds {_label(dates[at])} twice; leave one out")
    bounds = _bounds_of_file(raw, name)
    if bounds is not None and np.isfinite(bounds).all():
        edges, _ = _since_epoch(raw, name, np.sort(bounds, axis=1), calendar)
        numbers = _middles(raw, name, numbers, edges, dates)
    # A stamp of 23:59:59.99 is midnight, rounded.
    found = Days(calendar, np.floor(numbers + 1e-4).astype(np.int64))
    _require(
        raw, np.diff(found.ordinal) != 0,
        lambda at: f"'{name}' holds several times on {found.at([at]).labels[0]}; expected one value a day "
        "(`cdo daymax`, `cdo daymean`)",
    )  # fmt: skip
    if calendar == "proleptic_gregorian" and len(dates) and min(dates) >= GREGORIAN_FROM:
        return Days("standard", found.ordinal)
    return found


def _middles(
    raw: xr.Dataset, name: str, numbers: Floats, edges: Floats, dates: npt.NDArray[np.object_]
) -> Floats:
    """The middles of intervals of a day or less that hold their stamps; ConvoyError for others.

    Intervals of no length say nothing: the stamps count.
    """
    low, high = edges.T

    def outside(at: int) -> str:
        ends = cftime.num2date(edges[at], EPOCH, dates[at].calendar)
        return (
            f"the bounds of '{name}' do not enclose {_label(dates[at])}: they are {_label(ends[0])} and "
            f"{_label(ends[1])}; mend them, or leave them out"
        )

    _require(
        raw, high - low <= 1.01,
        lambda at: f"the bounds of '{name}' span {high[at] - low[at]:.4g} days at {_label(dates[at])}; "
        "expected daily values",
    )  # fmt: skip
    _require(raw, (numbers >= low - 1e-3) & (numbers <= high + 1e-3), outside)
    return np.where(high > low, (low + high) / 2, numbers)


def _finite(raw: xr.Dataset, name: str) -> Floats:
    held = raw[name]
    if held.ndim != 1 or held.dtype.kind != "f":
        _refuse(raw, f"'{name}' is no list of numbers; expected a coordinate")
    values = held.values.astype(np.float64)
    _require(
        raw, np.isfinite(values), lambda at: f"coordinate '{name}' has no finite value at index {at}; mend it"
    )
    return values


def _degrees(raw: xr.Dataset, name: str, expected: tuple[int, int], slack: float) -> Floats:
    values = _finite(raw, name)
    if len(values) < 2:
        _refuse(raw, f"'{name}' has {len(values)} value; expected rows and columns of cells")
    values = _in_degrees(raw, name, values)
    if values.min() < expected[0] - slack or values.max() > expected[1] + slack:
        worst = values[np.argmax(np.abs(values))]
        _refuse(raw, f"'{name}' holds {worst:.6g}; expected degrees in {expected[0]}..{expected[1]}")
    return values


def _in_degrees(raw: xr.Dataset, name: str, values: Floats) -> Floats:
    radians = re.fullmatch(r"rad(ian)?s?", str(raw[name].attrs.get("units", "")).strip(), re.IGNORECASE)
    return np.degrees(values) if radians else values


def _bounds_of_file(raw: xr.Dataset, name: str) -> Floats | None:
    for bounds in (raw[name].attrs.get("bounds"), f"{name}_bnds", f"{name}_bounds"):
        held = raw.variables.get(bounds)
        if held is not None and held.shape == (raw.sizes[raw[name].dims[0]], 2):
            return _in_degrees(raw, name, held.values.astype(np.float64))
    return None


def _axis(raw: xr.Dataset, name: str, centres: Floats) -> tuple[Axis, Order]:
    """Centres in ascending order and their cells' edges: the file's own, or half-way between centres.

    With it for each cell its place in the file.
    """
    order = np.argsort(centres, kind="stable")
    centres, stored = centres[order], _bounds_of_file(raw, name)
    if stored is None:
        return Axis.around(centres), order
    stored = stored[order]
    # Each edge on the turn of its own centre: (359.5, 0.5) round 0 becomes (-0.5, 0.5).
    turned = np.sort(centres[:, None] + (stored - centres[:, None] + 180) % 360 - 180, axis=1)
    low, high = turned.T
    _require(
        raw, (low < high) & (low - 1e-4 <= centres) & (centres <= high + 1e-4),
        lambda at: f"the bounds of '{name}' do not enclose {centres[at]:.6g}: they are {stored[at, 0]:.6g} "
        f"and {stored[at, 1]:.6g}; mend them, or leave them out",
    )  # fmt: skip
    return Axis(centres, turned), order


def _since_epoch(
    raw: xr.Dataset, name: str, times: Floats, calendar: str
) -> tuple[Floats, npt.NDArray[np.object_]]:
    """Times as days since 1850-01-01, and as dates."""
    stated = str(raw[name].attrs.get("units", "none"))
    try:
        dates = np.asarray(cftime.num2date(times, stated, calendar, only_use_cftime_datetimes=True))
    except (ValueError, TypeError, OverflowError, AttributeError):
        _refuse(
            raw,
            f"'{name}' counts in '{stated}'; expected days, hours, minutes or seconds since a date "
            "(`cdo setreftime`)",
        )
    return np.asarray(cftime.date2num(dates, EPOCH, calendar), np.float64), dates


def _label(date: Any) -> str:
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def _require(raw: xr.Dataset, fine: npt.NDArray[np.bool_], what: Callable[[int], str]) -> None:
    """Raise ConvoyError with what is wrong at the first place that is not fine."""
    if not fine.all():
        _refuse(raw, what(int(np.argmin(fine))))


def _refuse(raw: xr.Dataset, what: str) -> NoReturn:
    raise ConvoyError(what, path=raw.encoding["source"])
