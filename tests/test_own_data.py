"""A person's own data by the params that the README shows, on real files and with the default training."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from convoy.cli.embed import EXAMPLE
from convoy.climate.series.data import io
from convoy.climate.series.gate import GateParams, judge
from tests.conftest import ROOT
from tests.pipelines import workspace
from tests.support import sites

STREAMREC = Path("data/streamrec")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def yaml_of_the_readme() -> list[str]:
    """The params that the README shows: those of a catalogue, of grids, of stations."""
    blocks = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 3
    return blocks


def embed_examples() -> list[str]:
    """The commands that README and `convoy embed --help` show."""
    text = f"{README}\n{EXAMPLE}".replace("\\\n", " ")
    found = re.findall(r"^ +(convoy embed .*--model data/.*)$", text, flags=re.MULTILINE)
    assert len(found) == 2
    return found


def check_embed_examples(model: Path, catalogue: Path, folder: Path) -> None:
    """Run the examples with a model: every item has a row, and zeros exactly where its status is not ok.

    The README's catalogue is each word of the model's vocabulary by itself: of a sound model some leave every
    filter at or below zero.
    """
    words = sorted(json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    (folder / STREAMREC / "models").mkdir(parents=True)
    (folder / STREAMREC / "models/textcnn").symlink_to(model)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / catalogue.name).symlink_to(catalogue)
    with open(folder / "titles.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("item_id", "title", "synopsis"), *((word, word, "") for word in words)])
    items = [len(words), len(pd.read_csv(catalogue))]
    for example, expected in zip(embed_examples(), items, strict=True):
        done = workspace.shell(example, folder)
        assert done.returncode == 0, f"{example}\n{done.stdout}"
        found = pd.read_parquet(folder / "vectors")
        vectors = np.stack(found["embedding"])
        assert len(found) == expected
        assert np.isfinite(vectors).all()
        assert vectors.any(1).tolist() == (found["status"] == "ok").tolist()
        shutil.rmtree(folder / "vectors")


def test_the_embed_examples_run_with_the_default_pipelines_model(real_data: Path, tmp_path: Path) -> None:
    model = ROOT / STREAMREC / "models/textcnn"
    if not (model / "manifest.json").is_file():
        pytest.skip("no model of the default pipeline in this checkout: dvc repro")
    check_embed_examples(model, real_data / "catalogue/netflix_titles.csv", tmp_path)


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
    # Without an orography the baselines by height are copies: DVC has their outputs, with a note alone.
    note = json.loads((folder / "data/climate/metrics/downscaling/lapse_daily.json").read_text())
    assert note["same_as"] == "bicubic"
    comparison = json.loads((folder / "data/climate/metrics/comparison.json").read_text())
    assert list(comparison["copies"]) == ["lapse_daily"], "the only one of them that was chosen"
    assert not set(comparison["copies"]) & set(comparison["splits"]["test"]["models"])
    assert workspace.shell("dvc status climate-compare climate-baselines", folder).stdout.endswith(
        "Data and pipelines are up to date.\n"
    )


def test_the_params_of_the_readme_run_on_the_real_catalogue(real_data: Path, tmp_path: Path) -> None:
    shown = yaml.safe_load(yaml_of_the_readme()[0])["streamrec"]["catalogue"]
    shown["source"] = str(real_data / "catalogue" / Path(shown["source"]).name)
    changes = {f"streamrec.catalogue.{key}": value for key, value in shown.items()}
    changes["streamrec.models.linear_pairs"] = {"C": [10.0]}  # the others take half a minute
    folder = workspace.make(tmp_path / "real", changes)
    done = workspace.shell("dvc repro streamrec-compare streamrec-embed@textcnn", folder)
    assert done.returncode == 0, done.stdout
    metrics = json.loads((folder / STREAMREC / "metrics" / "linear.json").read_text())
    assert metrics["bayes"] is None
    assert metrics["test"]["accuracy"] > 0.44
    report = json.loads((folder / STREAMREC / "catalogue_report.json").read_text())
    assert len(report["categories"]) == 20
    (tmp_path / "embed").mkdir()
    check_embed_examples(folder / STREAMREC / "models/textcnn", Path(shown["source"]), tmp_path / "embed")


def test_real_stations_by_the_readmes_params(real_data, tmp_path):
    """As a table in degrees Fahrenheit, with a label file."""
    shown = yaml.safe_load(yaml_of_the_readme()[2])["climate"]["series"]["data"]
    folder = tmp_path / "path/to/stations"
    folder.mkdir(parents=True)
    with xr.open_dataset(real_data / "stations/daily_surface_cancities_1990-1993.nc") as file:
        table = file[["tas", "tasmax", "psl"]].to_dataframe().reset_index()
    table["TAVG"] = (table["tas"] - 273.15) * 1.8 + 32
    table["site"], table["date"] = table["location"], table["time"].dt.strftime("%Y-%m-%d")
    table[["site", "date", "TAVG", "tasmax", "psl"]].to_csv(folder / "daily.csv", index=False)
    labels = (
        "site,label,split\nHalifax,coast,train\nMontréal,inland,train\nIqaluit,coast,validation\n"
        "Saskatoon,inland,test\nVictoria,coast,test\n"
    )
    (folder / "labels.csv").write_text(labels, encoding="utf-8")
    sites.write_params(tmp_path, {"data": shown})
    sites.run("series", tmp_path)
    held = io.read(tmp_path / sites.DATA / "site_years")
    assert held.variables == ("tas", "tasmax", "psl")
    assert len(held) == 5 * 4
    halifax = table[(table["site"] == "Halifax") & table["date"].str.startswith("1991")]
    np.testing.assert_allclose(held.values[held.item_ids.index("Halifax 1991"), 0], halifax["tas"], rtol=1e-5)
    verdict, _ = judge(held, GateParams())
    assert verdict.success, verdict.summary()
