"""The files of one side, coarse or fine, as one: variables and years may be in several files."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from convoy.climate.data.conventions import Settings, conform, listing, path_of, require
from convoy.climate.data.datasets import days_of, fields_of, grid_of
from convoy.climate.data.domains import Days, Fields, Grid
from convoy.climate.data.regridding import filled_mean, interpolation
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
    read for each day of a variable. others: the grids of variables that are on another grid than the side;
    their fields are interpolated.
    """

    name: str
    grid: Grid
    parts: Mapping[str, Sequence[xr.Dataset]]
    cells: int
    others: Mapping[str, Grid] = field(default_factory=dict)

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
        """The side cut to these rows and columns.

        Raises ConvoyError where a variable on another grid does not reach all of them.
        """
        grid = self.grid.at(rows, columns)
        for name, own in self.others.items():
            _refuse_extrapolation(name, self.parts[name][0], own, grid)
        cut = {
            name: parts if name in self.others else [part.isel(lat=rows, lon=columns) for part in parts]
            for name, parts in self.parts.items()
        }
        return replace(self, grid=grid, parts=cut)

    def slices(self, variable: str, days: Days) -> Iterator[tuple[npt.NDArray[np.int64], Fields]]:
        """The fields of these days, file by file: indices into `days` (T,) and fields (T, lat, lon).

        Those of a variable on another grid are interpolated bilinearly from the cells that are not missing,
        and missing where those have less than half of the weight.
        """
        length = max(1, VALUES_A_SLICE // self.cells)
        own = self.others.get(variable)
        onto = None if own is None else interpolation(own, self.grid, "bilinear")
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
                    fields = fields if onto is None else filled_mean(onto, fields)
                    yield np.searchsorted(days.ordinal, ordinal[chosen]), fields


def side(
    name: str, files: Sequence[xr.Dataset], settings: Settings, wanted: Collection[str],
    needed: Collection[str], units: Mapping[str, str] = MappingProxyType({}),
    grids: Callable[[Mapping[str, Grid]], str] | None = None,
) -> Side:  # fmt: skip
    """The side `name` from its files, with the `wanted` variables that exist.

    units: of variables that are not in the table; left out: those of the first file that has them. grids:
    where variables may be on several grids, returns the one whose grid is the side's, from all their grids.

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
        strange = (name for name in wanted if name in data and name not in VARIABLES)
        units = {**{name: str(data[name].attrs["units"]) for name in strange}, **units}
    require(files, found, needed)
    if nothing:
        raise ConvoyError(
            f"none of the variables wanted ({', '.join(wanted)}): {listing(nothing[:1])}", key=Param(SECTION),
            hint=f"leave the file out, or set their names in {KEY}",
        )  # fmt: skip
    for part in found:
        _refuse_other_calendar(found[0], part)
    found.sort(key=lambda part: days_of(part).ordinal[:1].tolist())
    of_one = {variable: [part for part in found if variable in part] for variable in wanted}
    parts = {variable: files_of_it for variable, files_of_it in of_one.items() if files_of_it}
    for variable, files_of_it in parts.items():
        _refuse_repeats_and_gaps(variable, files_of_it)
        _refuse_other_grid(files_of_it)
    every = {variable: grid_of(files_of_it[0]) for variable, files_of_it in parts.items()}
    chosen = next(iter(every)) if grids is None else grids(every)
    others = {variable: grid for variable, grid in every.items() if not every[chosen].same(grid)}
    for variable in others if grids is None else ():
        _refuse_other_grid([*parts[chosen], *parts[variable]])
    cells = max(len(grid.lat) * len(grid.lon) for grid in every.values())
    return Side(name, every[chosen], parts, cells, others)


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


def interpolated_in_words(facts: Mapping[str, Any]) -> list[str]:
    """A sentence on inputs that were interpolated to the coarse grid, by the facts; empty without any."""
    if not (others := facts.get("interpolated")):
        return []
    words = ", ".join(f"{name} (from {grid})" for name, grid in others.items())
    return [f"Interpolated bilinearly to the coarse grid of {facts['coarse_grid']}: {words}."]


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


def _refuse_other_grid(parts: Sequence[xr.Dataset]) -> None:
    grid = grid_of(parts[0])
    for part in parts:
        if not grid.same(own := grid_of(part)):
            expected = f"the grid of {path_of(parts[0])}: {grid}"
            raise ConvoyError(str(own), path=path_of(part), expected=expected)


def _refuse_extrapolation(variable: str, part: xr.Dataset, own: Grid, grid: Grid) -> None:
    """Raise ConvoyError where centres of `grid` lie beyond the cells of a variable's own grid."""
    for name, axis in grid.axes.items():
        low, high = own.axes[name].reach
        slack = 0.01 * own.axes[name].step
        if axis.centres[0] < low - slack or axis.centres[-1] > high + slack:
            raise ConvoyError(
                f"{variable}: {own} do not reach {name} {axis.centres[0]:.5g} to {axis.centres[-1]:.5g}, "
                "to which it is to be interpolated",
                path=path_of(part), hint="give a larger region of it, or cut the other files",
            )  # fmt: skip


def _refuse_other_calendar(first: xr.Dataset, other: xr.Dataset) -> None:
    one, two = (days_of(part).calendar for part in (first, other))
    if one != two:
        raise ConvoyError(
            f"calendar '{two}', but '{one}' in {path_of(first)}", path=path_of(other),
            hint="bring both to one (xarray's convert_calendar)",
        )  # fmt: skip
