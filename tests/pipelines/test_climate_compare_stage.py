"""The climate-compare stage in a folder of its own, behind tiny worlds and models with known errors."""

import runpy

import numpy as np
import pytest

from convoy.climate.data import io as grids
from convoy.climate.downscaling.evaluation import daily_io as daily
from convoy.climate.downscaling.evaluation import maps_io as maps
from convoy.climate.downscaling.evaluation.files import FILES
from convoy.core import artifact as folders
from convoy.core import plots_io as plots
from convoy.core.errors import ConvoyError
from convoy.core.files import read_json, sha256
from tests.conftest import ROOT
from tests.support import rated
from tests.support.rated import Rated, always, at_home
from tests.support.rooted import rooted

STAGE = ROOT / "pipelines/climate/compare.py"
CURVE = "epoch,train_loss,validation_loss,validation_rmse,learning_rate\n1,2,2.1,1.4,0.1\n2,1,1.5,1.2,0\n"
ERRORS = {"ridge": at_home(0.3), "bicubic": always(0.9), "residual": always(0.4)}
OUTPUTS = (
    "report.html",
    "metrics/comparison.json",
    "plots/comparison/table.csv",
    "plots/comparison/days.png",
)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A workspace as the evaluate stages leave it: ridge was not chosen."""
    folder = tmp_path_factory.mktemp("measured")
    data = folder / "data/climate"
    parts = rated.splits(60)
    spans = {
        split: [{"domain": found[0].name, "from": "2004-01-01", "to": "2004-12-31"}]
        for split, found in parts.items()
    }
    facts = {**rated.FACTS, "inputs": ["tasmax"], "splits": spans, "noise_floor": 0.2}
    grids.write(data / "grids", (domains[0] for domains in parts.values()), facts)
    found = Rated(ERRORS, parts)
    daily.write(data / "baselines.parquet", {model: found.daily[model] for model in ("ridge", "bicubic")})
    for model in ("bicubic", "residual"):
        files = rooted(FILES, folder)
        files.write(model, found.metrics[model])
        maps.write(files.folder_of(model) / "maps.safetensors", found.maps[model])
        daily.write(files.folder_of(model) / "daily.parquet", {model: found.daily[model]})
        curve = CURVE if model == "residual" else None
        folders.write(data / "models" / model, {"kind": model}, {0: {"a": np.zeros(1)}}, None, curve)
    (folder / "params.yaml").write_text(
        "climate: {evaluate: {resamples: 200}, baselines: [bicubic], networks: [residual]}"
    )
    return folder


def test_a_baseline_that_was_not_chosen_wins_first(measured, monkeypatch, capsys):
    monkeypatch.chdir(measured)
    main = runpy.run_path(str(STAGE))["main"]
    main()
    data = measured / "data/climate"
    comparison = read_json(data / "metrics/comparison.json")
    assert comparison["words"][0] == (
        "A baseline beats every network on the test days and in the climates 2 K and 4 K warmer; the "
        "residual network beats every baseline on unseen terrain"
    )
    assert comparison["words"][1].startswith(
        "On the test days a baseline wins: ridge regression by pixel has"
    )
    assert capsys.readouterr().out.splitlines() == comparison["words"]
    html = (data / "report.html").read_text()
    assert html.index("a baseline wins") < html.index("the residual network wins") < html.index("<table>")
    # Splits, days, per-pixel effects, parts, spectra, and the network's learning curve.
    assert html.count("<img") == 6
    table = plots.read_plots(data / "plots/comparison")["table.csv"]
    assert table["model"][:3] == ["ridge", "residual", "bicubic"]
    assert [float(value) for value in table["rmse"][:3]] == pytest.approx([0.3, 0.4, 0.9], rel=1e-3)
    names = {path.name for path in (data / "plots/comparison").iterdir()} - {"manifest.json", "table.csv"}
    assert names == {f"{name}.png" for name in ("splits", "days", "per_pixel", "parts", "spectra")}
    before = [sha256(data / output) for output in OUTPUTS]
    main()
    assert [sha256(data / output) for output in OUTPUTS] == before


def test_a_model_that_was_not_measured_is_named(measured, monkeypatch):
    monkeypatch.chdir(measured)
    (measured / "params.yaml").write_text("climate: {evaluate: {}, baselines: [bicubic], networks: [unet]}")
    with pytest.raises(ConvoyError, match=r"networks/unet/details\.json: no such file; run `dvc repro`"):
        runpy.run_path(str(STAGE))["main"]()
