"""The files of one side, coarse or fine, as one: variables and years may be in several files."""

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
# Data may consist of seasons, of at least this many consecutive days.
SEASON_DAYS = 28


@dataclass(frozen=True, eq=False)
class Side:
    """One grid and, by our names, the files of each variable in the order of their first days.

    Files are lazy Datasets under the convention. cells: number of cells of a whole map of a file, which is
    read for each day of a variable.
    """

    name: str
    grid: Grid
    parts: Mapping[str, Sequence[xr.Dataset]]
    cells: int

    @property
    def path(self) -> str:
        """The path of its first file, for messages."""
        return path_of(next(iter(self.parts.values()))[0])

    def days(self, variable: str) -> Days:
        """All days of a variable."""
        parts = [days_of(part) for part in self.parts[variable]]
        return Days(parts[0].calendar, np.sort(np.concatenate([part.ordinal for part in parts])))

    def part_of(self, variable: str, days: Days) -> xr.Dataset:
        """The file that holds the first of these days of a variable, which has them all."""
        return next(part for part in self.parts[variable] if days.ordinal[0] in days_of(part).ordinal)

    def window(self, rows: slice, columns: slice) -> "Side":
        """The side cut to these rows and columns."""
        cut = {
            name: [part.isel(lat=rows, lon=columns) for part in parts] for name, parts in self.parts.items()
        }
        return replace(self, grid=self.grid.at(rows, columns), parts=cut)

    def slices(self, variable: str, days: Days) -> Iterator[tuple[npt.NDArray[np.int64], Fields]]:
        """The fields of these days, file by file: indices into `days` (T,) and fields (T, lat, lon)."""
        length = max(1, VALUES_A_SLICE // self.cells)
        for part in self.parts[variable]:
            ordinal = days_of(part).ordinal
            wanted = np.flatnonzero(np.isin(ordinal, days.ordinal))
            if not len(wanted):
                continue
            last = int(wanted[-1]) + 1
            for start in range(int(wanted[0]), last, length):
                chosen = wanted[(wanted >= start) & (wanted < start + length)]
                if len(chosen):
                    span = slice(start, min(start + length, last))
                    fields = fields_of(part.isel(time=span), variable)[chosen - start]
                    yield np.searchsorted(days.ordinal, ordinal[chosen]), fields


def side(
    name: str, files: Sequence[xr.Dataset], settings: Settings, wanted: Collection[str],
    needed: Collection[str], units: Mapping[str, str] = MappingProxyType({}),
) -> Side:  # fmt: skip
    """The side `name` from its files, with the `wanted` variables that exist.

    units: of variables that are not in the table; left out: those of the first file that has them.

    Raises ConvoyError for a `needed` one that is in none, a file with none of them or named twice, files on
    different grids or calendars, days of a variable that are in two files, and steps that are not daily.
    """
    for path, times in Counter(map(path_of, files)).items():
        if times > 1:
            raise ConvoyError(f"{path} is named twice", expected="each file once")
    found: list[xr.Dataset] = []
    nothing: list[xr.Dataset] = []
    for raw in files:
        if (data := conform(raw, settings, wanted, units)) is None:
            nothing.append(raw)
            continue
        found.append(data)
        others = (other for other in wanted if other in data and other not in VARIABLES)
        units = {**{other: str(data[other].attrs["units"]) for other in others}, **units}
    require(files, found, needed)
    if nothing:
        raise ConvoyError(
            f"none of the variables wanted ({', '.join(wanted)}): {listing(nothing[:1])}", key=Param(SECTION),
            hint=f"leave the file out, or set their names in {KEY}",
        )  # fmt: skip
    grid = grid_of(found[0])
    for part in found:
        if not grid.same(own := grid_of(part)):
            expected = f"the grid of {path_of(found[0])}: {grid}"
            raise ConvoyError(str(own), path=path_of(part), expected=expected)
        _refuse_other_calendar(found[0], part)
    found.sort(key=lambda part: days_of(part).ordinal[:1].tolist())
    of_one = {variable: [part for part in found if variable in part] for variable in wanted}
    parts = {variable: files_of_it for variable, files_of_it in of_one.items() if files_of_it}
    for variable, files_of_it in parts.items():
        _refuse_repeats_and_gaps(variable, files_of_it)
    return Side(name, grid, parts, len(grid.lat) * len(grid.lon))


def common_days(sides: Sequence[Side]) -> tuple[Days, dict[str, int]]:
    """The days that all variables of all sides have, and the number left out of each variable.

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


def _refuse_repeats_and_gaps(variable: str, parts: Sequence[xr.Dataset]) -> None:
    """Raise ConvoyError for a day in two files, and for steps of more than a day, except between seasons.

    A season has 28 consecutive days or more.
    """
    days = [days_of(part) for part in parts]
    ordinal = np.concatenate([one.ordinal for one in days])
    order = np.argsort(ordinal, kind="stable")
    files = np.repeat(np.arange(len(parts)), [len(one) for one in days])[order]
    ordinal, steps = ordinal[order], np.diff(ordinal[order])

    def at(place: int) -> tuple[str, str]:
        """The day at a place and the path of its file."""
        return Days(days[0].calendar, ordinal[[place]]).labels[0], path_of(parts[files[place]])

    if (steps == 0).any():
        (day, path), (_, other) = (at(int(np.argmin(steps)) + more) for more in (0, 1))
        raise ConvoyError(
            f"{variable} of {day} is in {path} too", path=other, expected="each day in one file"
        )
    gaps = np.flatnonzero(steps > 1)
    lengths = np.diff([-1, *gaps, len(steps)])
    if len(gaps) and lengths.min() < SEASON_DAYS:
        place = int(gaps[max(0, int(np.argmin(lengths)) - 1)])
        (one, path), (other, _) = at(place), at(place + 1)
        rule = f", {np.median(steps):g} days as a rule" if np.median(steps) > 1 else ""
        raise ConvoyError(
            f"{variable}: {one} is followed by {other}{rule}", path=path,
            expected=f"daily values, and gaps only between seasons of {SEASON_DAYS} days in a row or more",
        )  # fmt: skip


def _refuse_other_calendar(first: xr.Dataset, other: xr.Dataset) -> None:
    one, two = (days_of(part).calendar for part in (first, other))
    if one != two:
        raise ConvoyError(
            f"calendar '{two}', but '{one}' in {path_of(first)}", path=path_of(other),
            hint="bring both to one (xarray's convert_calendar)",
        )  # fmt: skip
