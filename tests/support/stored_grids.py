"""A small sound folder of grids: 4 x 4 coarse cells of a degree, 16 x 16 fine ones, noise that lasts days."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import netCDF4
import numpy as np

from convoy.climate.data.domains import Axis, Days, Domain, Grid
from convoy.climate.data.headers import read_headers
from convoy.climate.data.io import write
from convoy.climate.gate.judgement import GateParams, judge
from convoy.core.files import MANIFEST, write_json, write_manifest
from convoy.quality.verdict import Verdict

COARSE, FINE = 4, 16
FACTS = {
    "source": "made by hand, factor 4",
    "target": "tasmax",
    "inputs": ["tasmax", "psl", "huss"],
    "factor": 4,
    "noise_floor": None,
    "splits": {
        "train": [{"domain": "home", "from": "2001-01-01", "to": "2001-12-31"}],
        "validation": [{"domain": "home", "from": "2002-01-01", "to": "2002-12-31"}],
        "test": [{"domain": "home", "from": "2003-01-01", "to": "2003-12-31"}],
        "unseen_terrain": [{"domain": "far", "from": "2001-01-01", "to": "2001-12-31"}],
        "warmer_2k": [{"domain": "warmer", "from": "2003-01-01", "to": "2003-12-31"}],
    },
}


def domains(calendar: str = "noleap") -> dict[str, Domain]:
    """Three years at home, one elsewhere, and one at home in a warmer world."""
    return {
        "home": domain("home", "home", Days.years(2001, 3, calendar), seed=1),
        "far": domain("far", "far", Days.years(2001, 1, calendar), seed=2),
        "warmer": domain("warmer", "home", Days.years(2003, 1, calendar), seed=1, warming=2.0),
    }


def domain(name: str, place: str, days: Days, seed: int, warming: float = 0.0) -> Domain:
    coarse, fine = (
        Grid(Axis.regular(40.0, 4 / cells, cells), Axis.regular(2.0, 4 / cells, cells))
        for cells in (COARSE, FINE)
    )
    elevation = np.abs(np.random.default_rng([9, seed]).normal(0, 800, (FINE, FINE))).astype(np.float32)
    rng = np.random.default_rng(seed)
    season = -10 * np.cos(days.season).astype(np.float32)[:, None, None]
    weather = lasting(rng, len(days), COARSE).repeat(4, axis=1).repeat(4, axis=2)
    target = 288 + warming + season + 4 * weather + lasting(rng, len(days), FINE) - 0.0065 * elevation
    target = target.astype(np.float32)
    inputs = {
        "tasmax": block_means(target, fine),
        "psl": (101_300 + 800 * lasting(rng, len(days), COARSE)).astype(np.float32),
        "huss": (0.008 * np.exp(0.3 * lasting(rng, len(days), COARSE))).astype(np.float32),
    }
    surface = {"elevation": block_means(elevation[None], fine)[0]}
    return Domain(name, place, coarse, fine, days, inputs, target, {"elevation": elevation}, surface)


def lasting(rng: np.random.Generator, days: int, cells: int) -> np.ndarray:
    """Noise of variance 1 that remembers 0.8 of itself from day to day, (T, cells, cells)."""
    noise = rng.normal(size=(days, cells, cells)).astype(np.float32)
    for day in range(1, days):
        noise[day] = 0.8 * noise[day - 1] + 0.6 * noise[day]
    return noise


def block_means(field: np.ndarray, fine: Grid) -> np.ndarray:
    """Means over 4 x 4 cells, each weighted by the sine of its latitudes, (T, 4, 4)."""
    weights = fine.areas / fine.areas.sum()
    blocks = (field * weights).reshape(-1, COARSE, 4, COARSE, 4).sum(axis=(2, 4), dtype=np.float64)
    return (blocks / weights.reshape(COARSE, 4, COARSE, 4).sum(axis=(1, 3))).astype(np.float32)


def write_folder(folder: Path, changes: dict | None = None, facts: dict | None = None, **others) -> Path:
    """The sound domains with `changes`: name -> a function from domain to domain, or None to leave it out."""
    made = domains(**others)
    for name, change in (changes or {}).items():
        made[name] = change(made[name])
    write(folder, made.values(), {**FACTS, **(facts or {})})
    return folder


def edited(sound: Path, folder: Path, edits: dict) -> Path:
    """A copy of a folder in which files were edited, and a manifest that knows of it."""
    shutil.copytree(sound, folder)
    for name, edit in edits.items():
        with netCDF4.Dataset(str(folder / name), "a") as file:
            file.set_auto_mask(False)
            edit(file)
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    return folder


def changed(**fields):
    """A change of a domain's fields, each a function of the domain."""
    return lambda made: dataclasses.replace(made, **{name: make(made) for name, make in fields.items()})


def spans(**parts):
    """train=("home", "2001", "2002") -> whole years, as the facts say it."""
    return {
        split: [{"domain": d, "from": f"{first}-01-01", "to": f"{last}-12-31"} for d, first, last in of_split]
        for split, of_split in parts.items()
    }


def verdict_of(folder: Path, **params) -> Verdict:
    """What the gate says of a folder."""
    return judge(*read_headers(folder), GateParams.model_validate(params))[0]


def found(verdict: Verdict) -> dict[str, list[str]]:
    """Names of failures, each with the places that its examples name."""
    return {
        f.name: sorted({re.sub(r" \d{4}-\d\d'$", "'", e.place) for e in f.examples}) for f in verdict.failures
    }


def with_facts(sound, folder, **facts):
    """A copy of a folder that says other things of itself."""
    edited(sound, folder, {})
    known = json.loads((folder / "grids.json").read_text())
    (folder / MANIFEST).unlink()
    write_json(folder / "grids.json", {**known, **facts})
    write_manifest(folder)
    return folder


def numbers(variable, change, at=...):
    """An edit of a file: the values of a variable, changed."""

    def edit(file):
        values = file[variable][:]
        values[at] = change(values[at])
        file[variable][:] = values

    return edit
