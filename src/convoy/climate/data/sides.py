"""The files of one side, coarse or fine, as one: variables in several files, years in several files."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import xarray as xr

from convoy.climate.data.conventions import Settings, conform, listing, path_of, require
from convoy.climate.data.datasets import days_of, fields_of, grid_of
from convoy.climate.data.domains import Days, Fields, Grid
from convoy.climate.data.variables import SECTION, VARIABLES
from convoy.core.errors import KEY, ConvoyError, Param

VALUES_A_SLICE = 16_000_000
SOURCE = Param("climate.grids.source")
# Data may come in seasons: so many days in a row are one.
SEASON_DAYS = 28


@dataclass(frozen=True, eq=False)
class Part:
    """The days of one variable in one file, a Dataset under the convention whose values are not read yet."""

    data: xr.Dataset
    days: Days

    @property
    def path(self) -> str:
        return path_of(self.data)


@dataclass(frozen=True, eq=False)
class Side:
    """One grid and, by our names, the parts of each variable in the order of their first days.

    cells: of a whole map of a file, which are read for each day of a variable.
    """

    name: str
    grid: Grid
    parts: Mapping[str, Sequence[Part]]
    cells: int

    @property
    def path(self) -> str:
        """Of its first file, for messages."""
        return next(iter(self.parts.values()))[0].path

    def days(self, variable: str) -> Days:
        """All days of a variable."""
        parts = self.parts[variable]
        ordinal = np.concatenate([part.days.ordinal for part in parts])
        return Days(parts[0].days.calendar, np.sort(ordinal))

    def part_of(self, variable: str, days: Days) -> Part:
        """The part that holds the first of these days of a variable, which has them all."""
        return next(part for part in self.parts[variable] if days.ordinal[0] in part.days.ordinal)

    def window(self, rows: slice, columns: slice) -> "Side":
        """The same side, as far as these rows and columns."""
        cut = {
            name: [replace(part, data=_isel(part.data, lat=rows, lon=columns)) for part in parts]
            for name, parts in self.parts.items()
        }
        return replace(self, grid=self.grid.at(rows, columns), parts=cut)

    def slices(self, variable: str, days: Days) -> Iterator[tuple[npt.NDArray[np.int64], Fields]]:
        """The fields of these days, part by part: places in `days` (T,) and fields (T, lat, lon)."""
        length = max(1, VALUES_A_SLICE // self.cells)
        for part in self.parts[variable]:
            wanted = np.flatnonzero(np.isin(part.days.ordinal, days.ordinal))
            if not len(wanted):
                continue
            last = int(wanted[-1]) + 1
            for start in range(int(wanted[0]), last, length):
                chosen = wanted[(wanted >= start) & (wanted < start + length)]
                if len(chosen):
                    span = slice(start, min(start + length, last))
                    fields = fields_of(part.data.isel(time=span), variable)[chosen - start]
                    yield np.searchsorted(days.ordinal, part.days.ordinal[chosen]), fields


def side(
    name: str, files: Sequence[xr.Dataset], settings: Settings, wanted: Collection[str],
    needed: Collection[str], units: Mapping[str, str] = MappingProxyType({}),
) -> Side:  # fmt: skip
    """The side `name` from its files: those of the `wanted` variables that there are.

    units: of variables that the table lacks; left out: those of the first file that has them.

    Raises ConvoyError for a `needed` one that is in none, a file with none of them or named twice, files on
    different grids or calendars, days of a variable that stand in two files, and days that are not daily.
    """
    for path, times in Counter(map(path_of, files)).items():
        if times > 1:
            raise ConvoyError(f"{path} is named twice", expected="each file once")
    found, units = [], dict(units)
    for raw in files:
        data = conform(raw, settings, wanted, units)
        found.append(data)
        if data is not None:
            others = (variable for variable in wanted if variable in data and variable not in VARIABLES)
            units |= {variable: str(data[variable].attrs["units"]) for variable in others}
    require(files, found, needed)
    parts: dict[str, list[Part]] = {}
    for raw, data in zip(files, found, strict=True):
        if data is None:
            raise ConvoyError(
                f"none of the variables wanted ({', '.join(wanted)}): {listing([raw])}", key=Param(SECTION),
                hint=f"leave the file out, or say what they are called in {KEY}",
            )  # fmt: skip
        days = days_of(data)
        for variable in wanted:
            if variable in data:
                parts.setdefault(variable, []).append(Part(data, days))
    first = next(part for of_one in parts.values() for part in of_one if part.path == path_of(files[0]))
    for part in (part for of_one in parts.values() for part in of_one):
        _refuse_other_grid(first, part)
        _refuse_other_calendar(first, part)
    ordered = {
        variable: sorted(parts[variable], key=lambda part: part.days.ordinal[:1].tolist())
        for variable in wanted
        if variable in parts
    }
    for variable, of_one in ordered.items():
        _refuse_same_days(variable, of_one)
        _refuse_not_daily(variable, of_one)
    grid = grid_of(first.data)
    return Side(name, grid, ordered, len(grid.lat) * len(grid.lon))


def common_days(sides: Sequence[Side]) -> tuple[Days, dict[str, int]]:
    """The days that all variables of all sides have, and how many of each variable are left out.

    Raises ConvoyError where there are none, or the calendars differ.
    """
    every = {(one.name, name): one.days(name) for one in sides for name in one.parts}
    for one, other in pairwise(sides):
        _refuse_other_calendar(*(next(iter(two.parts.values()))[0] for two in (one, other)))
    first, *others = every.values()
    ordinal = first.ordinal
    for days in others:
        ordinal = np.intersect1d(ordinal, days.ordinal)
    if not len(ordinal):
        spans = "; ".join(
            f"{name} {variable} {days.labels[0]} to {days.labels[-1]}"
            for (name, variable), days in every.items()
        )
        raise ConvoyError(f"no day is in all variables: {spans}", key=SOURCE)
    left_out = {
        f"days of {name} {variable}": len(days) - len(ordinal) for (name, variable), days in every.items()
    }
    return Days(first.calendar, ordinal), {name: count for name, count in left_out.items() if count}


def _isel(data: xr.Dataset, **spans: slice) -> xr.Dataset:
    cut = data.isel(spans)
    cut.encoding = data.encoding
    return cut


def _refuse_same_days(variable: str, parts: Sequence[Part]) -> None:
    ordinal = np.concatenate([part.days.ordinal for part in parts])
    order = np.argsort(ordinal, kind="stable")
    twice = np.flatnonzero(np.diff(ordinal[order]) == 0)
    if len(twice):
        files = np.repeat(np.arange(len(parts)), [len(part.days) for part in parts])
        one, other = (parts[files[order[twice[0] + at]]] for at in (0, 1))
        day = Days(one.days.calendar, ordinal[order[twice[:1]]]).labels[0]
        raise ConvoyError(
            f"{variable} of {day} stands in {one.path} too", path=other.path, expected="each day in one file"
        )


def _refuse_not_daily(variable: str, parts: Sequence[Part]) -> None:
    """Raise ConvoyError for steps of more than a day, but between seasons: of 28 days in a row or more."""
    ordinal = np.sort(np.concatenate([part.days.ordinal for part in parts]))
    gaps = np.flatnonzero(np.diff(ordinal) > 1)
    lengths = np.diff(np.concatenate([[-1], gaps, [len(ordinal) - 1]]))
    if not len(gaps) or lengths.min() >= SEASON_DAYS:
        return
    at = int(gaps[max(0, int(np.argmin(lengths)) - 1)])
    one, other = Days(parts[0].days.calendar, ordinal[[at, at + 1]]).labels
    path = next(part.path for part in parts if ordinal[at] in part.days.ordinal)
    steps = np.diff(ordinal)
    rule = f", {np.median(steps):g} days as a rule" if np.median(steps) > 1 else ""
    raise ConvoyError(
        f"{variable} goes on from {one} to {other}{rule}", path=path,
        expected=f"daily values, and gaps only between seasons of {SEASON_DAYS} days in a row or more",
    )  # fmt: skip


def _refuse_other_grid(first: Part, other: Part) -> None:
    one, two = grid_of(first.data), grid_of(other.data)
    if not one.same(two):
        raise ConvoyError(str(two), path=other.path, expected=f"the grid of {first.path}: {one}")


def _refuse_other_calendar(first: Part, other: Part) -> None:
    if first.days.calendar != other.days.calendar:
        raise ConvoyError(
            f"calendar '{other.days.calendar}', but '{first.days.calendar}' in {first.path}", path=other.path,
            hint="bring both to one (xarray's convert_calendar)",
        )  # fmt: skip
