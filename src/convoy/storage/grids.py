"""A folder of grids: coarse inputs, fine truth and static fields of one or more domains, as CF NetCDF-4.

One convention for every source: (time, lat, lon), latitude ascending, longitude in -180..180, SI units,
float32, missing cells NaN. Per domain: `static_fine.nc`, `static_coarse.nc`, and per year `fine_YYYY.nc` and
`coarse_YYYY.nc`, beside `grids.json` with the splits and the facts, and the manifest.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cftime
import netCDF4
import numpy as np
import numpy.typing as npt

from convoy.errors import ConvoyError
from convoy.storage import cf
from convoy.storage.cf import EPOCH
from convoy.storage.files import atomic_directory, check_manifest, read_json, write_json, write_manifest

Fields = npt.NDArray[np.float32]
FACTS = "grids.json"


@dataclass(frozen=True, eq=False)
class Axis:
    """Cell centres (n,) in ascending degrees and their bounds (n, 2)."""

    centres: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.centres)

    @staticmethod
    def regular(start: float, step: float, count: int) -> "Axis":
        """`count` cells of `step` degrees whose lower edge is `start`."""
        edges = start + step * np.arange(count + 1.0)
        return Axis((edges[:-1] + edges[1:]) / 2, np.stack([edges[:-1], edges[1:]], axis=1))


@dataclass(frozen=True, eq=False)
class Grid:
    """A rectilinear grid; fields on it are (..., len(lat), len(lon))."""

    lat: Axis
    lon: Axis

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.lat), len(self.lon)

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
        """Which days lie in `first`..`last` (YYYY-MM-DD, both included), (T,)."""
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
    """One place in one world: what a coarse model says of it (`inputs`) and what was true (`target`).

    inputs: name -> (T, h, w); target: (T, H, W), or None where there is no truth; static: name -> (H, W), at
    least `elevation` in metres; coarse_static: name -> (h, w). Domains with the same `place` share their
    ground, so that what was learnt for each pixel holds in all of them.
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


def write(folder: Path, domains: Iterable[Domain], facts: Mapping[str, Any]) -> None:
    """Write the folder as a whole, its manifest last; the same domains give the same bytes.

    facts: `target` (a variable name), `inputs` (names in the order of the channels), `splits` (split name ->
    list of {"domain", "from", "to"}), and whatever else readers are to know. `domains` may be a generator:
    one domain is held at a time.
    """
    with atomic_directory(folder) as partial:
        names = []
        for domain in domains:
            names.append({"name": domain.name, "place": domain.place})
            (partial / domain.name).mkdir()
            _write_domain(partial / domain.name, domain, str(facts["target"]))
        write_json(partial / FACTS, {"schema": 1, **facts, "domains": names})
        write_manifest(partial)


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts of a folder of grids; ConvoyError where it is not whole."""
    check_manifest(folder)
    return read_json(folder / FACTS)


def read(folder: Path, split: str) -> list[Domain]:
    """The days of one split, domain by domain, in the order of the facts; [] where the split is empty.

    Call `read_facts` first: it checks the manifest.
    """
    facts = read_json(folder / FACTS)
    if split not in facts["splits"]:
        raise ConvoyError(f"{folder}: no split '{split}'; it has {', '.join(facts['splits'])}")
    places = {entry["name"]: entry["place"] for entry in facts["domains"]}
    spans: dict[str, list[tuple[str, str]]] = {}
    for part in facts["splits"][split]:
        spans.setdefault(part["domain"], []).append((part["from"], part["to"]))
    return [
        _read_domain(folder / name, name, places[name], parts, facts["target"], facts["inputs"])
        for name, parts in spans.items()
    ]


def _write_domain(folder: Path, domain: Domain, target: str) -> None:
    _write_static(folder / "static_fine.nc", domain.fine, domain.static)
    _write_static(folder / "static_coarse.nc", domain.coarse, domain.coarse_static)
    for year in np.unique(domain.days.year):
        part = domain.at(domain.days.year == year)
        with cf.dataset(folder / f"coarse_{year:04d}.nc", domain.coarse, part.days) as file:
            for name, field in part.inputs.items():
                cf.put(file, name, field)
        if part.target is not None:
            with cf.dataset(folder / f"fine_{year:04d}.nc", domain.fine, part.days) as file:
                cf.put(file, target, part.target)


def _write_static(path: Path, grid: Grid, fields: Mapping[str, Fields]) -> None:
    with cf.dataset(path, grid, None) as file:
        for name, field in fields.items():
            cf.put(file, name, field)


def _read_domain(
    folder: Path, name: str, place: str, spans: list[tuple[str, str]], target: str, inputs: list[str]
) -> Domain:
    fine, static = _read_static(folder / "static_fine.nc")
    coarse, coarse_static = _read_static(folder / "static_coarse.nc")
    days, fields, truths = [], [], []
    for path in sorted(folder.glob("coarse_*.nc")):
        year = path.stem.removeprefix("coarse_")
        if not any(first[:4] <= year <= last[:4] for first, last in spans):
            continue
        of_year, values = _read_fields(path, inputs)
        chosen = np.logical_or.reduce([of_year.between(*span) for span in spans])
        days.append(of_year.at(chosen))
        fields.append({key: value[chosen] for key, value in values.items()})
        truth = folder / f"fine_{year}.nc"
        if truth.exists():
            truths.append(_read_fields(truth, [target])[1][target][chosen])
    if not days:
        raise ConvoyError(f"{folder}: no days in {spans}; make the grids again")
    return Domain(
        name, place, coarse, fine,
        Days(days[0].calendar, np.concatenate([part.ordinal for part in days])),
        {key: np.concatenate([part[key] for part in fields]) for key in inputs},
        np.concatenate(truths) if truths else None,
        static, coarse_static,
    )  # fmt: skip


def _read_static(path: Path) -> tuple[Grid, dict[str, Fields]]:
    with cf.opened(path) as file:
        return _grid(file), {name: cf.values(file[name]) for name in _data_variables(file)}


def _read_fields(path: Path, names: Iterable[str]) -> tuple[Days, dict[str, Fields]]:
    with cf.opened(path) as file:
        ordinal = np.floor(file["time"][:]).astype(np.int64)
        return Days(file["time"].calendar, ordinal), {name: cf.values(file[name]) for name in names}


def _grid(file: netCDF4.Dataset) -> Grid:
    return Grid(*(Axis(file[name][:], file[f"{name}_bnds"][:]) for name in ("lat", "lon")))


def _data_variables(file: netCDF4.Dataset) -> Iterator[str]:
    return (name for name, variable in file.variables.items() if variable.dimensions[-2:] == ("lat", "lon"))
