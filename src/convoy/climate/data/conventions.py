"""From a file's own names, units, order and calendar to the one convention of convoy.climate.data.datasets.

`conform` reads what a file says of itself and refuses, in one line, what cannot be understood. The values of
the Dataset that it gives are read and converted where they are taken: a century needs no more memory than a
month.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from convoy.climate.data import axes
from convoy.climate.data.datasets import dataset
from convoy.climate.data.domains import Days, Fields, Grid
from convoy.climate.data.netcdf import time_of
from convoy.climate.data.packing import undeclared_fill
from convoy.climate.data.units import EXAMPLES, Conversion, conversion
from convoy.climate.data.variables import (
    DAILY,
    ELEVATION,
    VARIABLES,
    Variable,
    VariableParams,
    param,
    row_of,
)
from convoy.core.errors import KEY, ConvoyError

LISTED = 4  # files of which a message says what they have
Settings = Mapping[str, VariableParams]


def conform(
    raw: xr.Dataset, settings: Settings, wanted: Collection[str] = DAILY,
    units: Mapping[str, str] = MappingProxyType({}),
) -> xr.Dataset | None:  # fmt: skip
    """Those of the `wanted` variables that a file has, by our names; None where it has none of them.

    raw: as `netcdf.Reader.open` gives it; settings: other names and units (params climate.grids.variables).
    units: those that variables which the table lacks are to have; left out: their own.

    Static variables are (lat, lon), others (time, lat, lon). Each variable's `encoding` has its name and
    units in the file. Raises ConvoyError for a grid, time or unit that cannot be brought to the convention;
    and where values are taken, for those that are not finite, look like an undeclared fill value,
    or are not possible on Earth.
    """
    found = {name: stored for name in wanted if (stored := _find(raw, name, settings)) is not None}
    if not found:
        return None
    # The first variable's coordinates are those of all of them.
    lat, lon = axes.coordinates(raw, next(iter(found.values())))
    times = {
        time
        for name, stored in found.items()
        if name != ELEVATION and (time := time_of(raw, stored)) is not None
    }
    if len(times) > 1:
        several = ", ".join(sorted(coordinate for _, coordinate in times))
        raise ConvoyError(f"several time axes ({several})", path=path_of(raw), hint="split the file")
    (latitudes, rows), (longitudes, columns) = axes.latitudes(raw, lat), axes.longitudes(raw, lon)
    grid = Grid(latitudes, longitudes)
    days = axes.days(raw, next(iter(times))[1]) if times else None
    arrays, ours = {}, {}
    for name, stored in found.items():
        array = _Conformed(
            raw, name, stored, (lat, lon), settings.get(name), units.get(name), grid, days, rows, columns
        )
        arrays[name] = indexing.LazilyIndexedArray(array)
        ours[name] = array.our_units
    made = dataset(grid, days, arrays, raw.attrs, ours)
    made.encoding["source"] = path_of(raw)
    for name, stored in found.items():
        made[name].encoding.update(source_name=stored, source_units=arrays[name].array.units)
    return made


def path_of(held: xr.Dataset) -> str:
    """The file that a dataset comes from, for messages."""
    return str(held.encoding["source"])


class _Conformed(BackendArray):
    """A variable of a file under the convention, read and converted where its values are taken."""

    def __init__(
        self, raw: xr.Dataset, name: str, stored: str, coordinates: tuple[str, str],
        override: VariableParams | None, units: str | None, grid: Grid, days: Days | None, rows: axes.Order,
        columns: axes.Order,
    ) -> None:  # fmt: skip
        self.raw, self.name, self.stored, self.row = raw, name, stored, row_of(name)
        self.grid, self.days, self.rows, self.columns = grid, days, rows, columns
        self.dtype = np.dtype(np.float32)
        self.path, self.called = path_of(raw), called(name, stored)
        held = raw[stored]
        time = time_of(raw, stored) if name != ELEVATION else None
        if name != ELEVATION and time is None:
            raise ConvoyError(
                f"{self.called} has no time among its dimensions ({', '.join(map(str, held.dims))})",
                path=self.path,
            )
        self.order = [str(raw[axis].dims[0]) for axis in coordinates]
        self.order = self.order if time is None else [time[0], *self.order]
        if not set(self.order) <= set(held.dims):
            raise ConvoyError(
                f"{self.called} lies on ({', '.join(map(str, held.dims))}), others on "
                f"({', '.join(self.order)}); one a file",
                path=self.path,
            )
        self.chosen = {
            str(dim): self._level(str(dim), override) for dim in held.dims if dim not in self.order
        }
        self.shape = (*(() if days is None or time is None else (len(days),)), *grid.shape)
        if override is None or override.name != stored:
            _refuse_other_method(self.path, self.called, self.row, held.attrs)
        self.units, self.conversion = _units(self.path, name, stored, held.attrs.get("units"), override)
        self.our_units = self.row.units or units or self.units
        if not self.row.units:
            turned = conversion(self.units, self.our_units)
            if not self.units or turned is None:
                raise ConvoyError(
                    f"{self.called} has the units '{self.units}'", path=self.path, key=param(name, "units"),
                    expected=self.our_units or "some", hint=f"say what they are: {KEY}",
                )  # fmt: skip
            self.conversion = turned

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._values
        )

    def _values(self, key: tuple[Any, ...]) -> Fields:
        spans = [part if isinstance(part, slice) else slice(part, part + 1) for part in key]
        *time, rows, columns = spans
        # Whole maps are read: the cells that are wanted may lie anywhere in the file's order.
        chosen: dict[str, Any] = {**self.chosen, **dict(zip(self.order, time, strict=False))}
        values = self.raw[self.stored].variable.isel(chosen).transpose(*self.order).values
        values = values[..., self.rows[rows][:, None], self.columns[columns]]
        self._refuse(undeclared_fill(values, self.raw[self.stored].attrs), values, spans)
        scale, offset = self.conversion
        if (scale, offset) != (1, 0):
            values = (values.astype(np.float64) * scale + offset).astype(np.float32)
        least, greatest = self.row.values
        wrong = (values < least - self.row.round_off) | (values > greatest)
        self._refuse(wrong, values, spans, f"{least:g} to {greatest:g}")
        return values[tuple(slice(None) if isinstance(part, slice) else 0 for part in key)]

    def _refuse(
        self, wrong: npt.NDArray[np.bool_], values: Fields, spans: Sequence[slice], expected: str = ""
    ) -> None:
        """Raise ConvoyError for the first of the wrong values, with its place."""
        if not wrong.any():
            return
        index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        *day, row, column = (
            range(size)[span][int(at)] for size, span, at in zip(self.shape, spans, index, strict=True)
        )
        place = f"lat {self.grid.lat.centres[row]:.6g}, lon {self.grid.lon.centres[column]:.6g}"
        if day and self.days is not None:
            place = f"{self.days.at(day).labels[0]}, {place}"
        found = f"{values[index]:.7g}" if np.isfinite(values[index]) else "a value that is not finite"
        found = f"is {found} {self.our_units}" if expected else f"holds {found}"
        hint = "if it stands for missing, declare it as the variable's _FillValue"
        raise ConvoyError(
            f"{self.called} {found} at {place} (the first of {int(wrong.sum()):,})", path=self.path,
            key=param(self.name, "units") if expected else "", expected=expected,
            hint=f"{advice(self.units)}; {hint}" if expected else hint,
        )  # fmt: skip

    def _level(self, dim: str, override: VariableParams | None) -> int:
        """Which of the values along another dimension is meant: the only one, or that of `level`."""
        size, level = self.raw.sizes[dim], None if override is None else override.level
        if level is not None and dim in self.raw.variables:
            number, _, unit = level.strip().partition(" ")
            held = self.raw[dim]
            turned = conversion(unit or "1", str(held.attrs.get("units", unit)) or "1")
            wanted = np.nan if turned is None else float(number) * turned.scale + turned.offset
            at = np.flatnonzero(np.isclose(held.values, wanted, rtol=1e-4))
            if len(at) == 1:
                return int(at[0])
            there = ", ".join(f"{value:g}" for value in held.values[:20])
            raise ConvoyError(
                f"{self.called} has no level '{level}' along '{dim}' ({there} {held.attrs.get('units', '')})",
                path=self.path,
            )
        if size != 1:
            raise ConvoyError(
                f"{self.called} has {size} values along '{dim}'", path=self.path,
                key=param(self.name, "level", "850 hPa"),
                expected="time, latitude and longitude alone: choose one of them first",
                hint=f"or name it: {KEY}",
            )  # fmt: skip
        return 0


def check_mean(part: xr.Dataset, name: str, mean: float) -> None:
    """Raise ConvoyError where the mean over all days and cells, in our unit, betrays a wrong unit."""
    least, greatest = row_of(name).mean
    if not least <= mean <= greatest:
        stored, units = (part[name].encoding[key] for key in ("source_name", "source_units"))
        raise ConvoyError(
            f"{called(name, stored)} is {mean:.4g} {row_of(name).units} on average", path=path_of(part),
            key=param(name, "units"), expected=f"{least:g} to {greatest:g}", hint=advice(units),
        )  # fmt: skip


def without_round_off(name: str, values: Fields) -> tuple[Fields, int]:
    """The values with those that lie below the least possible one by rounding alone at it; how many do."""
    below = values < row_of(name).values[0]
    count = int(below.sum())
    return (np.where(below, np.float32(row_of(name).values[0]), values) if count else values), count


def advice(units: str) -> str:
    """What to do about values that are wrong because of a unit; the key is the param of the units."""
    return f"are its units '{units}'? override them: {KEY}"


def called(name: str, stored: str) -> str:
    """A variable in words: its name in the file, and ours where that differs."""
    return f"variable '{stored}'" + ("" if stored == name else f" ({name})")


def require(files: Sequence[xr.Dataset], parts: Iterable[xr.Dataset | None], wanted: Iterable[str]) -> None:
    """Raise ConvoyError, saying what there is, for a wanted variable that no file has."""
    have = {name for part in parts if part is not None for name in part.data_vars}
    for name in wanted:
        if name not in have:
            synonyms = row_of(name).synonyms
            nor = f" (nor {', '.join(synonyms)})" if synonyms else ""
            raise ConvoyError(
                f"no variable {name}{nor}: {listing(files)}", key=param(name, "name"),
                hint=f"if it has another name, say so: {KEY}",
            )  # fmt: skip


def check_names(files: Sequence[xr.Dataset], settings: Settings) -> None:
    """Raise ConvoyError for a variable that is given a name that no file has."""
    for name, override in settings.items():
        if override.name is not None and not any(override.name in raw.variables for raw in files):
            at_fault = param(name, "name", "")
            raise ConvoyError(f"no variable '{override.name}': {listing(files)}", key=at_fault)


def listing(files: Sequence[xr.Dataset]) -> str:
    """What the first of these files have, in words."""
    words = [f"{path_of(raw)} has {', '.join(_data_variables(raw)) or 'none'}" for raw in files[:LISTED]]
    more = len(files) - LISTED
    return "; ".join(words) + (f"; and {more:,} more files" if more > 0 else "")


def _data_variables(raw: xr.Dataset) -> list[str]:
    return [
        str(name)
        for name, held in raw.variables.items()
        if held.ndim >= 2 and not (held.ndim == 2 and held.shape[1] == 2)
    ]


def _find(raw: xr.Dataset, name: str, settings: Settings) -> str | None:
    """What the file calls our variable `name`: by the map, by our name, a standard name, a usual one."""
    override = settings.get(name)
    if override is not None and override.name in raw.variables:
        return override.name
    taken = {other.name for other in settings.values()}
    claims: dict[str, list[str]] = {"name": [], "standard name": [], "synonym": []}
    for stored in _data_variables(raw):
        if stored not in taken and (claim := _claim(raw, stored, name)) is not None:
            claims[claim].append(stored)
    fitting = next((stored for stored in claims.values() if stored), [])
    if len(fitting) > 1:
        raise ConvoyError(
            f"{' and '.join(fitting)} could each be {name}", path=path_of(raw),
            key=param(name, "name", fitting[0]), hint=f"choose one: {KEY}",
        )  # fmt: skip
    return next(iter(fitting), None)


def _claim(raw: xr.Dataset, stored: str, name: str) -> str | None:
    """What makes a variable of a file ours: its name, standard name or a synonym; None: nothing."""
    if stored.lower() == name.lower():
        return "name"
    row = _by_standard_name(raw, stored)
    if row is not None:
        return "standard name" if row.name == name else None
    return "synonym" if stored.lower() in row_of(name).synonyms else None


def _by_standard_name(raw: xr.Dataset, stored: str) -> Variable | None:
    """The row that a standard name means: of air temperatures by their cell method; none of a level."""
    attributes = raw[stored].attrs
    rows = [row for row in VARIABLES.values() if row.standard_name == attributes.get("standard_name")]
    if len(rows) > 1:
        rows = [row for row in rows if row.method in _methods(attributes)]
    of_a_level = re.search(r"\d{2,}$", stored) or any("lev" in str(dim) for dim in raw[stored].dims)
    return rows[0] if len(rows) == 1 and not of_a_level else None


def _methods(attributes: Mapping[str, Any]) -> set[str]:
    """What a variable's values are of their time, as `maximum`, by its cell methods."""
    return set(re.findall(r"\btime: (\w+)", str(attributes.get("cell_methods", ""))))


