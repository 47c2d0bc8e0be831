"""The climate-baselines stage on grids without heights, and the comparison of what it leaves."""

import runpy
from dataclasses import replace

import numpy as np
import pytest
import yaml

from convoy.climate.data import io as grids
from convoy.climate.data.domains import Days
from convoy.climate.downscaling.evaluation import daily_io
from convoy.climate.downscaling.models.specs import MODELS
from convoy.core.figures_io import DETAILS
from convoy.core.files import read_json
from convoy.core.models import names_of
from tests.conftest import ROOT
from tests.support.climates import noisy, world

COPIES = ("lapse_fixed", "lapse_monthly", "lapse_daily")
DATA = "data/climate"


def write_params(folder, chosen):
    models = {name: {} for name in names_of(MODELS, "baseline")}
    section = {"evaluate": {"resamples": 100}, "models": models, "baselines": chosen, "networks": []}
    (folder / "params.yaml").write_text(yaml.safe_dump({"climate": section}))


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """A workspace after the stage: a year of a place whose heights nobody gave."""
    folder = tmp_path_factory.mktemp("flat")
    home = world(noisy, Days.years(2001, 1))
    none = np.zeros(home.fine.shape, np.float32)
    home = replace(
        home,
        static={"elevation": none, "latitude": none + 45, "land": none + 1},
        coarse_static={"elevation": np.zeros(home.coarse.shape, np.float32)},
    )
    spans = {"train": ("01-01", "08-31"), "validation": ("09-01", "09-30"), "test": ("10-01", "12-31")}
    splits = {
        name: [{"domain": "home", "from": f"2001-{first}", "to": f"2001-{last}"}]
        for name, (first, last) in spans.items()
    }
    facts = {
        "target": "tasmax", "inputs": list(home.inputs), "source": "x.nc", "factor": 4, "perfect": True,
        "splits": splits, "noise_floor": None,
    }  # fmt: skip
    grids.write(folder / DATA / "grids", [home], facts)
    write_params(folder, ["bicubic"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        runpy.run_path(str(ROOT / "pipelines/climate/baselines.py"))["main"]()
    return folder


def test_every_output_of_the_stage_exists_though_copies_have_a_note_alone(flat):
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["climate-baselines"]
    outs = [*stage["outs"], *(path for metric in stage["metrics"] for path in metric)]
    assert len(outs) == 2 + 2 * len(names_of(MODELS, "baseline"))
    assert [path for path in outs if not (flat / path).exists()] == []
    note = {"same_as": "bicubic", "because": "there are no heights: the source has no orography"}
    for name in COPIES:
        assert read_json(flat / DATA / f"metrics/downscaling/{name}.json") == note
        assert read_json(flat / DATA / f"evaluation/baselines/{name}/{DETAILS}") == note
        assert [path.name for path in (flat / DATA / "evaluation/baselines" / name).iterdir()] == [DETAILS]
    scored = daily_io.read(flat / DATA / "baselines.parquet")
    assert set(scored) == set(names_of(MODELS, "baseline")) - set(COPIES)


@pytest.mark.parametrize("chosen", [["bicubic", *COPIES, "ridge"], ["lapse_daily", "ridge"]])
def test_the_comparison_leaves_copies_out_and_says_so_once(flat, monkeypatch, capsys, chosen):
    monkeypatch.chdir(flat)
    write_params(flat, chosen)
    runpy.run_path(str(ROOT / "pipelines/climate/compare.py"))["main"]()
    comparison = read_json(flat / DATA / "metrics/comparison.json")
    assert comparison["models"] == ["bicubic", "ridge"]
    assert sorted(comparison["splits"]["test"]["models"]) == ["bicubic", "ridge"]
    day = "bicubic with a lapse rate by day"
    several = f"Bicubic with 6.5 K/km of height, bicubic with a lapse rate by month and {day}"
    why = "bicubic interpolation and {} left out: there are no heights: the source has no orography."
    one = f"{day.capitalize()} equals {why.format('is')}"
    sentence = f"{several} equal {why.format('are')}" if len(chosen) > 2 else one
    assert comparison["words"][-1] == sentence
    assert sentence in capsys.readouterr().out
    page = (flat / DATA / "report.html").read_text()
    assert page.count("are left out: there are no heights") + page.count("is left out: there are no") == 1
    assert "Bicubic + " not in page.replace("Bicubic + monthly residual", "")
