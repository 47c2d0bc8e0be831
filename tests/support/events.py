"""The outputs of the events stages, small: run as DVC runs them, with their dvc.lock."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from convoy.cli.params_file import document
from convoy.core.files import write_text
from convoy.tracking import dvclock
from tests.conftest import ROOT

DATA, METRICS = Path("data/climate/events"), Path("data/climate/metrics/events")
BASELINES = ("spectra", "pixels", "majority")
NETWORK = "simple_cnn"
EVENTS: dict[str, Any] = {
    "images": {"synthetic": {"train": 150, "validation": 50, "test": 50, "amplitude": 4.0, "decoys": 0.0}},
    "networks": [NETWORK],
    "models": {
        NETWORK: {
            "training": {
                "epochs": 2, "batch_size": 32, "threads": 1, "device": "cpu", "precision": "float32",
            },
        },
        **{name: {"C": [0.01], "cells": 8} for name in BASELINES if name != "majority"},
    },
    "evaluate": {"resamples": 200, "min_accuracy": 0.0, "examples": 1},
}  # fmt: skip
STAGES = ("images", "gate", "baselines", "train", "evaluate", "compare")


def run(stage: str, folder: Path) -> None:
    """Run a stage's script in `folder`, for the network where it takes a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CONVOY_TRACKING", "off")
        main = runpy.run_path(str(ROOT / "pipelines/climate" / f"events_{stage}.py"))["main"]
        main(NETWORK) if stage in ("train", "evaluate") else main()


def make(folder: Path) -> None:
    """Fill `folder` with the outputs of all events stages and their dvc.lock."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "params.yaml", document({"climate": {"events": EVENTS}}))
    for stage in STAGES:
        run(stage, folder)
    _lock(folder)


def _lock(root: Path) -> None:
    made = [DATA / "images"]

    def outputs(model: str, evaluated: str) -> list[Path]:
        return [DATA / "models" / model, METRICS / f"{model}.json", DATA / "evaluation" / evaluated]

    of_baselines = list(dict.fromkeys(path for name in BASELINES for path in outputs(name, "baselines")))
    model, *evaluated = outputs(NETWORK, f"networks/{NETWORK}")
    compared = [DATA / "report.html", DATA / "plots/comparison", METRICS / "comparison.json"]
    chosen = {"climate.events.networks": [NETWORK], "climate.events.baselines": list(BASELINES)}
    data = {"climate.events.images": {"source": "synthetic", **EVENTS["images"]}}
    stages = {
        "climate-events": _stage(root, [], made, data),
        "climate-events-baselines": _stage(root, made, of_baselines, {}),
        f"climate-events-train@{NETWORK}": _stage(
            root, made, [model], {f"climate.events.models.{NETWORK}": EVENTS["models"][NETWORK]}
        ),
        f"climate-events-evaluate@{NETWORK}": _stage(root, [*made, model], evaluated, {}),
        "climate-events-compare": _stage(root, made, compared, chosen),
    }
    write_text(root / "dvc.lock", yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))


def _stage(root: Path, deps: list[Path], outs: list[Path], params: dict[str, Any]) -> dict[str, Any]:
    listed = {
        side: [{"path": path.as_posix(), "hash": "md5", "md5": dvclock.md5(root / path)} for path in paths]
        for side, paths in (("deps", deps), ("outs", outs))
    }
    return {"cmd": "x", **listed, "params": {"params.yaml": params}}
