"""A small climate as the stages leave it behind: grids, models, metrics, daily errors, maps, a dvc.lock."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from convoy.climate.data import io as grids
from convoy.climate.data.domains import Axis, Domain, Grid
from convoy.climate.downscaling.comparison import compare as comparison
from convoy.climate.downscaling.evaluation import daily_io as daily
from convoy.climate.downscaling.evaluation import evaluate as evaluation
from convoy.climate.downscaling.evaluation import maps_io as maps
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.models.params import BaselineParams, DownscalingTraining, NetworkParams
from convoy.climate.synthetic.scenarios import FACTOR, SyntheticParams, domains
from convoy.core import artifact as folders
from convoy.core.files import write_json, write_text
from convoy.tracking import dvclock
from tests.support import baselines
from tests.support.rooted import rooted

DATA = Path("data/climate")
BASELINES, NETWORKS = ("bicubic", "ridge"), ("residual", "srcnn")
KINDS = BASELINES + NETWORKS
SPLITS = {
    "train": [{"domain": "home", "from": "2001-01-01", "to": "2001-02-09"}],
    "validation": [{"domain": "home", "from": "2003-01-01", "to": "2003-01-10"}],
    "test": [{"domain": "home", "from": "2004-01-01", "to": "2004-03-01"}],
    "unseen_terrain": [{"domain": "unseen", "from": "2004-01-01", "to": "2004-01-31"}],
    "warmer_2k": [{"domain": "warmer_2k", "from": "2004-01-01", "to": "2004-03-01"}],
}
QUICK = NetworkParams(
    width=4, depth=1, hidden=4, layers=1,
    per_pixel="none",
    training=DownscalingTraining(epochs=2, patience=2, batch_size=8, threads=1, device="cpu"),
)  # fmt: skip
EVALUATE = evaluation.EvaluateParams(resamples=100)


def make(root: Path) -> None:
    """Fill `root` with the outputs of all climate stages and their dvc.lock."""
    data = root / DATA
    grids.write(data / "grids", _domains(), _facts())
    facts = grids.read_facts(data / "grids")
    splits = {split: grids.read(data / "grids", split) for split in facts["splits"]}
    fitted = {split: days for split, days in splits.items() if split != "validation"}
    table = {baseline: baselines.daily(baseline, fitted, facts["target"]) for baseline in BASELINES}
    daily.write(data / "baselines.parquet", table)
    found = {}
    for kind in KINDS:
        params = QUICK if kind in NETWORKS else BaselineParams()
        trained = models.train(kind, params, splits["train"], splits["validation"], facts, (0,))
        folders.write(data / "models" / kind, trained[0], trained[1], None, trained[2])
        found[kind] = _evaluated(data, kind, splits, facts, table)
    write_json(data / "gate.json", {"success": True})
    write_json(
        data / "metrics" / "comparison.json",
        comparison.compare(found, table | {kind: _daily(data, kind) for kind in KINDS}, facts, EVALUATE),
    )
    write_text(data / "report.html", "<!doctype html><title>A report</title>\n")
    for name in ("errors", "spectra"):
        path = data / "plots" / "comparison" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "#1f6fb5").save(path)
    lock(root, KINDS)


def lock(
    root: Path, kinds: tuple[str, ...], more: Mapping[str, Any] | None = None, left: tuple[str, ...] = ()
) -> None:
    """Write the dvc.lock that DVC would leave after these models and a comparison of all but those `left`."""
    grids_of = [DATA / "grids"]
    settings = {"source": "synthetic", "synthetic": {"years": 4, "inputs": "perfect", "seed": 0}}
    stages = {"climate-grids": _stage(root, [], grids_of, {"climate.grids": settings})}
    of_baselines: list[Path] = []
    for kind in kinds:
        model = DATA / "models" / kind
        made = [FILES.folder_of(kind), FILES.metrics_of(kind)]
        if kind in BASELINES:
            of_baselines = list(dict.fromkeys([*of_baselines, model, made[0].parent, made[1]]))
            stages["climate-baselines"] = _stage(root, grids_of, of_baselines, {"climate.evaluate": {}})
            continue
        stages[f"climate-train@{kind}"] = _stage(root, grids_of, [model], {f"climate.models.{kind}": {}})
        stages[f"climate-evaluate@{kind}"] = _stage(root, [*grids_of, model], made, {})
    compared = [DATA / "report.html", DATA / "plots" / "comparison", DATA / "metrics" / "comparison.json"]
    chosen = [kind for kind in kinds if kind not in left]
    if all((root / path).exists() for path in compared):
        stages["climate-compare"] = _stage(
            root,
            grids_of,
            compared,
            {
                "climate.networks": [kind for kind in chosen if kind in NETWORKS],
                "climate.baselines": [kind for kind in chosen if kind in BASELINES],
            },
        )
    text = yaml.safe_dump({"schema": "2.0", "stages": {**(more or {}), **stages}}, sort_keys=False)
    (root / "dvc.lock").write_text(text)


def _stage(root: Path, deps: list[Path], outs: list[Path], params: dict[str, Any]) -> dict[str, Any]:
    listed = {
        side: [{"path": path.as_posix(), "hash": "md5", "md5": dvclock.md5(root / path)} for path in paths]
        for side, paths in (("deps", deps), ("outs", outs))
    }
    return {"cmd": "x", **listed, "params": {"params.yaml": params}}


def _domains() -> list[Domain]:
    """A corner of home, the same under another name, and home 2 K warmer, on the days of the splits alone."""
    home = _corner(next(domains(SyntheticParams(years=4))))
    used = np.zeros(len(home.days), bool)
    for parts in SPLITS.values():
        for part in parts:
            used |= home.days.between(part["from"], part["to"])
    home = home.at(used)
    assert home.target is not None
    inputs = {**home.inputs, "tasmax": home.inputs["tasmax"] + np.float32(2)}
    warmer = replace(home, name="warmer_2k", inputs=inputs, target=home.target + np.float32(2))
    return [home, replace(home, name="unseen", place="unseen"), warmer]


def _corner(domain: Domain, cells: int = 8) -> Domain:
    """So many coarse cells from the south and the west, and the fine ones in them."""

    def cut(grid: Grid, count: int) -> Grid:
        return Grid(*(Axis(axis.centres[:count], axis.bounds[:count]) for axis in (grid.lat, grid.lon)))

    def fields(found: Mapping[str, Any], count: int) -> dict[str, Any]:
        return {name: field[..., :count, :count] for name, field in found.items()}

    assert domain.target is not None
    fine = cells * FACTOR
    return replace(
        domain, coarse=cut(domain.coarse, cells), fine=cut(domain.fine, fine),
        inputs=fields(domain.inputs, cells), target=domain.target[:, :fine, :fine],
        static=fields(domain.static, fine), coarse_static=fields(domain.coarse_static, cells),
    )  # fmt: skip


def _facts() -> dict[str, Any]:
    return {
        "source": "synthetic", "target": "tasmax", "inputs": ["tasmax", "psl", "huss"], "splits": SPLITS,
        "factor": FACTOR, "noise_floor": 0.2,
    }  # fmt: skip


def _evaluated(
    data: Path, kind: str, splits: dict[str, list[Domain]], facts: dict[str, Any], table: daily.Table
) -> dict[str, Any]:
    stored = folders.read(data / "models" / kind)
    tested = {split: days for split, days in splits.items() if split not in ("train", "validation")}
    found = evaluation.evaluate(
        kind, [models.Downscaling(stored)], tested, facts["target"], facts["noise_floor"], table, EVALUATE
    )
    files = rooted(FILES, data.parents[1])
    maps.write(files.folder_of(kind) / "maps.safetensors", found.maps)
    daily.write(files.folder_of(kind) / "daily.parquet", {kind: found.daily})
    files.write(kind, found.metrics)
    return found.metrics


def _daily(data: Path, kind: str) -> Mapping[str, daily.Daily]:
    return daily.read(rooted(FILES, data.parents[1]).folder_of(kind) / "daily.parquet")[kind]
