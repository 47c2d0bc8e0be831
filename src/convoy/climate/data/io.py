"""A folder of grids: coarse inputs, fine truth and static fields of one or more domains, as CF NetCDF-4.

One convention for every source: (time, lat, lon), latitude ascending, longitude in -180..180, SI units,
float32, missing cells NaN. Per domain: `static_fine.nc`, `static_coarse.nc`, and per year `fine_YYYY.nc` and
`coarse_YYYY.nc`, beside `grids.json` with the splits and the facts, and the manifest.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from convoy.climate.data import cf
from convoy.climate.data.domains import Axis, Days, Domain, Fields, Grid
from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_manifest, read_json, write_json, write_manifest

FACTS = "grids.json"


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
