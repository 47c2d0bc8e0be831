"""Coordinates of other people's files under the convention: latitude up, longitude -180..180, whole days."""

from typing import Any, TypeAlias

import cftime
import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import EPOCH, Axis, Days
from convoy.climate.data.netcdf import FileFacts
from convoy.core.errors import ConvoyError

Order: TypeAlias = npt.NDArray[np.int64]
CALENDARS = {
    "standard": "standard", "gregorian": "standard", "proleptic_gregorian": "proleptic_gregorian",
    "noleap": "noleap", "365_day": "noleap", "360_day": "360_day",
}  # fmt: skip
# From here on the Gregorian calendars are one; before it they are ten days apart.
GREGORIAN_FROM = cftime.datetime(1582, 10, 15, calendar="proleptic_gregorian")
_UNITS = {"latitude": ("n", "north"), "longitude": ("e", "east")}
_NAMES = {"latitude": ("lat", "latitude", "nav_lat"), "longitude": ("lon", "long", "longitude", "nav_lon")}


def coordinates(facts: FileFacts, variable: str) -> tuple[str, str]:
    """Names of the one-dimensional latitude and longitude of a variable.

    Raises ConvoyError for a grid that is not made of rows of latitude and columns of longitude.
    """
    dims = facts.variables[variable].dims
    found = []
    for kind in ("latitude", "longitude"):
        fitting = [name for name in facts.variables if _is(facts, name, kind)]
        for name in sorted(fitting, key=lambda name: name not in dims):
            if len(facts.variables[name].dims) == 1 and facts.variables[name].dims[0] in dims:
                found.append(name)
                break
        else:
            wide = [name for name in fitting if len(facts.variables[name].dims) == 2]
            if wide:
                over = ", ".join(facts.variables[wide[0]].dims)
                what = f"its {kind} '{wide[0]}' is two-dimensional ({over}), so its grid is not rectilinear"
            else:
                unit = f"degrees_{_UNITS[kind][1]}"
                what = f"none of its dimensions ({', '.join(dims)}) has a {kind} in {unit}"
            raise ConvoyError(
                f"{facts.path}: variable '{variable}': {what}; expected rows of latitude and columns of "
                "longitude: regrid it first (`cdo remapbil`)"
            )
    (along,), (across,) = (facts.variables[name].dims for name in found)
    if along == across:
        raise ConvoyError(
            f"{facts.path}: variable '{variable}': '{found[0]}' and '{found[1]}' both lie along '{along}', "
            "as those of stations do; expected rows of latitude and columns of longitude"
        )
    return found[0], found[1]


def latitudes(facts: FileFacts, name: str) -> tuple[Axis, Order]:
    """The axis from south to north, and for each of its cells the place in the file."""
    centres = _several(facts, name)
    steps = np.diff(centres)
    if not ((steps > 0).all() or (steps < 0).all()):
        at = int(np.argmax(steps * np.sign(steps[0]) <= 0)) + 1
        raise ConvoyError(
            f"{facts.path}: '{name}' is not sorted: {centres[at - 1]:.6g} is followed by {centres[at]:.6g}"
        )
    if np.abs(centres).max() > 90.01:
        worst = centres[np.argmax(np.abs(centres))]
        raise ConvoyError(f"{facts.path}: '{name}' holds {worst:.6g}; expected degrees in -90..90")
    order = np.argsort(centres)
    centres = centres[order]
    return Axis(centres, np.clip(_bounds(facts, name, centres, order), -90, 90)), order


def longitudes(facts: FileFacts, name: str) -> tuple[Axis, Order]:
    """The axis from west to east in -180..180, and for each of its cells the place in the file."""
    stored = _several(facts, name)
    if stored.min() < -360.01 or stored.max() > 540.01:
        worst = stored[np.argmax(np.abs(stored))]
        raise ConvoyError(f"{facts.path}: '{name}' holds {worst:.6g}; expected degrees in -180..360")
    centres = np.where(stored > 180.0001, stored - 360, np.where(stored < -180.0001, stored + 360, stored))
    order = np.argsort(centres, kind="stable")
    centres = centres[order]
    steps = np.diff(centres)
    if (steps < 1e-6).any():
        twice = centres[1:][np.argmax(steps < 1e-6)]
        raise ConvoyError(f"{facts.path}: '{name}' holds {twice:.6g} twice (as 0 and 360?); leave one out")
    if steps.max() > 3 * np.median(steps):
        at = int(np.argmax(steps))
        raise ConvoyError(
            f"{facts.path}: '{name}' jumps from {centres[at]:.6g} to {centres[at + 1]:.6g}: a grid across "
            "180 degrees east, or with columns left out; cut it there"
        )
    return Axis(centres, _bounds(facts, name, centres, order)), order


