"""The files of one side, coarse or fine, as one: variables in several files, years in several files."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.conventions import SECTION, Layout, VariableParams, layout, listing, require
from convoy.climate.data.domains import Axis, Days, Fields, Grid
from convoy.climate.data.netcdf import FileFacts
from convoy.core.errors import ConvoyError

# (path, variable in the file, first time, last time + 1) -> values as the file has them.
Read: TypeAlias = Callable[[str, str, int, int], Fields]
VALUES_A_SLICE = 16_000_000
SOURCE = "climate.grids.source"


@dataclass(frozen=True, eq=False)
class Side:
    """One grid and, by our names, the files of each variable in the order of their first days."""

    name: str
    grid: Grid
    layouts: Mapping[str, Sequence[Layout]]

    @property
    def path(self) -> str:
        """Of its first file, for messages."""
        return self._first.path

    @property
    def cells(self) -> int:
        """Cells that are read for each day of a variable, those outside a window among them."""
        rows, columns = self._first.cells
        return rows * columns

    @property
    def _first(self) -> Layout:
        return next(iter(self.layouts.values()))[0]

    def days(self, variable: str) -> Days:
        """All days of a variable."""
        parts = [_days(one) for one in self.layouts[variable]]
        return Days(parts[0].calendar, np.sort(np.concatenate([part.ordinal for part in parts])))

    def file_of(self, variable: str, days: Days) -> Layout:
        """The file that holds the first of these days of a variable, which has them all."""
        return next(one for one in self.layouts[variable] if days.ordinal[0] in _days(one).ordinal)

    def window(self, rows: slice, columns: slice) -> "Side":
        """The same side, as far as these rows and columns."""
        cut = {name: [one.window(rows, columns) for one in parts] for name, parts in self.layouts.items()}
        return replace(self, grid=next(iter(cut.values()))[0].grid, layouts=cut)

    def slices(self, variable: str, days: Days, read: Read) -> Iterator[tuple[npt.NDArray[np.int64], Fields]]:
        """The fields of these days, part by part: places in `days` (T,) and fields (T, lat, lon)."""
        for one in self.layouts[variable]:
            wanted = np.flatnonzero(np.isin(_days(one).ordinal, days.ordinal))
            if not len(wanted):
                continue
            length = max(1, VALUES_A_SLICE // (one.cells[0] * one.cells[1]))
            last = int(wanted[-1]) + 1
            for start in range(int(wanted[0]), last, length):
                chosen = wanted[(wanted >= start) & (wanted < start + length)]
                if len(chosen):
                    raw = read(one.path, one.stored[variable].name, start, min(start + length, last))
                    fields = one.fields(variable, raw, start)[chosen - start]
                    yield np.searchsorted(days.ordinal, _days(one).ordinal[chosen]), fields


def side(
    name: str, files: Sequence[FileFacts], variables: Mapping[str, VariableParams], wanted: Collection[str],
    needed: Collection[str],
) -> Side:  # fmt: skip
    """The side `name` from its files: those of the `wanted` variables that there are.

    Raises ConvoyError for a `needed` one that is in none, a file with none of them or named twice, files on
    different grids or calendars, and days of a variable that stand in two files.
    """
    for path, times in Counter(facts.path for facts in files).items():
        if times > 1:
            raise ConvoyError(f"{path} is named twice; expected each file once")
    layouts = [layout(facts, variables, wanted) for facts in files]
    require(files, layouts, needed)
    by_variable: dict[str, list[Layout]] = {}
    first: Layout | None = None
    for facts, one in zip(files, layouts, strict=True):
        if one is None:
            raise ConvoyError(
                f"none of the variables wanted ({', '.join(wanted)}): {listing([facts])}; leave the file "
                f"out, or say what they are called in {SECTION}"
            )
        first = first or one
        _refuse_other_grid(first, one)
        _refuse_other_calendar(first, one)
        for variable in one.stored:
            by_variable.setdefault(variable, []).append(replace(one, grid=first.grid))
    assert first is not None
    for variable, parts in by_variable.items():
        _refuse_same_days(variable, parts)
    ordered = {
        variable: sorted(by_variable[variable], key=lambda one: _days(one).ordinal[:1].tolist())
        for variable in wanted
        if variable in by_variable
    }
    return Side(name, first.grid, ordered)


def common_days(sides: Sequence[Side]) -> tuple[Days, dict[str, int]]:
    """The days that all variables of all sides have, and how many of each variable are left out.

    Raises ConvoyError where there are none, or the calendars differ.
    """
    every = {(one.name, name): one.days(name) for one in sides for name in one.layouts}
    for one, other in pairwise(sides):
        _refuse_other_calendar(*(next(iter(two.layouts.values()))[0] for two in (one, other)))
    first, *others = every.values()
    ordinal = first.ordinal
    for days in others:
        ordinal = np.intersect1d(ordinal, days.ordinal)
    if not len(ordinal):
        spans = "; ".join(
            f"{name} {variable} {days.labels[0]} to {days.labels[-1]}"
            for (name, variable), days in every.items()
        )
        raise ConvoyError(f"{SOURCE}: no day is in all variables: {spans}")
    left_out = {
        f"days of {name} {variable}": len(days) - len(ordinal) for (name, variable), days in every.items()
    }
    return Days(first.calendar, ordinal), {name: count for name, count in left_out.items() if count}


def same(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same centres, but for rounding."""
    return all(
        len(a) == len(b)
        and np.allclose(a.centres, b.centres, rtol=0, atol=0.01 * float(np.diff(a.centres).min()))
        for a, b in ((one.lat, other.lat), (one.lon, other.lon))
    )


def extent(grid: Grid) -> str:
    """Where a grid lies, in words."""
    return f"lat {_span(grid.lat)}, lon {_span(grid.lon)}"


def _span(axis: Axis) -> str:
    return f"{axis.bounds[0, 0]:.5g} to {axis.bounds[-1, 1]:.5g}"


def _days(one: Layout) -> Days:
    assert one.days is not None
    return one.days


def _refuse_same_days(variable: str, layouts: list[Layout]) -> None:
    ordinal = np.concatenate([_days(one).ordinal for one in layouts])
    order = np.argsort(ordinal, kind="stable")
    twice = np.flatnonzero(np.diff(ordinal[order]) == 0)
    if len(twice):
        files = np.repeat(np.arange(len(layouts)), [len(_days(one)) for one in layouts])
        one, other = (layouts[files[order[twice[0] + at]]] for at in (0, 1))
        day = Days(_days(one).calendar, ordinal[order[twice[:1]]]).labels[0]
        raise ConvoyError(
            f"{other.path}: {variable} of {day} stands in {one.path} too; expected each day in one file"
        )


def _refuse_other_grid(first: Layout, other: Layout) -> None:
    if not same(first.grid, other.grid):
        raise ConvoyError(
            f"{other.path}: {' x '.join(map(str, other.grid.shape))} cells at {extent(other.grid)}; expected "
            f"the grid of {first.path}: {' x '.join(map(str, first.grid.shape))} at {extent(first.grid)}"
        )


def _refuse_other_calendar(first: Layout, other: Layout) -> None:
    if _days(first).calendar != _days(other).calendar:
        raise ConvoyError(
            f"{other.path}: calendar '{_days(other).calendar}', but '{_days(first).calendar}' in "
            f"{first.path}; bring both to one (xarray's convert_calendar)"
        )
