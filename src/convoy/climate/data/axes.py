"""Coordinates of input files under the convention: ascending latitude and longitude, whole days."""

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
# From this date on the standard and the proleptic Gregorian calendar are equal; before, they differ by ten
# days.
GREGORIAN_FROM = cftime.datetime(1582, 10, 15, calendar="proleptic_gregorian")
# Names and units, in any case, that are accepted for coordinates in addition to those of CF.
_SPELLINGS = {
    "latitude": r"lat|latitude|nav_lat|degrees?_?n(orth)?",
    "longitude": r"lon|long|longitude|nav_lon|degrees?_?e(ast)?",
}


def coordinates(raw: xr.Dataset, variable: str) -> tuple[str, str]:
    """Names of the one-dimensional latitude and longitude of a variable.

    Raises ConvoyError for a grid that is not rectilinear.
    """
    dims, found = raw[variable].dims, []
    for (kind, fitting), unit in zip(_by_kind(raw).items(), ("degrees_north", "degrees_east"), strict=True):
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


def _by_kind(raw: xr.Dataset) -> dict[str, list[str]]:
    """Names of the latitudes and of the longitudes of a file."""
    known, found = raw.cf.coordinates, {kind: list[str]() for kind in _SPELLINGS}
    for name, held in raw.variables.items():
        stated, units = held.attrs.get("standard_name"), str(held.attrs.get("units", "")).replace(" ", "")
        for kind, pattern in _SPELLINGS.items():
            spelled = any(re.fullmatch(pattern, word, re.IGNORECASE) for word in (units, str(name)))
            if stated == kind or (stated is None and (name in known.get(kind, []) or spelled)):
                found[kind].append(str(name))
                break
    return found


def latitudes(raw: xr.Dataset, name: str) -> tuple[Axis, Order]:
    """The axis from south to north, and for each of its cells the index in the file."""
    held = _Coordinate(raw, name)
    centres = held.degrees(-90, 90, 0.01)
    steps = np.diff(centres)
    held.require(
        steps * np.sign(steps[0]) > 0,
        lambda at: f"'{name}' is not sorted: {centres[at]:.6g} is followed by {centres[at + 1]:.6g}",
    )
    axis, order = held.axis(centres)
    return Axis(axis.centres, np.clip(axis.bounds, -90, 90)), order


def longitudes(raw: xr.Dataset, name: str) -> tuple[Axis, Order]:
    """The axis from west to east, and for each of its cells the index in the file.

    Longitudes are in -180..180; a region across 180 degrees continues beyond it, as 170, 180, 190.
    """
    held = _Coordinate(raw, name)
    stored = held.degrees(-180, 360, 180.01)
    centres = stored - 360 * (stored > 180.0001) + 360 * (stored < -180.0001)
    steps = np.diff(np.sort(centres))
    usual = 3 * np.median(steps)
    if steps.max() > usual and centres.min() + 360 - centres.max() <= usual:
        # A region across 180 degrees begins after the gap.
        west = np.sort(centres)[int(np.argmax(steps)) + 1]
        centres = centres + 360 * (centres < west - 1e-6)
    east = np.sort(centres)
    steps = np.diff(east)
    twice = f"'{name}' holds {{}} twice (as 0 and 360?); leave one out"
    held.require(steps >= 1e-6, lambda at: twice.format(f"{east[at + 1]:.6g}"))
    jump = f"'{name}' jumps from {{}} to {{}}: columns are left out; cut it there"
    held.require(
        (steps <= 3 * np.median(steps)) | (steps < steps.max()),
        lambda at: jump.format(*(f"{degrees:.6g}" for degrees in east[at : at + 2])),
    )
    return held.axis(centres)


def days(raw: xr.Dataset, name: str) -> Days:
    """The days of a time coordinate, at any hour; raises ConvoyError where they are not ascending and unique.

    A time stamp at the end of its interval (midnight of the next day) is assigned to the day within its
    bounds. Standard and proleptic Gregorian dates after 1582 are the same days and get the same calendar.
    """
    if name not in raw.variables:
        _refuse(raw, f"dimension '{name}' has no time coordinate")
    held = _Coordinate(raw, name)
    numbers, dates, calendar = held.since_epoch(held.values)
    steps = np.diff(numbers)
    held.require(
        steps >= -1e-6,
        lambda at: (
            f"'{name}' is not sorted: {_label(dates[at])} is followed by {_label(dates[at + 1])}; "
            "sort it (`cdo mergetime`)"
        ),
    )
    held.require(steps > 1e-6, lambda at: f"'{name}' holds {_label(dates[at])} twice; leave one out")
    numbers = held.middles(numbers, dates)
    # A stamp of 23:59:59.99 is midnight, rounded.
    found = Days(calendar, np.floor(numbers + 1e-4).astype(np.int64))
    held.require(
        np.diff(found.ordinal) != 0,
        lambda at: (
            f"'{name}' holds several times on {found.at([at]).labels[0]}; expected one value a day "
            "(`cdo daymax`, `cdo daymean`)"
        ),
    )
    if calendar == "proleptic_gregorian" and len(dates) and min(dates) >= GREGORIAN_FROM:
        return Days("standard", found.ordinal)
    return found


