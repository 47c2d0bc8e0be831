"""From a file's own names, units, order and calendar to the one convention (see convoy.climate.data.io).

`layout` reads what a file says of itself and refuses, in one line, what cannot be understood. The `Layout`
then converts any slice of days: a century needs no more memory than a month.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from convoy.climate.data import axes
from convoy.climate.data.cf import ATTRIBUTES
from convoy.climate.data.domains import Axis, Days, Fields, Grid
from convoy.climate.data.netcdf import FileFacts
from convoy.climate.data.units import Conversion, conversion, known
from convoy.core.errors import ConvoyError
from convoy.core.params import Section

SECTION = "climate.grids.variables"
ELEVATION = "elevation"
LISTED = 4  # files of which a message says what they have
DAILY = tuple(name for name in ATTRIBUTES if name != ELEVATION)
# What others call our variables, in small letters; a name of ours is always understood.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "tasmax": ("tx", "tmax", "t_max", "mx2t", "trefhtmx", "t2m_max", "t2mmax", "tmmx"),
    "tasmin": ("tn", "tmin", "t_min", "mn2t", "trefhtmn", "t2m_min", "t2mmin", "tmmn"),
    "tas": ("t2m", "2t", "tg", "trefht", "tmean", "tavg", "t2", "temp2"),
    "psl": ("msl", "mslp", "slp", "prmsl", "pp", "pmsl"),
    "huss": ("qrefht", "q2m", "q2", "qv2m", "2sh", "sph"),
    "pr": ("rr", "tp", "prect", "prcp", "precip", "precipitation"),
    "sfcWind": ("fg", "ws10", "si10", "wind_speed", "wspd10m", "u10m"),
    ELEVATION: ("orog", "z", "topo", "elev", "altitude", "dem", "hgt", "zs", "hsurf", "phis", "topography"),
}
# Least and greatest value seen on Earth, with room, in our units: beyond it a unit is wrong, or a fill value
# not declared.
VALUES: dict[str, tuple[float, float]] = {
    "tasmax": (150, 350), "tasmin": (150, 350), "tas": (150, 350), "psl": (80_000, 115_000),
    "huss": (-1e-3, 0.06), "pr": (-1e-4, 0.05), "sfcWind": (-0.1, 120), ELEVATION: (-12_000, 9_000),
}  # fmt: skip
# The same for the mean over all days and cells: in a wrong unit every single value may still be possible.
MEANS: dict[str, tuple[float, float]] = {
    "tasmax": (180, 325), "tasmin": (180, 325), "tas": (180, 325), "psl": (90_000, 108_000),
    "huss": (1e-5, 0.03), "pr": (1e-9, 1e-3), "sfcWind": (0.05, 40), ELEVATION: (-12_000, 9_000),
}  # fmt: skip


class VariableParams(Section):
    """What a file calls a variable of ours, and in which units it really is; a name alone will do."""

    name: str | None = Field(None, min_length=1, description="In the file; left out: one of the usual names.")
    units: str | None = Field(None, min_length=1, description="Where the file states none, or wrong ones.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


@dataclass(frozen=True)
class Stored:
    """How a variable of ours stands in a file: its name and units there, which axis is which, what it takes.

    order: the file's axes as (time, lat, lon, others of length 1); without time for a static variable.
    """

    name: str
    units: str
    order: tuple[int, ...]
    conversion: Conversion
    daily: bool


@dataclass(frozen=True, eq=False)
class Layout:
    """How one file lies under the convention.

    days: None where only static variables are wanted. rows, columns: the places in the file of our latitudes
    and longitudes. cells: rows and columns of the whole file. stored: by our names.
    """

    path: str
    grid: Grid
    days: Days | None
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    cells: tuple[int, int]
    stored: Mapping[str, Stored]

    def window(self, rows: slice, columns: slice) -> "Layout":
        """The same file, as far as these rows and columns of `grid`."""
        lat, lon = self.grid.lat, self.grid.lon
        grid = Grid(
            Axis(lat.centres[rows], lat.bounds[rows]), Axis(lon.centres[columns], lon.bounds[columns])
        )
        return replace(self, grid=grid, rows=self.rows[rows], columns=self.columns[columns])

    def fields(self, name: str, raw: Fields, start: int = 0) -> Fields:
        """Values as the file has them from day `start` on, under the convention: (T, lat, lon), our unit.

        A static variable gives (lat, lon). Raises ConvoyError for values that no place on Earth has.
        """
        stored = self.stored[name]
        values = raw.transpose(stored.order)
        values = values.reshape(*values.shape[: int(stored.daily)], *self.cells)
        values = values[..., self.rows[:, None], self.columns]
        scale, offset = stored.conversion
        if (scale, offset) != (1, 0):
            values = (values.astype(np.float64) * scale + offset).astype(np.float32)
        self._refuse_impossible(name, values, start)
        return values

    def check_mean(self, name: str, mean: float) -> None:
        """Raise ConvoyError where the mean over all days and cells, in our unit, betrays a wrong unit."""
        least, greatest = MEANS[name]
        if not least <= mean <= greatest:
            unit = ATTRIBUTES[name]["units"]
            raise ConvoyError(
                f"{self.path}: {called(name, self.stored[name].name)} is {mean:.4g} {unit} on average; "
                f"expected {least:g} to {greatest:g}; {self._advice(name)}"
            )

    def _refuse_impossible(self, name: str, values: Fields, start: int) -> None:
        least, greatest = VALUES[name]
        wrong = (values < least) | (values > greatest)
        if not wrong.any():
            return
        index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        row, column = (int(at) for at in index[-2:])
        place = f"lat {self.grid.lat.centres[row]:.6g}, lon {self.grid.lon.centres[column]:.6g}"
        if self.stored[name].daily and self.days is not None:
            place = f"{self.days.at([start + int(index[0])]).labels[0]}, {place}"
        raise ConvoyError(
            f"{self.path}: {called(name, self.stored[name].name)} is {values[index]:.6g} "
            f"{ATTRIBUTES[name]['units']} at {place} (the first of {int(wrong.sum()):,}); expected {least:g} "
            f"to {greatest:g}; {self._advice(name)}; if it stands for missing, declare it as _FillValue"
        )

    def _advice(self, name: str) -> str:
        stated = self.stored[name].units
        return f"are its units '{stated}'? override them: {SECTION}: {{{name}: {{units: ...}}}}"


def called(name: str, stored: str) -> str:
    """A variable in words: its name in the file, and ours where that differs."""
    return f"variable '{stored}'" + ("" if stored == name else f" ({name})")


def layout(
    facts: FileFacts, variables: Mapping[str, VariableParams], wanted: Collection[str] = DAILY
) -> Layout | None:
    """How those of the `wanted` variables lie that the file has; None where it has none of them.

    variables: other names and units (params climate.grids.variables). Raises ConvoyError for a grid, time
    or unit that cannot be brought to the convention.
    """
    found = {name: file_name for name in wanted if (file_name := _find(facts, name, variables)) is not None}
    if not found:
        return None
    # The first variable's coordinates are those of all of them.
    lat, lon = axes.coordinates(facts, next(iter(found.values())))
    stored = {
        name: _stored(facts, name, file_name, (lat, lon), variables.get(name))
        for name, file_name in found.items()
    }
    times = {
        time[1]
        for name in stored
        if stored[name].daily and (time := facts.time_of(stored[name].name)) is not None
    }
    if len(times) > 1:
        raise ConvoyError(f"{facts.path}: several time axes ({', '.join(sorted(times))}); split the file")
    latitudes, rows = axes.latitudes(facts, lat)
    longitudes, columns = axes.longitudes(facts, lon)
    days = axes.days(facts, times.pop()) if times else None
    return Layout(
        facts.path, Grid(latitudes, longitudes), days, rows, columns, (len(rows), len(columns)), stored
    )


def require(files: Sequence[FileFacts], layouts: Iterable[Layout | None], wanted: Iterable[str]) -> None:
    """Raise ConvoyError, saying what there is, for a wanted variable that no file has."""
    have = {name for one in layouts if one is not None for name in one.stored}
    for name in wanted:
        if name not in have:
            raise ConvoyError(
                f"no variable {name} (nor {', '.join(SYNONYMS[name])}): {listing(files)}; if it has another "
                f"name, say so: {SECTION}: {{{name}: {{name: ...}}}}"
            )


def check_names(files: Sequence[FileFacts], variables: Mapping[str, VariableParams]) -> None:
    """Raise ConvoyError for a variable that is none of ours, or is given a name that no file has."""
    for name, override in variables.items():
        if name not in ATTRIBUTES:
            raise ConvoyError(f"{SECTION}: unknown variable '{name}'; known: {', '.join(ATTRIBUTES)}")
        if override.name is not None and not any(override.name in facts.variables for facts in files):
            raise ConvoyError(f"{SECTION}.{name}.name: no variable '{override.name}': {listing(files)}")


def _find(facts: FileFacts, name: str, variables: Mapping[str, VariableParams]) -> str | None:
    """What the file calls our variable `name`: by the map, by our name, by a usual one."""
    override = variables.get(name)
    if override is not None and override.name in facts.variables:
        return override.name
    taken = {other.name for other in variables.values()}
    fitting = [
        stored
        for stored in facts.variables
        if stored not in taken
        and len(facts.variables[stored].dims) >= 2
        and stored.lower() in (name.lower(), *SYNONYMS[name])
    ]
    ours = [stored for stored in fitting if stored.lower() == name.lower()]
    if len(ours or fitting) > 1:
        raise ConvoyError(
            f"{facts.path}: {' and '.join(ours or fitting)} could each be {name}; choose one: {SECTION}: "
            f"{{{name}: {{name: {fitting[0]}}}}}"
        )
    return next(iter(ours or fitting), None)


def _stored(
    facts: FileFacts, name: str, file_name: str, coordinates: tuple[str, str], override: VariableParams | None
) -> Stored:
    variable = facts.variables[file_name]
    where = f"{facts.path}: {called(name, file_name)}"
    time = facts.time_of(file_name) if name != ELEVATION else None
    if name != ELEVATION and time is None:
        raise ConvoyError(f"{where} has no time among its dimensions ({', '.join(variable.dims)})")
    needed = [facts.variables[coordinate].dims[0] for coordinate in coordinates]
    needed = needed if time is None else [time[0], *needed]
    if not set(needed) <= set(variable.dims):
        raise ConvoyError(
            f"{where} lies on ({', '.join(variable.dims)}), others on ({', '.join(needed)}); one a file"
        )
    order = [variable.dims.index(dim) for dim in needed]
    rest = [axis for axis in range(len(variable.dims)) if axis not in order]
    for axis in rest:
        if variable.shape[axis] != 1:
            raise ConvoyError(
                f"{where} has {variable.shape[axis]} values along '{variable.dims[axis]}'; expected time, "
                "latitude and longitude alone: choose one of them first"
            )
    stated, conversion = _units(where, name, file_name, variable.attributes.get("units"), override)
    return Stored(file_name, stated, (*order, *rest), conversion, time is not None)


def _units(
    where: str, name: str, file_name: str, stated: object, override: VariableParams | None
) -> tuple[str, Conversion]:
    """The units and what they take. An override counts for the file's variable that it names, or for all."""
    if override is not None and override.units is not None and override.name in (None, file_name):
        needed = conversion(name, override.units)
        if needed is None:
            raise ConvoyError(
                f"{SECTION}.{name}.units: expected one of {known(name)}; found '{override.units}'"
            )
        return override.units, needed
    written = str(stated or "").strip()
    needed = conversion(name, written)
    if needed is None:
        found = f"states the units '{written}'" if written else "states no units"
        raise ConvoyError(
            f"{where} {found}; expected one of {known(name)}; say what they are: {SECTION}: "
            f"{{{name}: {{units: ...}}}}"
        )
    return written, needed


def listing(files: Sequence[FileFacts]) -> str:
    """What the first of these files have, in words."""
    words = [f"{facts.path} has {', '.join(_data_variables(facts)) or 'none'}" for facts in files[:LISTED]]
    more = len(files) - LISTED
    return "; ".join(words) + (f"; and {more:,} more files" if more > 0 else "")


def _data_variables(facts: FileFacts) -> list[str]:
    return [
        name
        for name, variable in facts.variables.items()
        if len(variable.dims) >= 2 and name not in facts.coordinates
    ]