def _refuse_other_method(path: str, called: str, row: Variable, attributes: Mapping[str, Any]) -> None:
    found = _methods(attributes)
    # What fell in a day is its sum, as well as a mean of its rates.
    expected = {row.method, "sum"} if row.intermittent else {row.method}
    if row.method and found and not found & expected:
        raise ConvoyError(
            f"{called} has the cell methods '{attributes['cell_methods']}'", path=path,
            key=param(row.name, "name"), expected=f"'time: {row.method}'",
            hint=f"if it is what is meant all the same, name it: {KEY}",
        )  # fmt: skip


def _units(
    path: str, name: str, stored: str, stated: object, override: VariableParams | None
) -> tuple[str, Conversion]:
    """The units and what they take. An override counts for the file's variable that it names, or for all."""
    ours = row_of(name).units
    if override is not None and override.units is not None and override.name in (None, stored):
        needed = conversion(override.units, ours or override.units)
        if needed is None:
            at_fault = param(name, "units", "")
            raise ConvoyError(key=at_fault, expected=f"one of {EXAMPLES[ours]}", found=f"'{override.units}'")
        return override.units, needed
    written = str(stated or "").strip()
    needed = conversion(written, ours or written)
    if needed is None:
        found = f"states the units '{written}'" if written else "states no units"
        raise ConvoyError(
            f"{called(name, stored)} {found}", path=path, key=param(name, "units"),
            expected=f"one of {EXAMPLES[ours]}", hint=f"say what they are: {KEY}",
        )  # fmt: skip
    return written, needed
