"""Sound folders of grids pass the gate; broken ones are told by name, and stop the stage in one line."""

import dataclasses
import json
import re
import runpy
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import yaml

from convoy.climate.data.domains import Axis, Days, Domain, Grid
from convoy.climate.data.headers import read_headers
from convoy.climate.data.io import write
from convoy.climate.gate.judgement import GateParams, judge
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, write_manifest
from tests.conftest import ROOT
from tests.support import stored_grids as stored
from tests.support.stored_grids import found, numbers, spans, verdict_of, with_facts


def test_a_sound_folder_passes(sound):
    verdict, page = judge(*read_headers(sound), GateParams())
    assert (verdict.failures, verdict.warnings) == ((), ())
    assert verdict.summary() == "gate passed: 59 expectations on 1825 days of the grids"
    metrics = verdict.metrics()
    assert metrics["splits"] == dict.fromkeys(stored.FACTS["splits"], 365)
    assert metrics["domains"]["far"] == {
        "place": "far", "days": 365, "first": "2001-01-01", "last": "2001-12-31",
        "correlation": 1.0, "coarse_mean_rmse": 0.0,
    }  # fmt: skip
    assert page == judge(*read_headers(sound), GateParams())[1]
    assert "59 expectations\non 1,825 days;" in page

    # The page says between which numbers a variable lies.
    targets = [made.target for made in stored.domains().values()]
    assert f"{min(target.min() for target in targets):.5g} to " in page
    assert f" to {max(target.max() for target in targets):.5g}" in page
    assert not re.search(r"https?:|/tmp|[0-9a-f]{8}-[0-9a-f]{4}", page)


def winters(made):
    return made.at(np.isin(made.days.month, [12, 1, 2]))


def imperfect(made):
    """A coarse model with a bias and a weather of nearly the truth's own."""
    noise = np.random.default_rng(5).normal(0, 1, made.inputs["tasmax"].shape)
    tasmax = (made.inputs["tasmax"] + 1.5 + noise).astype(np.float32)
    sea = np.where(np.arange(16) < 3, np.nan, 0).astype(np.float32)
    inputs = {**made.inputs, "tasmax": tasmax}
    return dataclasses.replace(made, inputs=inputs, target=made.target + sea)


def test_winters_of_360_days_a_sea_and_imperfect_inputs_pass(tmp_path):
    changes = dict.fromkeys(("home", "far", "warmer"), lambda made: imperfect(winters(made)))
    parts = spans(
        train=[("home", 2001, 2001)], validation=[("home", 2002, 2002)], test=[("warmer", 2003, 2003)]
    )
    facts = {"source": "synthetic, 3 years, imperfect inputs, seed 0", "splits": parts}
    verdict = verdict_of(stored.write_folder(tmp_path / "grids", changes, facts, calendar="360_day"))
    assert (verdict.failures, verdict.warnings) == ((), ())
    measured = verdict.metrics()["domains"]["home"]
    assert (measured["days"], measured["last"]) == (270, "2003-12-30")
    # sqrt(1.5**2 + 1) K, and r = 4 / sqrt(4**2 + 1) were a month's days without end and their means exact
    assert measured["coarse_mean_rmse"] == pytest.approx(1.8, abs=0.05)
    assert measured["correlation"] == pytest.approx(0.96, abs=0.02)


