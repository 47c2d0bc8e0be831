"""Grids, days and the fields on them, under the one convention (see convoy.climate.data.datasets)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt

EPOCH = "days since 1850-01-01"
Fields = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Axis:
    """Cell centres (n,) in ascending degrees and their bounds (n, 2)."""

    centres: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def step(self) -> float:
        """Mean distance in degrees from centre to centre."""
        return float(np.diff(self.centres).mean())

    @property
    def reach(self) -> tuple[float, float]:
        """The lower edge of the first cell and the upper one of the last."""
        return float(self.bounds[0, 0]), float(self.bounds[-1, 1])

    def at(self, cells: slice) -> "Axis":
        """These cells of it."""
        return Axis(self.centres[cells], self.bounds[cells])

    def same(self, other: "Axis") -> bool:
        """Whether the centres equal those of the other within a hundredth of a cell."""
        return len(self) == len(other) and np.allclose(
            self.centres, other.centres, rtol=0, atol=0.01 * float(np.diff(other.centres).min())
        )

    def covered(self, other: "Axis", share: float) -> slice:
        """The cells of which at least this share is within the other; an empty slice where there are none."""
        low, high = other.reach
        shared = np.minimum(self.bounds[:, 1], high) - np.maximum(self.bounds[:, 0], low)
        cells = np.flatnonzero(shared >= share * (self.bounds[:, 1] - self.bounds[:, 0]))
        return slice(int(cells[0]), int(cells[-1]) + 1) if len(cells) else slice(0, 0)

    @staticmethod
    def regular(start: float, step: float, count: int) -> "Axis":
        """`count` cells of `step` degrees whose lower edge is `start`."""
        edges = start + step * np.arange(count + 1.0)
        return Axis((edges[:-1] + edges[1:]) / 2, np.stack([edges[:-1], edges[1:]], axis=1))

    @staticmethod
    def around(centres: npt.NDArray[np.float64]) -> "Axis":
        """Cells whose edges lie half-way between their centres."""
        middle = (centres[:-1] + centres[1:]) / 2
        edges = np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
        return Axis(centres, np.stack([edges[:-1], edges[1:]], axis=1))


@dataclass(frozen=True, eq=False)
class Grid:
    """A rectilinear grid; fields on it are (..., len(lat), len(lon))."""

    lat: Axis
    lon: Axis

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.lat), len(self.lon)

    @property
    def axes(self) -> dict[str, Axis]:
        """The axes by the names of their coordinates."""
        return {"lat": self.lat, "lon": self.lon}

    def __str__(self) -> str:
        return f"{self.shape[0]} x {self.shape[1]} cells at {self.extent}"

    @property
    def extent(self) -> str:
        """The ranges of latitude and longitude, in words."""
        spans = {name: axis.reach for name, axis in self.axes.items()}
        return ", ".join(f"{name} {low:.5g} to {high:.5g}" for name, (low, high) in spans.items())

    def at(self, rows: slice, columns: slice) -> "Grid":
        """These rows and columns of it."""
        return Grid(self.lat.at(rows), self.lon.at(columns))

    def same(self, other: "Grid") -> bool:
        """Whether the centres equal those of the other within a hundredth of a cell."""
        return self.lat.same(other.lat) and self.lon.same(other.lon)

    @cached_property
    def areas(self) -> npt.NDArray[np.float64]:
        """Share of the grid's area in each cell of the sphere, (lat, lon), sum 1."""
        rows = np.diff(np.sin(np.radians(self.lat.bounds)), axis=1)[:, 0]
        columns = np.diff(self.lon.bounds, axis=1)[:, 0]
        area = np.outer(rows, columns)
        return area / area.sum()


@dataclass(frozen=True, eq=False)
class Days:
    """Dates of T days in one calendar: `ordinal` (T,) counts days since 1850-01-01."""

    calendar: str
    ordinal: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ordinal)

    @cached_property
    def dates(self) -> npt.NDArray[np.object_]:
        """The days as cftime objects, (T,)."""
        return np.atleast_1d(
            cftime.num2date(self.ordinal, EPOCH, self.calendar, only_use_cftime_datetimes=True)
        )

    @cached_property
    def year(self) -> npt.NDArray[np.int64]:
        return np.array([date.year for date in self.dates], np.int64)

    @cached_property
    def month(self) -> npt.NDArray[np.int64]:
        return np.array([date.month for date in self.dates], np.int64)

    @cached_property
    def season(self) -> npt.NDArray[np.float64]:
        """The time of the year as an angle in 0..2 pi, from midnight before 1 January, (T,)."""
        length = {"noleap": 365, "365_day": 365, "360_day": 360, "all_leap": 366, "366_day": 366}
        days = length.get(self.calendar, 365.25)
        return np.array([2 * np.pi * (date.dayofyr - 0.5) / days for date in self.dates])

    @property
    def labels(self) -> list[str]:
        """The days as YYYY-MM-DD."""
        return [f"{date.year:04d}-{date.month:02d}-{date.day:02d}" for date in self.dates]

    def between(self, first: str, last: str) -> npt.NDArray[np.bool_]:
        """Mask of the days in `first`..`last` (YYYY-MM-DD, both included), (T,)."""
        return np.array([first <= label <= last for label in self.labels], bool)

    def at(self, chosen: Any) -> "Days":
        """The days at these indices or where this mask is true."""
        return Days(self.calendar, self.ordinal[chosen])

    @staticmethod
    def years(first: int, count: int, calendar: str = "noleap") -> "Days":
        """All days of `count` years."""
        start, end = (
            cftime.date2num(cftime.datetime(year, 1, 1, calendar=calendar), EPOCH, calendar)
            for year in (first, first + count)
        )
        return Days(calendar, np.arange(int(start), int(end)))


@dataclass(frozen=True, eq=False)
class Domain:
    """A region in one climate: coarse fields (`inputs`) and the fine truth (`target`).

    inputs: name -> (T, h, w); target: (T, H, W), or None where there is no truth; static: name -> (H, W), at
    least `elevation` in metres; coarse_static: name -> (h, w). Domains with the same `place` share their
    terrain, so that models fitted per pixel apply to all of them.
    """

    name: str
    place: str
    coarse: Grid
    fine: Grid
    days: Days
    inputs: Mapping[str, Fields]
    target: Fields | None
    static: Mapping[str, Fields]
    coarse_static: Mapping[str, Fields]

    def at(self, chosen: Any) -> "Domain":
        """The days at these indices or where this mask is true."""
        return replace(
            self,
            days=self.days.at(chosen),
            inputs={name: field[chosen] for name, field in self.inputs.items()},
            target=None if self.target is None else self.target[chosen],
        )


def ratio(coarse: Grid, fine: Grid) -> tuple[float, float]:
    """Fine cells per coarse cell along latitude and longitude."""
    return coarse.lat.step / fine.lat.step, coarse.lon.step / fine.lon.step