def days(facts: FileFacts, name: str) -> Days:
    """The days of a time coordinate, whatever the hour; refused where they are not daily and in order.

    A stamp at the end of its interval (midnight of the next day) counts for the day that its bounds enclose.
    Standard and proleptic Gregorian dates after 1582 are the same days and get the same calendar.
    """
    if name not in facts.coordinates:
        raise ConvoyError(f"{facts.path}: dimension '{name}' has no coordinate that says when")
    attributes = facts.variables[name].attributes
    stated = str(attributes.get("calendar", "standard")).lower()
    calendar = CALENDARS.get(stated)
    if calendar is None:
        raise ConvoyError(
            f"{facts.path}: '{name}' is in the calendar '{stated}'; expected one of {', '.join(CALENDARS)}"
        )
    times = _finite(facts, name)
    bounds = _bounds_of_file(facts, name)
    dates = _dates(facts, name, times, attributes, calendar)
    numbers = np.asarray(cftime.date2num(dates, EPOCH, calendar), np.float64)
    _refuse_disorder(facts, name, numbers, dates)
    if bounds is not None and np.isfinite(bounds).all():
        edges = np.asarray(
            cftime.date2num(_dates(facts, name, bounds, attributes, calendar), EPOCH, calendar), np.float64
        )
        lengths = np.abs(np.diff(edges, axis=1))
        if ((lengths > 0) & (lengths < 1.01)).all():
            numbers = edges.mean(axis=1)
    # A stamp of 23:59:59.99 is midnight, rounded.
    ordinal = np.floor(numbers + 1e-4).astype(np.int64)
    _refuse_not_daily(facts, name, ordinal, calendar)
    if calendar == "proleptic_gregorian" and min(dates) >= GREGORIAN_FROM:
        calendar = "standard"
    return Days(calendar, ordinal)


def _is(facts: FileFacts, name: str, kind: str) -> bool:
    attributes = facts.variables[name].attributes
    if standard := attributes.get("standard_name"):
        return str(standard) == kind
    written = str(attributes.get("units", "")).lower().replace("_", "").replace("degrees", "degree")
    if written in {f"degree{end}" for end in _UNITS[kind]}:
        return True
    return name.lower() in _NAMES[kind]


def _finite(facts: FileFacts, name: str) -> npt.NDArray[np.float64]:
    if name not in facts.coordinates or facts.coordinates[name].ndim != 1:
        raise ConvoyError(f"{facts.path}: '{name}' is no list of numbers; expected a coordinate")
    values = facts.coordinates[name]
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise ConvoyError(f"{facts.path}: coordinate '{name}' has no finite value at index {at}; mend it")
    return values


def _several(facts: FileFacts, name: str) -> npt.NDArray[np.float64]:
    values = _finite(facts, name)
    if len(values) < 2:
        raise ConvoyError(
            f"{facts.path}: '{name}' has {len(values)} value; expected rows and columns of cells"
        )
    return values


def _bounds_of_file(facts: FileFacts, name: str) -> npt.NDArray[np.float64] | None:
    for bounds in (facts.variables[name].attributes.get("bounds"), f"{name}_bnds", f"{name}_bounds"):
        values = facts.coordinates.get(str(bounds))
        if values is not None and values.shape == (len(facts.coordinates[name]), 2):
            return values
    return None


def _bounds(
    facts: FileFacts, name: str, centres: npt.NDArray[np.float64], order: Order
) -> npt.NDArray[np.float64]:
    """Lower and upper edges (n, 2) of cells in our order: the file's own, or half-way between centres."""
    stored = _bounds_of_file(facts, name)
    if stored is None:
        middle = (centres[:-1] + centres[1:]) / 2
        edges = np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
        return np.stack([edges[:-1], edges[1:]], axis=1)
    # Each edge on the turn of its own centre: (359.5, 0.5) round 0 becomes (-0.5, 0.5).
    turned = centres[:, None] + (stored[order] - centres[:, None] + 180) % 360 - 180
    low, high = turned.min(axis=1), turned.max(axis=1)
    outside = ~((low < high) & (low - 1e-4 <= centres) & (centres <= high + 1e-4))
    if outside.any():
        at = int(np.argmax(outside))
        raise ConvoyError(
            f"{facts.path}: the bounds of '{name}' do not enclose {centres[at]:.6g}: they are "
            f"{stored[order][at, 0]:.6g} and {stored[order][at, 1]:.6g}; mend them, or leave them out"
        )
    return np.stack([low, high], axis=1)


def _dates(
    facts: FileFacts, name: str, times: npt.NDArray[np.float64], attributes: Any, calendar: str
) -> npt.NDArray[np.object_]:
    stated = str(attributes.get("units", "none"))
    try:
        dates = cftime.num2date(times, stated, calendar, only_use_cftime_datetimes=True)
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise ConvoyError(
            f"{facts.path}: '{name}' counts in '{stated}'; expected days, hours, minutes or seconds since a "
            "date (`cdo setreftime`)"
        ) from None
    return np.asarray(dates)


def _refuse_disorder(
    facts: FileFacts, name: str, numbers: npt.NDArray[np.float64], dates: npt.NDArray[np.object_]
) -> None:
    """Times that go back or stand twice."""
    steps = np.diff(numbers)
    if (wrong := steps < -1e-6).any():
        at = int(np.argmax(wrong))
        raise ConvoyError(
            f"{facts.path}: '{name}' is not sorted: {_label(dates[at])} is followed by "
            f"{_label(dates[at + 1])}; sort it (`cdo mergetime`)"
        )
    if (wrong := steps <= 1e-6).any():
        twice = _label(dates[int(np.argmax(wrong))])
        raise ConvoyError(f"{facts.path}: '{name}' holds {twice} twice; leave one out")


def _refuse_not_daily(facts: FileFacts, name: str, ordinal: npt.NDArray[np.int64], calendar: str) -> None:
    steps = np.diff(ordinal)
    if (steps == 0).any():
        day = Days(calendar, ordinal[[int(np.argmax(steps == 0))]]).labels[0]
        raise ConvoyError(
            f"{facts.path}: '{name}' holds several times on {day}; expected one value a day (`cdo daymax`, "
            "`cdo daymean`)"
        )
    if len(steps) and np.median(steps) > 1:
        raise ConvoyError(
            f"{facts.path}: '{name}' goes on by {np.median(steps):g} days as a rule; expected daily values"
        )


def _label(date: Any) -> str:
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"