@pytest.mark.parametrize("model", ["CanESM2", "HadGEM2-CC"])
def test_real_grids_pass(real_data, tmp_path, model):
    """Maximum and minimum of a year on 36 x 36 cells of 10 km, coarse made by block means."""
    fields = {}
    for name in ("tasmax", "tasmin"):
        (path,) = (real_data / "grids").glob(f"{name}_day_{model}_*.nc")
        with netCDF4.Dataset(str(path)) as file:
            order = [file[name].dimensions.index(dim) for dim in ("time", "lat", "lon")]
            field = np.ma.filled(file[name][:].astype(np.float32), np.nan).transpose(order)
            lat, lon = (np.asarray(file[dim][:], np.float64) for dim in ("lat", "lon"))
            calendar, first = file["time"].calendar, 2095
        fields[name] = field[:, np.argsort(lat)]
    fine, coarse = (
        Grid(*(Axis.regular(axis.min() - step / 2, step * n, len(axis) // n) for axis, step in
               ((lat, np.ptp(lat) / 35), (lon, np.ptp(lon) / 35))))
        for n in (1, 4)
    )  # fmt: skip
    means = {name: np.nanmean(f.reshape(-1, 9, 4, 9, 4), axis=(2, 4)) for name, f in fields.items()}
    surface = np.zeros((36, 36), np.float32)
    domain = Domain(
        "quebec", "quebec", coarse, fine, Days.years(first, 1, calendar), means, fields["tasmax"],
        {"elevation": surface}, {"elevation": surface[::4, ::4]},
    )  # fmt: skip
    parts = {
        name: [{"domain": "quebec", "from": f"2095-{a}-01", "to": f"2095-{b}-30"}]
        for name, a, b in (("train", "01", "06"), ("validation", "07", "09"), ("test", "10", "12"))
    }
    write(
        tmp_path / "grids", [domain],
        {"source": "f.nc, factor 4", "target": "tasmax", "inputs": ["tasmax", "tasmin"], "splits": parts,
         "factor": 4, "noise_floor": None, "split_by": "ranges"},
    )  # fmt: skip
    verdict = verdict_of(tmp_path / "grids")
    assert (verdict.failures, verdict.warnings) == ((), ())
    assert verdict.metrics()["domains"]["quebec"]["coarse_mean_rmse"] < 0.01


def test_a_changed_byte_and_a_truncated_file(sound, tmp_path):
    folder = stored.edited(sound, tmp_path / "grids", {})
    path = folder / "far" / "fine_2001.nc"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(ConvoyError, match=r"far/fine_2001.nc: sha256 differs from the manifest"):
        read_headers(folder)
    path.write_bytes(whole[:-100])
    with pytest.raises(ConvoyError, match=r"far/fine_2001.nc: \d+ bytes, expected \d+"):
        read_headers(folder)
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    with pytest.raises(ConvoyError, match=r"far/fine_2001.nc: cannot be read .* make the grids again"):
        read_headers(folder)


def test_no_domain_and_no_files(sound, tmp_path):
    assert found(verdict_of(with_facts(sound, tmp_path / "none", domains=[]))) == {
        "domains": ["folder 'grids'"]
    }
    folder = stored.edited(sound, tmp_path / "grids", {})
    for name in ("static_coarse.nc", "coarse_2001.nc"):
        (folder / "far" / name).unlink()
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    (finding,) = verdict_of(folder).failures
    assert (finding.name, str(finding.examples[0])) == (
        "files", "domain 'far': no static_coarse.nc, coarse_YYYY.nc",
    )  # fmt: skip


STAGE = ROOT / "pipelines" / "climate" / "gate.py"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder to run the stage in, and in it where its data lie."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump({"climate": {"gate": {}}}))
    return Path("data/climate")


def test_the_stage(sound, workspace, capsys):
    stored.edited(sound, workspace / "grids", {})
    runpy.run_path(str(STAGE))["main"]()
    assert "gate passed" in capsys.readouterr().out
    assert json.loads((workspace / "gate.json").read_text())["days"] == 1825
    assert {path.name for path in (workspace / "gate").iterdir()} == {"index.html", "manifest.json"}


def test_a_failing_stage_says_where_in_one_line_and_leaves_nothing(sound, workspace, capsys):
    edits = {"far/coarse_2001.nc": numbers("psl", lambda pascal: pascal / 100)}
    stored.edited(sound, workspace / "grids", edits)
    with pytest.raises(ConvoyError) as error:
        runpy.run_path(str(STAGE))["main"]()
    assert error.value.exit_code == 2
    assert re.fullmatch(
        r"data/climate/grids: 'psl \(coarse\)': expectation 'psl_coarse_mean' failed: Each month's mean of "
        r"psl \(coarse\) lies in 90000 to 108000 Pa; found 12 of 60 violate it \(20\.00%\), first "
        r"month 'far 2001-01': 101\d\.\d+; also psl_coarse_low \(psl \(coarse\)\); correct the source files, "
        r"or their description in climate\.grids",
        str(error.value),
    )
    assert "month 'far 2001-02': 101" in capsys.readouterr().out
    assert {path.name for path in workspace.iterdir()} == {"grids"}
