"""Checks of each file of a folder of grids: variables, attributes, times and axes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from convoy.climate.data.domains import EPOCH, Axis, Grid
from convoy.climate.data.headers import CALENDARS, StoredDomain, StoredFile
from convoy.climate.data.variables import VARIABLES
from convoy.quality.expectations import Part, Rule

SIDES = ("coarse", "fine")
CONVENTION = {
    "lat": {"standard_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "units": "degrees_east"},
    "time": {"standard_name": "time", "units": EPOCH},
    **{name: row.attributes for name, row in VARIABLES.items()},
}
COMPARED_ATTRIBUTES = ("units", "standard_name", "cell_methods")
FARTHEST_DAYS = 1_000_000  # from 1850: numbers beyond it are not dates


@dataclass(frozen=True)
class Check:
    """An expectation on files, domains or splits; `faults` are by name, None where it holds."""

    rule: Rule
    key: str
    faults: Mapping[str, str | None]

    @staticmethod
    def of(
        name: str, subject: str, words: str, key: str, faults: Iterable[tuple[str, str | None]],
        warns: bool = False,
    ) -> "Check":  # fmt: skip
        """A check as an expectation of Great Expectations: no row has a fault."""
        rule = Rule(name, "ExpectColumnValuesToBeNull", words, subject, warns=warns)
        return Check(rule, key, dict(faults))

    @property
    def holds(self) -> bool:
        """Whether there is no fault, or the rule only warns."""
        return self.rule.warns or not any(self.faults.values())

    def part(self) -> Part:
        """A frame with one row per name, and the rule for it."""
        values = pd.Series(list(self.faults.values()), dtype="str")
        frame = pd.DataFrame({self.key: list(self.faults), self.rule.column: values})
        return Part(self.rule.name, frame, [self.rule], self.key, numbered=False, quoted=False)


def file_checks(facts: Mapping[str, Any], domains: list[StoredDomain]) -> list[Check]:
    """Checks of each file; where one fails, no other checks are made."""
    files = [file for domain in domains for file in domain.files]

    def check(name: str, subject: str, words: str, found: Iterable[str | None]) -> Check:
        return Check.of(name, subject, words, "file", zip((file.name for file in files), found, strict=True))

    timed = f"Times are in '{EPOCH}' of a known calendar, in the file of their year"
    return [
        Check.of(
            "files", "files", "Each domain has static fields and coarse inputs", "domain",
            ((domain.name, _files_missing(domain)) for domain in domains),
        ),
        check(
            "variables", "variables", "Each file has its variables on (time, lat, lon), with coordinates",
            (_variables_fault(file, facts) for file in files),
        ),
        check(
            "attributes", "attributes", "Units and names of variables are those of the convention",
            (_attributes_fault(file) for file in files),
        ),
        check("calendar", "time", timed, map(_times_fault, files)),
        check(
            "ascending", "lat and lon", "Latitudes and longitudes are strictly ascending",
            (_onaxes(file.grid, _ascending_fault) for file in files),
        ),
        check(
            "degrees", "lat and lon",
            "Latitudes are in -90 to 90, longitudes in -180 to 180 or continue beyond 180",
            (_onaxes(file.grid, _degrees_fault) for file in files),
        ),
        check(
            "contiguous", "lat and lon", "Cells are contiguous, with their centres inside",
            (_onaxes(file.grid, _bounds_fault) for file in files),
        ),
        check(
            "same_grid", "lat and lon", "All files of a side (coarse or fine) have the same grid",
            _grids_fault(domains),
        ),
    ]  # fmt: skip


def _files_missing(domain: StoredDomain) -> str | None:
    lacks = [f"static_{side}.nc" for side in SIDES if domain.static(side) is None]
    lacks += [] if domain.of("coarse") else ["coarse_YYYY.nc"]
    return f"no {', '.join(lacks)}" if lacks else None


def _variables_fault(file: StoredFile, facts: Mapping[str, Any]) -> str | None:
    if file.is_static:
        wanted = ["elevation"] if file.side == "fine" else []
        dimensions: tuple[str, ...] = ("lat", "lon")
    else:
        wanted = list(facts["inputs"]) if file.side == "coarse" else [facts["target"]]
        dimensions = ("time", "lat", "lon")
    lacks = [f"no {name}" for name in [*dimensions, *(f"{name}_bnds" for name in dimensions), *wanted]
             if name not in file.dimensions]  # fmt: skip
    lacks += [
        f"{name} on ({', '.join(file.dimensions[name])})"
        for name in wanted
        if file.dimensions.get(name, dimensions) != dimensions
    ]
    return ", ".join(lacks) or None


def _attributes_fault(file: StoredFile) -> str | None:
    wrong = []
    for variable, found in file.attributes.items():
        expected = CONVENTION.get(variable, {})
        wrong += [
            f"{variable} {name} {found.get(name, 'missing')!r}, expected {expected[name]!r}"
            for name in COMPARED_ATTRIBUTES
            if name in expected and found.get(name) != expected[name]
        ]
    return first_of(wrong)


def _times_fault(file: StoredFile) -> str | None:
    if file.is_static:
        return None
    if file.calendar not in CALENDARS:
        return f"calendar {file.calendar!r}, expected one of {', '.join(CALENDARS)}"
    if len(file.time) == 0:
        return "no day"
    wild = file.time[~(np.abs(file.time) < FARTHEST_DAYS)]
    if len(wild):
        return f"{len(wild)} times that are not dates, first {wild[0]:g}"
    year = file.path.stem.removeprefix(f"{file.side}_")
    others = sorted({f"{number:04d}" for number in file.days.year} - {year})
    return f"days of {', '.join(others)}" if others else None


def _onaxes(grid: Grid, check: Any) -> str | None:
    return first_of([fault for name, axis in grid.axes.items() if (fault := check(name, axis))])


def _ascending_fault(name: str, axis: Axis) -> str | None:
    wrong = np.flatnonzero(~(np.diff(axis.centres) > 0))
    if len(wrong) == 0:
        return None
    first, second = axis.centres[wrong[0]], axis.centres[wrong[0] + 1]
    return f"{name} {first:g} is followed by {second:g}"


def _degrees_fault(name: str, axis: Axis) -> str | None:
    # A region across 180 degrees continues beyond it.
    across = name == "lon" and axis.centres[0] <= 180 and float(np.ptp(axis.centres)) < 360
    least, most = (-90, 90) if name == "lat" else (-180, 360 if across else 180)
    wrong = axis.centres[~((least <= axis.centres) & (axis.centres <= most))]
    return f"{name} {wrong[0]:g} to {wrong[-1]:g}" if len(wrong) else None


def _bounds_fault(name: str, axis: Axis) -> str | None:
    if len(axis.bounds) != len(axis):
        return f"{len(axis.bounds)} bounds for {len(axis)} {name}"
    low, high = axis.bounds.min(axis=1), axis.bounds.max(axis=1)
    # Cells at a pole are half cells.
    pole = (name == "lat") & (np.abs(axis.centres) == 90)
    inside = (low < axis.centres) & (axis.centres < high)
    outside = np.flatnonzero(
        ~(inside | (pole & (low < high) & (low <= axis.centres) & (axis.centres <= high)))
    )
    if len(outside):
        at = outside[0]
        return f"{name} {axis.centres[at]:g} is not inside its bounds {low[at]:g} to {high[at]:g}"
    # Edges in single precision may differ in the sixth digit.
    torn = np.flatnonzero(~np.isclose(axis.bounds[1:, 0], axis.bounds[:-1, 1], rtol=0, atol=1e-4))
    if len(torn) == 0:
        return None
    at = torn[0]
    return f"{name} cell ends at {axis.bounds[at, 1]:g}, the next begins at {axis.bounds[at + 1, 0]:g}"


def _grids_fault(domains: list[StoredDomain]) -> Iterator[str | None]:
    for domain in domains:
        for file in domain.files:
            first = domain.static(file.side) or file
            yield None if equal(file.grid, first.grid) else f"not the grid of {first.name}"


def equal(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same cells, to the last bit."""
    pairs = zip(one.axes.values(), other.axes.values(), strict=True)
    return all(np.array_equal(a.centres, b.centres) and np.array_equal(a.bounds, b.bounds) for a, b in pairs)


def first_of(faults: list[str]) -> str | None:
    """The first of several faults and the number of others."""
    if not faults:
        return None
    return faults[0] if len(faults) == 1 else f"{faults[0]}; {len(faults) - 1} more"
