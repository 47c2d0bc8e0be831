"""A folder of grids as it is stored, file by file and unchanged, for the gate.

`climate.data.io.read` trusts the folder (for example, it assumes that fine and coarse files have the same
days); here every file has its own coordinates, times and attributes, and values are read one variable at a
time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from convoy.climate.data.datasets import fields_of
from convoy.climate.data.domains import Axis, Days, Fields, Grid
from convoy.climate.data.io import opened, read_facts

# Calendars of cftime; others are refused before dates are computed.
CALENDARS = (
    "standard", "gregorian", "proleptic_gregorian", "julian", "noleap", "365_day", "all_leap", "366_day",
    "360_day",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class StoredFile:
    """The metadata of one file. A missing coordinate is empty.

    name: within the folder, as home/fine_2001.nc; side: fine or coarse; dimensions and attributes: by
    variable, coordinates and bounds among them; coordinates: with their bounds, in the file's own units.
    """

    path: Path
    name: str
    side: str
    dimensions: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Mapping[str, Any]]
    coordinates: xr.Dataset

    @property
    def is_static(self) -> bool:
        return self.path.stem.startswith("static_")

    @cached_property
    def grid(self) -> Grid:
        return Grid(*(Axis(self._numbers(name), self._numbers(f"{name}_bnds", 2)) for name in ("lat", "lon")))

    @cached_property
    def time(self) -> npt.NDArray[np.float64]:
        return self._numbers("time")

    @cached_property
    def time_bounds(self) -> npt.NDArray[np.float64]:
        return self._numbers("time_bnds", 2)

    @property
    def calendar(self) -> str | None:
        return self.attributes.get("time", {}).get("calendar")

    @cached_property
    def days(self) -> Days:
        """The days of a file whose calendar is one of `CALENDARS`, in the file's order."""
        return Days(str(self.calendar), np.floor(self.time).astype(np.int64))

    def values(self, variable: str) -> Fields:
        """One variable, missing values NaN; ConvoyError where the bytes cannot be read."""
        with opened(self.path) as held:
            return fields_of(held, variable)

    def _numbers(self, name: str, columns: int = 0) -> npt.NDArray[np.float64]:
        values = np.empty(0)
        if name in self.coordinates.variables:
            values = np.asarray(self.coordinates[name].values, np.float64)
        return values.reshape(-1, columns) if columns else values


@dataclass(frozen=True, eq=False)
class StoredDomain:
    """The files of one domain in the order of their names: per side the years, then the static fields."""

    name: str
    place: str
    files: tuple[StoredFile, ...]

    def of(self, side: str) -> list[StoredFile]:
        """The files with days of one side, fine or coarse, by year."""
        return [file for file in self.files if file.side == side and not file.is_static]

    def static(self, side: str) -> StoredFile | None:
        """The file of static fields of one side; None where there is none."""
        return next((file for file in self.files if file.side == side and file.is_static), None)


def read_headers(folder: Path) -> tuple[dict[str, Any], list[StoredDomain]]:
    """The facts of a folder of grids and its files' metadata; ConvoyError where the folder is not whole."""
    facts = read_facts(folder)
    domains = [
        StoredDomain(
            entry["name"],
            entry["place"],
            tuple(_file(folder, path) for path in sorted((folder / entry["name"]).glob("*.nc"))),
        )
        for entry in facts["domains"]
    ]
    return facts, domains


def dates_between(calendar: str, first: int, last: int) -> npt.NDArray[np.int64]:
    """Year, month and day (N, 3) of every day `first`..`last`, counted from 1850-01-01 in one calendar."""
    dates = Days(calendar, np.arange(first, last + 1)).dates
    return np.array([(date.year, date.month, date.day) for date in dates], np.int64).reshape(-1, 3)


def _file(folder: Path, path: Path) -> StoredFile:
    with opened(path, decode=False) as held:
        small = [
            name for name, held_one in held.variables.items() if held_one.ndim < 2 or "bnds" in held_one.dims
        ]
        return StoredFile(
            path,
            path.relative_to(folder).as_posix(),
            path.stem.removeprefix("static_").split("_")[0],
            {str(name): tuple(map(str, one.dims)) for name, one in held.variables.items()},
            {str(name): one.attrs for name, one in held.variables.items()},
            held[small].load() if small else xr.Dataset(),
        )
