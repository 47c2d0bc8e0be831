"""A folder of grids as it lies on disk, file by file, nothing mended: what a gate looks at.

`storage.grids.read` trusts the folder (it takes the fine file's days to be the coarse file's, for one); here
every file says its own coordinates, times and attributes, and its values are read one variable at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt

from convoy.climate.data.cf import opened, values
from convoy.climate.data.domains import Axis, Days, Fields, Grid
from convoy.climate.data.io import read_facts
from convoy.core.errors import ConvoyError

# What cftime can count in; others are refused before any date is made of them.
CALENDARS = (
    "standard", "gregorian", "proleptic_gregorian", "julian", "noleap", "365_day", "all_leap", "366_day",
    "360_day",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class StoredFile:
    """What one file says beside its values. A coordinate that it lacks is empty.

    name: within the folder, as home/fine_2001.nc; side: fine or coarse; dimensions and attributes: by
    variable, coordinates and bounds among them; time (T,) in the file's own units, (0,) in a static file.
    """

    path: Path
    name: str
    side: str
    grid: Grid
    time: npt.NDArray[np.float64]
    time_bounds: npt.NDArray[np.float64]
    dimensions: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Mapping[str, Any]]

    @property
    def is_static(self) -> bool:
        return self.path.stem.startswith("static_")

    @property
    def calendar(self) -> str | None:
        return self.attributes.get("time", {}).get("calendar")

    @cached_property
    def days(self) -> Days:
        """The days of a file whose calendar is one of `CALENDARS`, in the file's order."""
        return Days(str(self.calendar), np.floor(self.time).astype(np.int64))

    def values(self, variable: str) -> Fields:
        """One variable, missing values NaN; ConvoyError where the bytes cannot be read."""
        with opened(self.path) as file:
            try:
                return values(file[variable])
            except RuntimeError as error:
                raise ConvoyError(
                    f"{self.path}: '{variable}' cannot be read ({error}); make the grids again"
                ) from None


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
    """The facts of a folder of grids and what its files say; ConvoyError where the folder is not whole."""
    facts = read_facts(folder)
    domains = [
        StoredDomain(
            entry["name"],
            entry["place"],
            tuple(_header(folder, path) for path in sorted((folder / entry["name"]).glob("*.nc"))),
        )
        for entry in facts["domains"]
    ]
    return facts, domains


def dates_between(calendar: str, first: int, last: int) -> npt.NDArray[np.int64]:
    """Year, month and day (N, 3) of every day `first`..`last`, counted from 1850-01-01 in one calendar."""
    dates = Days(calendar, np.arange(first, last + 1)).dates
    return np.array([(date.year, date.month, date.day) for date in dates], np.int64).reshape(-1, 3)


def _header(folder: Path, path: Path) -> StoredFile:
    with opened(path) as file:
        return StoredFile(
            path=path,
            name=path.relative_to(folder).as_posix(),
            side=path.stem.removeprefix("static_").split("_")[0],
            grid=Grid(_axis(file, "lat"), _axis(file, "lon")),
            time=_numbers(file, "time"),
            time_bounds=_numbers(file, "time_bnds").reshape(-1, 2),
            dimensions={name: variable.dimensions for name, variable in file.variables.items()},
            attributes={name: variable.__dict__ for name, variable in file.variables.items()},
        )


def _axis(file: netCDF4.Dataset, name: str) -> Axis:
    return Axis(_numbers(file, name), _numbers(file, f"{name}_bnds").reshape(-1, 2))


def _numbers(file: netCDF4.Dataset, name: str) -> npt.NDArray[np.float64]:
    return np.asarray(file[name][:], np.float64) if name in file.variables else np.empty(0)