class _Coordinate:
    """A one-dimensional coordinate of a file and its bounds, as they are stored."""

    def __init__(self, raw: xr.Dataset, name: str) -> None:
        """Raise ConvoyError where it is not one-dimensional with finite numbers."""
        held = raw[name]
        self.raw, self.name, self.attributes = raw, name, held.attrs
        if held.ndim != 1 or held.dtype.kind != "f":
            _refuse(raw, f"'{name}' is no list of numbers; expected a coordinate")
        self.values = held.values.astype(np.float64)
        self.bounds: Floats | None = None
        for bounds in (f"{name}_bounds", f"{name}_bnds", held.attrs.get("bounds")):
            edges = raw.variables.get(bounds)
            if edges is not None and edges.shape == (len(self.values), 2):
                self.bounds = edges.values.astype(np.float64)
        self.require(
            np.isfinite(self.values),
            lambda at: f"coordinate '{name}' has no finite value at index {at}; correct it",
        )

    def require(self, fine: npt.NDArray[np.bool_], what: Callable[[int], str]) -> None:
        """Raise ConvoyError with the message for the first index that is not fine."""
        if not fine.all():
            _refuse(self.raw, what(int(np.argmin(fine))))

    def degrees(self, least: float, greatest: float, slack: float) -> Floats:
        """Its values in degrees, converted from radians where those are its units, as are the bounds."""
        if re.fullmatch(r"rad(ian)?s?", str(self.attributes.get("units", "")).strip(), re.IGNORECASE):
            self.values = np.degrees(self.values)
            self.bounds = None if self.bounds is None else np.degrees(self.bounds)
        values, name = self.values, self.name
        if len(values) < 2:
            _refuse(self.raw, f"'{name}' has {len(values)} value; expected rows and columns of cells")
        if values.min() < least - slack or values.max() > greatest + slack:
            worst = values[np.argmax(np.abs(values))]
            _refuse(self.raw, f"'{name}' holds {worst:.6g}; expected degrees in {least}..{greatest}")
        return values

    def axis(self, centres: Floats) -> tuple[Axis, Order]:
        """Centres in ascending order with cell edges (the file's, or half-way between centres).

        The second value is the index in the file of each cell.
        """
        order = np.argsort(centres, kind="stable")
        centres = centres[order]
        if self.bounds is None:
            return Axis.around(centres), order
        stored = self.bounds[order]
        # Edges are shifted by 360 degrees to be near their centre: (359.5, 0.5) around 0 becomes (-0.5, 0.5).
        turned = np.sort(centres[:, None] + (stored - centres[:, None] + 180) % 360 - 180, axis=1)
        low, high = turned.T
        self.require(
            (low < high) & (low - 1e-4 <= centres) & (centres <= high + 1e-4),
            lambda at: self._not_enclosed(*(f"{degrees:.6g}" for degrees in (centres[at], *stored[at]))),
        )
        return Axis(centres, turned), order

    def since_epoch(self, times: Floats) -> tuple[Floats, npt.NDArray[np.object_], str]:
        """Times as days since 1850-01-01 and as dates, and their calendar."""
        stated = str(self.attributes.get("calendar", "standard")).lower()
        if stated not in CALENDARS:
            known = ", ".join(CALENDARS)
            _refuse(self.raw, f"'{self.name}' is in the calendar '{stated}'; expected one of {known}")
        calendar, units = CALENDARS[stated], str(self.attributes.get("units", "none"))
        try:
            dates = np.asarray(cftime.num2date(times, units, calendar, only_use_cftime_datetimes=True))
        except (ValueError, TypeError, OverflowError, AttributeError):
            _refuse(
                self.raw,
                f"'{self.name}' counts in '{units}'; expected days, hours, minutes or seconds since a date "
                "(`cdo setreftime`)",
            )
        return np.asarray(cftime.date2num(dates, EPOCH, calendar), np.float64), dates, calendar

    def middles(self, numbers: Floats, dates: npt.NDArray[np.object_]) -> Floats:
        """The middles of the time bounds, which must be a day or less and include the time stamp.

        Without bounds, or where they have no length, the time stamps are returned.
        """
        if self.bounds is None or not np.isfinite(self.bounds).all():
            return numbers
        edges, ends, _ = self.since_epoch(np.sort(self.bounds, axis=1))
        low, high = edges.T
        self.require(
            high - low <= 1.01,
            lambda at: (
                f"the bounds of '{self.name}' span {high[at] - low[at]:.4g} days at "
                f"{_label(dates[at])}; expected daily values"
            ),
        )
        self.require(
            (numbers >= low - 1e-3) & (numbers <= high + 1e-3),
            lambda at: self._not_enclosed(*map(_label, (dates[at], *ends[at]))),
        )
        return np.where(high > low, (low + high) / 2, numbers)

    def _not_enclosed(self, value: str, low: str, high: str) -> str:
        return (
            f"the bounds of '{self.name}' do not enclose {value}: they are {low} and {high}; correct them, "
            "or leave them out"
        )


def _label(date: Any) -> str:
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def _refuse(raw: xr.Dataset, what: str) -> NoReturn:
    raise ConvoyError(what, path=raw.encoding["source"])
