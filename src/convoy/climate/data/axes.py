"""Coordinates of other people's files under the convention: latitude up, longitude eastward, whole days."""

import re
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
# What tells a coordinate where its standard name does not: its units, else its name.
_UNITS = {"latitude": r"degrees?_?n(orth)?", "longitude": r"degrees?_?e(ast)?"}
_NAMES = {"latitude": r"lat|latitude|nav_lat", "longitude": r"lon|long|longitude|nav_lon"}


def recognised(raw: xr.Dataset) -> xr.Dataset:
    """The dataset with the standard names of coordinates that only their units or names tell."""
    found = raw.copy()
    for name, variable in found.variables.items():
        if "standard_name" in variable.attrs or variable.ndim > 2:
            continue
        units = str(variable.attrs.get("units", "")).replace(" ", "")
        for kind, pattern in _UNITS.items():
            if re.fullmatch(pattern, units, re.IGNORECASE) or re.fullmatch(
                _NAMES[kind], str(name), re.IGNORECASE
            ):
                variable.attrs["standard_name"] = kind
                break
    return found


def coordinates(raw: xr.Dataset, variable: str) -> tuple[str, str]:
    """Names of the one-dimensional latitude and longitude of a variable of a `recognised` dataset.

    Raises ConvoyError for a grid that is not made of rows of latitude and columns of longitude.
    """
    dims, standard_names = raw[variable].dims, raw.cf.standard_names
    found: list[str] = []
    for kind in ("latitude", "longitude"):
        fitting = [str(name) for name in raw.variables if name in standard_names.get(kind, [])]
        lines = [name for name in fitting if raw[name].ndim == 1 and raw[name].dims[0] in dims]
        if lines:
            found.append(min(lines, key=lambda name: name not in dims))
            continue
        wide = [name for name in fitting if raw[name].ndim == 2]
        if wide:
            over = ", ".join(map(str, raw[wide[0]].dims))
            what = f"its {kind} '{wide[0]}' is two-dimensional ({over}), so its grid is not rectilinear"
        else:
            unit = "degrees_north" if kind == "latitude" else "degrees_east"
            what = f"none of its dimensions ({', '.join(map(str, dims))}) has a {kind} in {unit}"
        _refuse(
            raw,
            f"variable '{variable}': {what}; expected rows of latitude and columns of longitude: regrid it "
            "first (`cdo remapbil`)",
        )
    (along,), (across,) = (raw[name].dims for name in found)
    if along == across:
        _refuse(
            raw,
            f"variable '{variable}': '{found[0]}' and '{found[1]}' both lie along '{along}', as those of "
            "stations do; expected rows of latitude and columns of longitude",
        )
    return found[0], found[1]


def latitudes(raw: xr.Dataset, name: str) -> tuple[Axis, Order]:
    """The axis from south to north, and for each of its cells the place in the file."""
    centres = _degrees(raw, name, (-90, 90))
    steps = np.diff(centres)
    if not ((steps > 0).all() or (steps < 0).all()):
        at = int(np.argmax(steps * np.sign(steps[0]) <= 0)) + 1
        _refuse(raw, f"'{name}' is not sorted: {centres[at - 1]:.6g} is followed by {centres[at]:.6g}")
    order = np.argsort(centres)
    axis = _axis(raw, name, centres, order)
    return Axis(axis.centres, np.clip(axis.bounds, -90, 90)), order


def longitudes(raw: xr.Dataset, name: str) -> tuple[Axis, Order]:
    """The axis from west to east, and for each of its cells the place in the file.

    In -180..180; a region across 180 degrees goes on beyond it, as 170, 180, 190.
    """
    stored = _degrees(raw, name, (-180, 360))
    centres = np.where(stored > 180.0001, stored - 360, np.where(stored < -180.0001, stored + 360, stored))
    steps = np.diff(np.sort(centres))
    usual = 3 * np.median(steps)
    if steps.max() > usual and centres.min() + 360 - centres.max() <= usual:
        # The ends meet at 180: the region begins after the gap.
        west = np.sort(centres)[int(np.argmax(steps)) + 1]
        centres = np.where(centres < west - 1e-6, centres + 360, centres)
    order = np.argsort(centres, kind="stable")
    steps = np.diff(centres[order])
    at = int(np.argmax(steps < 1e-6))
    if steps[at] < 1e-6:
        _refuse(raw, f"'{name}' holds {centres[order][at + 1]:.6g} twice (as 0 and 360?); leave one out")
    at = int(np.argmax(steps))
    if steps[at] > 3 * np.median(steps):
        one, other = centres[order][at : at + 2]
        _refuse(raw, f"'{name}' jumps from {one:.6g} to {other:.6g}: columns are left out; cut it there")
    return _axis(raw, name, centres, order), order


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
    times = _finite(raw, name)
    dates = _dates(raw, name, times, calendar)
    numbers = np.asarray(cftime.date2num(dates, EPOCH, calendar), np.float64)
    _refuse_disorder(raw, name, numbers, dates)
    bounds = _bounds_of_file(raw, name)
    if bounds is not None and np.isfinite(bounds).all():
        edges = np.asarray(cftime.date2num(_dates(raw, name, bounds, calendar), EPOCH, calendar), np.float64)
        numbers = _middles(raw, name, numbers, edges, dates)
    # A stamp of 23:59:59.99 is midnight, rounded.
    ordinal = np.floor(numbers + 1e-4).astype(np.int64)
    if (twice := np.diff(ordinal) == 0).any():
        day = Days(calendar, ordinal[[int(np.argmax(twice))]]).labels[0]
        _refuse(
            raw,
            f"'{name}' holds several times on {day}; expected one value a day (`cdo daymax`, `cdo daymean`)",
        )
    if calendar == "proleptic_gregorian" and len(dates) and min(dates) >= GREGORIAN_FROM:
        calendar = "standard"
    return Days(calendar, ordinal)


