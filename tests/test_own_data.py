"""A person's own data by the params that the README shows, on real files and with the default training."""

import json
import re
from pathlib import Path

import yaml

from tests.conftest import ROOT
from tests.pipelines import workspace

STREAMREC = Path("data/streamrec")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def yaml_of_the_readme() -> list[str]:
    """The params that the README shows: those of a catalogue, those of grids."""
    blocks = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 2
    return blocks


def test_the_grid_params_of_the_readme_run_on_real_grids(real_data: Path, tmp_path: Path) -> None:
    shown = yaml.safe_load(yaml_of_the_readme()[1])["climate"]["grids"]
    files = sorted((real_data / "grids").glob("*CanESM2*"))
    tasmax, pr = (str(next(file for file in files if file.name.startswith(name))) for name in ("tas", "pr"))
    shown |= {"folder": str(real_data / "grids"), "source": {**shown["source"], "fine": [tasmax, pr]}}
    changes = {f"climate.grids.{key}": value for key, value in shown.items()}
    folder = workspace.make(tmp_path / "real", changes)
    done = workspace.shell("dvc repro climate-compare", folder)
    assert done.returncode == 0, done.stdout
    metrics = json.loads((folder / "data/climate/metrics/downscaling/residual.json").read_text())
    assert metrics["noise_floor"] is None
    assert 0 < metrics["test"]["rmse"] < 3
    assert "unseen_terrain" not in metrics


def test_the_params_of_the_readme_run_on_the_real_catalogue(real_data: Path, tmp_path: Path) -> None:
    shown = yaml.safe_load(yaml_of_the_readme()[0])["streamrec"]["catalogue"]
    shown["source"] = str(real_data / "catalogue" / Path(shown["source"]).name)
    changes = {f"streamrec.catalogue.{key}": value for key, value in shown.items()}
    folder = workspace.make(tmp_path / "real", changes)
    done = workspace.shell("dvc repro streamrec-compare streamrec-embed@textcnn", folder)
    assert done.returncode == 0, done.stdout
    metrics = json.loads((folder / STREAMREC / "metrics" / "linear.json").read_text())
    assert metrics["bayes"] is None
    assert metrics["test"]["accuracy"] > 0.44
    report = json.loads((folder / STREAMREC / "catalogue_report.json").read_text())
    assert len(report["categories"]) == 20
