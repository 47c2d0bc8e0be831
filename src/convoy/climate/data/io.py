"""A folder of grids: coarse inputs, fine truth and static fields of one or more domains, as CF NetCDF-4.

One convention for every source (see convoy.climate.data.datasets). Per domain: `static_fine.nc`,
`static_coarse.nc`, and per year `fine_YYYY.nc` and `coarse_YYYY.nc`. The folder has `grids.json` with the
splits and the facts, and the manifest.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from convoy.climate.data.datasets import dataset, days_of, fields_of, grid_of
from convoy.climate.data.domains import Domain, Fields, Grid
from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_manifest, read_json, write_json, write_manifest
from convoy.core.printable import reason

FACTS = "grids.json"


def write(folder: Path, domains: Iterable[Domain], facts: Mapping[str, Any]) -> None:
    """Write the folder as a whole, its manifest last; the same domains give the same bytes.

    facts: `target` (a variable name), `inputs` (names in the order of the channels), `splits` (split name ->
    list of {"domain", "from", "to"}), and any further facts for readers. `domains` may be a generator: one
    domain is in memory at a time.
    """
    with atomic_directory(folder) as partial:
        names = []
        for domain in domains:
            names.append({"name": domain.name, "place": domain.place})
            (partial / domain.name).mkdir()
            _write_domain(partial / domain.name, domain, str(facts["target"]), facts.get("units", {}))
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
        raise ConvoyError(f"no split '{split}'", path=folder, hint=f"it has {', '.join(facts['splits'])}")
    places = {entry["name"]: entry["place"] for entry in facts["domains"]}
    spans: dict[str, list[tuple[str, str]]] = {}
    for part in facts["splits"][split]:
        spans.setdefault(part["domain"], []).append((part["from"], part["to"]))
    return [
        _read_domain(folder / name, name, places[name], parts, facts["target"], facts["inputs"])
        for name, parts in spans.items()
    ]


def write_dataset(path: Path, made: xr.Dataset) -> None:
    """Write a dataset under the convention as one NetCDF-4 file."""
    made.to_netcdf(path, engine="netcdf4", unlimited_dims=["time"] if "time" in made.dims else [])


@contextmanager
def opened(path: Path, decode: bool = True) -> Iterator[xr.Dataset]:
    """Open a file of the folder, missing values NaN; ConvoyError where it, or data read from it, is broken.

    decode: False for a file as it is stored.
    """
    try:
        with xr.open_dataset(
            path,
            engine="netcdf4",
            cache=False,
            decode_times=False,
            mask_and_scale=decode,
            decode_coords=decode,
        ) as held:
            yield held
    except (OSError, RuntimeError) as error:
        raise ConvoyError(
            f"cannot be read ({reason(error)})", path=path, hint="make the grids again"
        ) from None


def _write_domain(folder: Path, domain: Domain, target: str, units: Mapping[str, str]) -> None:
    write_dataset(folder / "static_fine.nc", dataset(domain.fine, None, domain.static))
    write_dataset(folder / "static_coarse.nc", dataset(domain.coarse, None, domain.coarse_static))
    for year in np.unique(domain.days.year):
        part = domain.at(domain.days.year == year)
        made = dataset(domain.coarse, part.days, part.inputs, units=units)
        write_dataset(folder / f"coarse_{year:04d}.nc", made)
        if part.target is not None:
            made = dataset(domain.fine, part.days, {target: part.target})
            write_dataset(folder / f"fine_{year:04d}.nc", made)


def _read_domain(
    folder: Path, name: str, place: str, spans: list[tuple[str, str]], target: str, inputs: list[str]
) -> Domain:
    fine, static = _read_static(folder / "static_fine.nc")
    coarse, coarse_static = _read_static(folder / "static_coarse.nc")
    seen = _read_days(folder, "coarse", spans, inputs)
    truth = _read_days(folder, "fine", spans, [target])
    if seen is None:
        raise ConvoyError(f"no days in {spans}", path=folder, hint="make the grids again")
    return Domain(
        name, place, coarse, fine, days_of(seen), {key: fields_of(seen, key) for key in inputs},
        None if truth is None else fields_of(truth, target), static, coarse_static,
    )  # fmt: skip


def _read_static(path: Path) -> tuple[Grid, dict[str, Fields]]:
    with opened(path) as held:
        on_grid = [str(name) for name, field in held.data_vars.items() if field.dims[-2:] == ("lat", "lon")]
        return grid_of(held), {name: fields_of(held, name) for name in on_grid}


def _read_days(folder: Path, side: str, spans: list[tuple[str, str]], names: list[str]) -> xr.Dataset | None:
    """The variables of one side on these days, from files of a year; None where there are none."""
    found = []
    for path in sorted(folder.glob(f"{side}_*.nc")):
        year = path.stem.removeprefix(f"{side}_")
        if any(first[:4] <= year <= last[:4] for first, last in spans):
            with opened(path) as held:
                chosen = np.logical_or.reduce([days_of(held).between(*span) for span in spans])
                found.append(held[names].isel(time=np.flatnonzero(chosen)).load())
    if not found:
        return None
    return xr.concat(found, "time", data_vars="minimal", coords="minimal", compat="override", join="override")