def _middles(
    raw: xr.Dataset, name: str, numbers: Floats, edges: Floats, dates: npt.NDArray[np.object_]
) -> Floats:
    """The middles of intervals of a day or less that hold their stamps; ConvoyError for others.

    Intervals of no length say nothing: the stamps count.
    """
    low, high = edges.min(axis=1), edges.max(axis=1)
    if (wrong := high - low > 1.01).any():
        at = int(np.argmax(wrong))
        _refuse(
            raw,
            f"the bounds of '{name}' span {high[at] - low[at]:.4g} days at {_label(dates[at])}; expected "
            "daily values",
        )
    if (wrong := (numbers < low - 1e-3) | (numbers > high + 1e-3)).any():
        at = int(np.argmax(wrong))
        ends = cftime.num2date([low[at], high[at]], EPOCH, dates[at].calendar)
        _refuse(
            raw,
            f"the bounds of '{name}' do not enclose {_label(dates[at])}: they are {_label(ends[0])} and "
            f"{_label(ends[1])}; mend them, or leave them out",
        )
    return np.where(high > low, (low + high) / 2, numbers)


def _finite(raw: xr.Dataset, name: str) -> Floats:
    values = raw[name].values if raw[name].ndim == 1 else np.empty(0)
    if raw[name].ndim != 1 or values.dtype.kind != "f":
        _refuse(raw, f"'{name}' is no list of numbers; expected a coordinate")
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        _refuse(raw, f"coordinate '{name}' has no finite value at index {at}; mend it")
    return values.astype(np.float64)


def _degrees(raw: xr.Dataset, name: str, expected: tuple[int, int]) -> Floats:
    values = _finite(raw, name)
    if len(values) < 2:
        _refuse(raw, f"'{name}' has {len(values)} value; expected rows and columns of cells")
    values = np.degrees(values) if _in_radians(raw, name) else values
    slack = 0.01 if expected[1] == 90 else 180.01
    if values.min() < expected[0] - slack or values.max() > expected[1] + slack:
        worst = values[np.argmax(np.abs(values))]
        _refuse(raw, f"'{name}' holds {worst:.6g}; expected degrees in {expected[0]}..{expected[1]}")
    return values


def _in_radians(raw: xr.Dataset, name: str) -> bool:
    return bool(re.fullmatch(r"rad(ian)?s?", str(raw[name].attrs.get("units", "")).strip(), re.IGNORECASE))


def _bounds_of_file(raw: xr.Dataset, name: str) -> Floats | None:
    stated = [str(bounds) for bounds in raw.cf.bounds.get(name, [])]
    for bounds in (*stated, f"{name}_bnds", f"{name}_bounds"):
        held = raw.variables.get(bounds)
        if held is not None and held.shape == (raw.sizes[raw[name].dims[0]], 2):
            values = held.values.astype(np.float64)
            return np.degrees(values) if _in_radians(raw, name) else values
    return None


def _axis(raw: xr.Dataset, name: str, centres: Floats, order: Order) -> Axis:
    """Centres in our order and their cells' edges: the file's own, or half-way between centres."""
    centres = centres[order]
    stored = _bounds_of_file(raw, name)
    if stored is None:
        return Axis.around(centres)
    # Each edge on the turn of its own centre: (359.5, 0.5) round 0 becomes (-0.5, 0.5).
    turned = np.sort(centres[:, None] + (stored[order] - centres[:, None] + 180) % 360 - 180, axis=1)
    low, high = turned.T
    if not (inside := (low < high) & (low - 1e-4 <= centres) & (centres <= high + 1e-4)).all():
        at = int(np.argmin(inside))
        one, other = stored[order][at]
        _refuse(
            raw,
            f"the bounds of '{name}' do not enclose {centres[at]:.6g}: they are {one:.6g} and {other:.6g}; "
            "mend them, or leave them out",
        )
    return Axis(centres, turned)


def _dates(raw: xr.Dataset, name: str, times: Floats, calendar: str) -> npt.NDArray[np.object_]:
    stated = str(raw[name].attrs.get("units", "none"))
    try:
        dates = cftime.num2date(times, stated, calendar, only_use_cftime_datetimes=True)
    except (ValueError, TypeError, OverflowError, AttributeError):
        _refuse(
            raw,
            f"'{name}' counts in '{stated}'; expected days, hours, minutes or seconds since a date "
            "(`cdo setreftime`)",
        )
    return np.asarray(dates)


def _refuse_disorder(raw: xr.Dataset, name: str, numbers: Floats, dates: npt.NDArray[np.object_]) -> None:
    """Raise ConvoyError for times that go back or stand twice."""
    steps = np.diff(numbers)
    if (wrong := steps < -1e-6).any():
        at = int(np.argmax(wrong))
        _refuse(
            raw,
            f"'{name}' is not sorted: {_label(dates[at])} is followed by {_label(dates[at + 1])}; sort it "
            "(`cdo mergetime`)",
        )
    if (wrong := steps <= 1e-6).any():
        _refuse(raw, f"'{name}' holds {_label(dates[int(np.argmax(wrong))])} twice; leave one out")


def _label(date: Any) -> str:
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def _refuse(raw: xr.Dataset, what: str) -> NoReturn:
    raise ConvoyError(f"{raw.encoding['source']}: {what}")
