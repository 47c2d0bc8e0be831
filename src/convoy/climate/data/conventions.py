"""From a file's own names, units, order and calendar to the one convention of convoy.climate.data.datasets.

`conform` interprets a file's metadata, and raises ConvoyError where that is not possible. The values of the
Dataset that it returns are read and converted lazily: a century needs no more memory than a month.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

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
from convoy.climate.data.units import EXAMPLES, conversion
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
from convoy.core.printable import cut

LISTED = 4  # files whose variables a message lists
SHOWN, SHOWN_LIST = 80, 400  # characters of a name or attribute, and of a list of names, in a message
Settings = Mapping[str, VariableParams]


def conform(
    raw: xr.Dataset, settings: Settings, wanted: Collection[str] = DAILY,
    units: Mapping[str, str] = MappingProxyType({}),
) -> xr.Dataset | None:  # fmt: skip
    """The `wanted` variables that a file has, by our names; None where it has none of them.

    raw: as `netcdf.Reader.open` gives it; settings: other names and units (params climate.grids.variables).
    units: target units of variables that are not in the table; left out: their own.

    Static variables are (lat, lon), others (time, lat, lon). Each variable's `encoding` has its name and
    units in the file. Raises ConvoyError for a grid, time or unit that cannot be converted to the convention,
    and when values are read, for those that are not finite, look like an undeclared fill value, or are not
    possible on Earth.
    """
    found = {name: stored for name in wanted if (stored := _find(raw, name, settings)) is not None}
    if not found:
        return None
    # All variables have the coordinates of the first one.
    lat, lon = axes.coordinates(raw, next(iter(found.values())))
    times = {name: time_of(raw, stored) for name, stored in found.items() if name != ELEVATION}
    several = sorted({time[1] for time in times.values() if time is not None})
    if len(several) > 1:
        several_times = f"several time axes ({', '.join(several)})"
        raise ConvoyError(several_times, path=path_of(raw), hint="split the file")
    (latitudes, rows), (longitudes, columns) = axes.latitudes(raw, lat), axes.longitudes(raw, lon)
    grid, days = Grid(latitudes, longitudes), axes.days(raw, several[0]) if several else None
    places = {lat: rows, lon: columns}
    arrays = {
        name: _Conformed(
            raw, name, stored, settings.get(name), units.get(name), times.get(name), places, grid, days
        )
        for name, stored in found.items()
    }
    lazy = {name: indexing.LazilyIndexedArray(array) for name, array in arrays.items()}
    made = dataset(grid, days, lazy, raw.attrs, {name: array.our_units for name, array in arrays.items()})
    made.encoding["source"] = path_of(raw)
    for name, array in arrays.items():
        made[name].encoding.update(source_name=array.stored, source_units=array.units)
    return made


def path_of(held: xr.Dataset) -> str:
    """The file that a dataset comes from, for messages."""
    return str(held.encoding["source"])


class _Conformed(BackendArray):
    """A variable of a file under the convention, read and converted lazily."""

    def __init__(
        self, raw: xr.Dataset, name: str, stored: str, given: VariableParams | None, units: str | None,
        time: tuple[str, str] | None, places: Mapping[str, axes.Order], grid: Grid, days: Days | None,
    ) -> None:  # fmt: skip
        """Raise ConvoyError for dimensions, cell methods and units that are not understood."""
        self.raw, self.name, self.stored, self.row = raw, name, stored, row_of(name)
        self.grid, self.days, (self.rows, self.columns) = grid, days, places.values()
        self.dtype = np.dtype(np.float32)
        given = given or VariableParams(name=None, units=None, level=None)
        held = raw[stored]
        dims = ", ".join(map(str, held.dims))
        if name != ELEVATION and time is None:
            self._fail(f"has no time among its dimensions ({dims})")
        self.order = [*([time[0]] if time else []), *(str(raw[axis].dims[0]) for axis in places)]
        if not set(self.order) <= set(held.dims):
            self._fail(f"lies on ({dims}), others on ({', '.join(self.order)}); one a file")
        others = [str(dim) for dim in held.dims if dim not in self.order]
        self.chosen = {dim: self._level(dim, given.level) for dim in others}
        self.shape = (*([len(days)] if days is not None and time else []), *grid.shape)
        found, row = _methods(held.attrs), self.row
        # Daily precipitation may be a sum as well as a mean of rates.
        fitting = {row.method, "sum"} if row.intermittent else {row.method}
        if given.name != stored and row.method and found and not found & fitting:
            self._fail(
                f"has the cell methods '{held.attrs['cell_methods']}'", key=param(name, "name"),
                expected=f"'time: {row.method}'", hint=f"if it is the right variable, name it: {KEY}",
            )  # fmt: skip
        # An override applies to the file's variable that it names, or to all.
        overridden = given.units if given.name in (None, stored) else None
        self.units = overridden or str(held.attrs.get("units") or "").strip()
        self.our_units = row.units or units or self.units
        turned = conversion(self.units, self.our_units)
        if turned is None or not self.units:
            expected = f"one of {EXAMPLES[row.units]}" if row.units else self.our_units or "some"
            if overridden:
                raise ConvoyError(key=param(name, "units", ""), expected=expected, found=f"'{overridden}'")
            self._fail(
                f"states the units '{self.units}'" if self.units else "states no units", expected=expected,
                key=param(name, "units"), hint=f"set them: {KEY}",
            )  # fmt: skip
        self.conversion = turned

    def _fail(self, what: str, **parts: Any) -> NoReturn:
        raise ConvoyError(
            f"{called(self.name, self.stored)} {cut(what, SHOWN_LIST)}", path=path_of(self.raw), **parts
        )

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._values
        )

    def _values(self, key: tuple[Any, ...]) -> Fields:
        spans = [part if isinstance(part, slice) else slice(part, part + 1) for part in key]
        *time, rows, columns = spans
        # Whole maps are read: the wanted cells may be in any order in the file.
        chosen: dict[str, Any] = {**self.chosen, **dict(zip(self.order, time, strict=False))}
        values = self.raw[self.stored].variable.isel(chosen).transpose(*self.order).values
        values = values[..., self.rows[rows][:, None], self.columns[columns]]
        hint = "if it means missing, declare it as the variable's _FillValue"
        if (wrong := undeclared_fill(values, self.raw[self.stored].attrs)).any():
            value, place = self._first(wrong, values, spans)
            self._fail(f"holds {value} {place}", hint=hint)
        scale, offset = self.conversion
        if (scale, offset) != (1, 0):
            values = (values.astype(np.float64) * scale + offset).astype(np.float32)
        if (wrong := self.row.impossible(values)).any():
            least, greatest = self.row.values
            value, place = self._first(wrong, values, spans)
            self._fail(
                f"is {value} {self.our_units} {place}", key=param(self.name, "units"),
                expected=f"{least:g} to {greatest:g}", hint=f"{advice(self.units)}; {hint}",
            )  # fmt: skip
        return values[tuple(slice(None) if isinstance(part, slice) else 0 for part in key)]

    def _first(self, wrong: npt.NDArray[np.bool_], values: Fields, spans: Sequence[slice]) -> tuple[str, str]:
        """The first of the wrong values, its place and how many there are, in words."""
        index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        *day, row, column = (
            range(size)[span][int(at)] for size, span, at in zip(self.shape, spans, index, strict=True)
        )
        when = f"{self.days.at(day).labels[0]}, " if day and self.days is not None else ""
        where = f"lat {self.grid.lat.centres[row]:.6g}, lon {self.grid.lon.centres[column]:.6g}"
        value = f"{values[index]:.7g}" if np.isfinite(values[index]) else "a value that is not finite"
        return value, f"at {when}{where} (the first of {int(wrong.sum()):,})"

    def _level(self, dim: str, level: str | None) -> int:
        """Index along a further dimension: the only one, or that of `level`."""
        size = self.raw.sizes[dim]
        if level is not None and dim in self.raw.variables:
            number, _, unit = level.strip().partition(" ")
            held = self.raw[dim]
            turned = conversion(unit or "1", str(held.attrs.get("units", unit)) or "1")
            wanted = np.nan if turned is None else float(number) * turned.scale + turned.offset
            at = np.flatnonzero(np.isclose(held.values, wanted, rtol=1e-4))
            if len(at) == 1:
                return int(at[0])
            there = ", ".join(f"{value:g}" for value in held.values[:20])
            self._fail(f"has no level '{level}' along '{dim}' ({there} {held.attrs.get('units', '')})")
        if size != 1:
            self._fail(
                f"has {size} values along '{dim}'", key=param(self.name, "level", "850 hPa"),
                expected="time, latitude and longitude alone: choose one of them first",
                hint=f"or name it: {KEY}",
            )  # fmt: skip
        return 0


def check_mean(part: xr.Dataset, name: str, mean: float) -> None:
    """Raise ConvoyError where the mean over all days and cells, in our unit, shows that the unit is wrong."""
    least, greatest = row_of(name).mean
    if not least <= mean <= greatest:
        stored, units = (part[name].encoding[key] for key in ("source_name", "source_units"))
        raise ConvoyError(
            f"{called(name, stored)} is {mean:.4g} {row_of(name).units} on average", path=path_of(part),
            key=param(name, "units"), expected=f"{least:g} to {greatest:g}", hint=advice(units),
        )  # fmt: skip


def advice(units: str) -> str:
    """The hint for values that are wrong because of a unit; the key is the param of the units."""
    return f"are its units '{cut(units, SHOWN)}'? override them: {KEY}"


def called(name: str, stored: str) -> str:
    """A variable in words: its name in the file, and ours where that differs."""
    return f"variable '{cut(stored, SHOWN)}'" + ("" if stored == name else f" ({name})")


def require(files: Sequence[xr.Dataset], parts: Iterable[xr.Dataset | None], wanted: Iterable[str]) -> None:
    """Raise ConvoyError, with a list of variables, for a wanted one that no file has."""
    have = {name for part in parts if part is not None for name in part.data_vars}
    for name in (name for name in wanted if name not in have):
        synonyms = row_of(name).synonyms
        nor = f" (nor {', '.join(synonyms)})" if synonyms else ""
        raise ConvoyError(
            f"no variable {name}{nor}: {listing(files)}", key=param(name, "name"),
            hint=f"if it has another name, set it: {KEY}",
        )  # fmt: skip


def check_names(files: Sequence[xr.Dataset], settings: Settings) -> None:
    """Raise ConvoyError for a variable that is given a name that no file has."""
    for name, given in settings.items():
        if given.name is not None and not any(given.name in raw.variables for raw in files):
            at_fault = param(name, "name", "")
            raise ConvoyError(f"no variable '{given.name}': {listing(files)}", key=at_fault)


def listing(files: Sequence[xr.Dataset]) -> str:
    """The variables of the first of these files, in words."""
    words = [
        f"{path_of(raw)} has {cut(', '.join(_with_meaning(raw)), SHOWN_LIST) or 'none'}"
        for raw in files[:LISTED]
    ]
    more = len(files) - LISTED
    return "; ".join(words) + (f"; and {more:,} more files" if more > 0 else "")


def _with_meaning(raw: xr.Dataset) -> list[str]:
    """The variables, and where their attributes are those of another of ours, its name."""
    rows = {stored: _meant(raw, stored) for stored in _data_variables(raw)}
    return [
        stored if row is None or row.name == stored else f"{stored} ({row.name} by its attributes)"
        for stored, row in rows.items()
    ]


def _data_variables(raw: xr.Dataset) -> list[str]:
    # Bounds are (n, 2).
    return [str(name) for name, held in raw.variables.items() if held.ndim >= 2 and held.shape[1:] != (2,)]


def _find(raw: xr.Dataset, name: str, settings: Settings) -> str | None:
    """The file's name of our variable `name`: by the settings, our name, a standard name or a synonym.

    A variable whose standard name and cell methods are those of another is that one, whatever its name.
    """
    given = settings.get(name)
    if given is not None and given.name in raw.variables:
        return given.name
    taken = {other.name for other in settings.values()}
    free = {stored: _meant(raw, stored) for stored in _data_variables(raw) if stored not in taken}
    own = row_of(name)
    claims = (
        [stored for stored, row in free.items() if stored.lower() == name.lower() and row in (None, own)],
        [stored for stored, row in free.items() if row == own],
        [stored for stored, row in free.items() if row is None and stored.lower() in own.synonyms],
    )
    fitting = next(filter(None, claims), [])
    if len(fitting) > 1:
        raise ConvoyError(
            f"{' and '.join(fitting)} could each be {name}", path=path_of(raw),
            key=param(name, "name", fitting[0]), hint=f"choose one: {KEY}",
        )  # fmt: skip
    return next(iter(fitting), None)


def _meant(raw: xr.Dataset, stored: str) -> Variable | None:
    """The row of a standard name: for air temperatures by their cell method; None for one on a level."""
    attributes = raw[stored].attrs
    rows = [row for row in VARIABLES.values() if row.standard_name == attributes.get("standard_name")]
    if len(rows) > 1:
        rows = [row for row in rows if row.method in _methods(attributes)]
    of_a_level = re.search(r"\d{2,}$", stored) or any("lev" in str(dim) for dim in raw[stored].dims)
    return rows[0] if len(rows) == 1 and not of_a_level else None


def _methods(attributes: Mapping[str, Any]) -> set[str]:
    """The cell methods of a variable for time, such as `maximum`."""
    return set(re.findall(r"\btime: (\w+)", str(attributes.get("cell_methods", ""))))
