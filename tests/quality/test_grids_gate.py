"""Each planted fault of a folder of grids is found by the expectation meant for it, and sound ones pass."""

import dataclasses
import json
import re
import runpy
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import yaml

from convoy.errors import ConvoyError
from convoy.quality.grids import GateParams, judge
from convoy.storage.files import MANIFEST, write_json, write_manifest
from convoy.storage.grid_headers import read_headers
from convoy.storage.grids import Axis, Days, Domain, Grid, write
from tests.conftest import ROOT
from tests.quality import stored_grids as stored
from tests.quality.stored_grids import found, spans, verdict_of


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return stored.write_folder(tmp_path_factory.mktemp("sound") / "grids")


def with_facts(sound, folder, **facts):
    """A copy of a folder that says other things of itself."""
    stored.edited(sound, folder, {})
    known = json.loads((folder / "grids.json").read_text())
    (folder / MANIFEST).unlink()
    write_json(folder / "grids.json", {**known, **facts})
    write_manifest(folder)
    return folder


# -- sound folders


def test_a_sound_folder_passes(sound):
    verdict, page = judge(*read_headers(sound), GateParams())
    assert (verdict.failures, verdict.warnings) == ((), ())
    assert verdict.summary() == "gate passed: 58 expectations on 1825 days of the grids"
    metrics = verdict.metrics()
    assert metrics["splits"] == dict.fromkeys(stored.FACTS["splits"], 365)
    assert metrics["domains"]["far"] == {
        "place": "far", "days": 365, "first": "2001-01-01", "last": "2001-12-31",
        "correlation": 1.0, "coarse_mean_rmse": 0.0,
    }  # fmt: skip
    assert page == judge(*read_headers(sound), GateParams())[1]
    assert "58 expectations\non 1,825 days;" in page

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
    ground = np.zeros((36, 36), np.float32)
    domain = Domain(
        "quebec", "quebec", coarse, fine, Days.years(first, 1, calendar), means, fields["tasmax"],
        {"elevation": ground}, {"elevation": ground[::4, ::4]},
    )  # fmt: skip
    parts = {
        name: [{"domain": "quebec", "from": f"2095-{a}-01", "to": f"2095-{b}-30"}]
        for name, a, b in (("train", "01", "06"), ("validation", "07", "09"), ("test", "10", "12"))
    }
    write(
        tmp_path / "grids", [domain],
        {"source": "f.nc, factor 4", "target": "tasmax", "inputs": ["tasmax", "tasmin"], "splits": parts,
         "factor": 4, "floor": None, "split_by": "ranges"},
    )  # fmt: skip
    verdict = verdict_of(tmp_path / "grids")
    assert (verdict.failures, verdict.warnings) == ((), ())
    assert verdict.metrics()["domains"]["quebec"]["coarse_mean_rmse"] < 0.01


# -- faults of values, several at once in places of their own


def numbers(variable, change, at=...):
    def edit(file):
        values = file[variable][:]
        values[at] = change(values[at])
        file[variable][:] = values

    return edit


def test_faults_of_values(sound, tmp_path):
    far, warmer = "far/coarse_2001.nc", "warmer/coarse_2003.nc"
    first_days = slice(0, 5)
    edits = {
        far: lambda file: (
            numbers("psl", lambda pascal: pascal / 100)(file),  # hPa
            numbers("huss", lambda old: 0 * old + 0.006, slice(0, 31))(file),  # a constant field
        ),
        warmer: lambda file: (
            numbers("psl", lambda old: 0 * old + 1e20)(file),  # nothing but the fill value
            numbers("huss", lambda old: old[:1] + 0 * old, slice(59, 90))(file),  # the same map each day
        ),
        "home/coarse_2001.nc": lambda file: (
            numbers("huss", lambda old: -old, (slice(31, 32), 0, 0))(file),
            numbers("psl", lambda old: 0 * old + 1e20, first_days)(file),  # the fill value, now and then
        ),
        "home/coarse_2002.nc": numbers("huss", lambda old: 0 * old + np.inf, (7, 1, 1)),
        "home/fine_2003.nc": numbers("tasmax", lambda old: 0 * old - 9999, (slice(0, 1), 0, 0)),
        "home/fine_2002.nc": numbers("tasmax", lambda old: 0 * old + 1e20, (first_days, 0, 0)),
    }
    verdict = verdict_of(stored.edited(sound, tmp_path / "grids", edits))
    far, warmer, home = "month 'far'", "month 'warmer'", "month 'home'"
    assert found(verdict) == {
        "psl_coarse_mean": [far],
        "psl_coarse_low": [far],
        "psl_coarse_missing": [warmer],
        "psl_coarse_gaps": [home],
        "huss_coarse_mean": [home],
        "huss_coarse_low": [home],
        "huss_coarse_high": [home],
        "huss_coarse_spread": [far],
        "huss_coarse_change": [far, warmer],
        "tasmax_fine_low": [home],
        "tasmax_fine_gaps": [home],
        "coarse_mean": ["domain 'home'"],
    }
    told = {f"{finding.name}: {example}" for finding in verdict.failures for example in finding.examples}
    # 5 of 31 days, and 5 cells of 256 x 31
    assert "psl_coarse_gaps: month 'home 2001-01': 0.16129" in told
    assert "tasmax_fine_gaps: month 'home 2002-01': 0.000630040"[:-1] in told
    assert "tasmax_fine_low: month 'home 2003-01': -9999.0" in told
    assert "huss_coarse_change: month 'warmer 2003-03': 0.0" in told
    assert (
        "  psl (coarse): No psl (coarse) is below 85000 Pa; found 12 of 60 against it (20.00%)"
        in verdict.summary()
    )


def test_degrees_celsius_labelled_kelvin(tmp_path):
    celsius = np.float32(273.15)
    changes = {
        "far": stored.changed(target=lambda made: made.target - celsius),
        "warmer": stored.changed(
            inputs=lambda made: {**made.inputs, "tasmax": made.inputs["tasmax"] - celsius}
        ),
    }
    verdict = verdict_of(stored.write_folder(tmp_path / "grids", changes))
    assert found(verdict) == {
        "tasmax_fine_mean": ["month 'far'"],
        "tasmax_fine_low": ["month 'far'"],
        "tasmax_coarse_mean": ["month 'warmer'"],
        "tasmax_coarse_low": ["month 'warmer'"],
        "coarse_mean": ["domain 'far'", "domain 'warmer'"],
    }
    assert {finding.name: finding.count for finding in verdict.failures}["tasmax_fine_mean"] == 12


# -- faults of days and grounds


def test_faults_of_days(tmp_path):
    def one_more(made):  # 2001-02-09 twice
        return made.at(np.sort(np.r_[np.arange(len(made.days)), 39]))

    changes = {
        "home": one_more,
        "far": lambda made: made.at(np.delete(np.arange(365), [45, 46, 200])),
        "warmer": stored.changed(target=lambda made: np.roll(made.target, 1, axis=0)),
    }
    folder = stored.write_folder(tmp_path / "grids", changes)
    (folder / "far" / "fine_2001.nc").unlink()
    (folder / MANIFEST).unlink()
    write_manifest(folder)
    verdict = verdict_of(folder)
    assert found(verdict) == {
        "time_order": ["domain 'home (coarse)'", "domain 'home (fine)'"],
        "days_missing": ["domain 'far (coarse)'"],
        "split_truth": ["split 'unseen_terrain'"],
        "days_shifted": ["domain 'warmer'"],
        "coarse_mean": ["domain 'warmer'"],
        "time_coarse_days": ["month 'far'", "month 'home'"],
        "time_fine_days": ["month 'home'"],
    }
    told = {finding.name: str(finding.examples[0]) for finding in verdict.failures}
    assert told["time_order"] == "domain 'home (coarse)': 2001-02-09 is there 2 times"
    assert told["days_missing"] == ("domain 'far (coarse)': 3 days: 2001-02-15 to 2001-02-16, 2001-07-20")
    assert re.fullmatch(
        r"domain 'warmer': correlation 0\.7\d+, but 0\.9\d+ were it 1 day later",
        told["days_shifted"],
    )


def test_swapped_grids_and_broken_ground(tmp_path):
    def swapped(made):
        coarse = {**made.inputs, "tasmax": made.target}
        inputs = {name: np.resize(field, made.target.shape) for name, field in coarse.items()}
        return dataclasses.replace(
            made, coarse=made.fine, fine=made.coarse, inputs=inputs, target=made.inputs["tasmax"],
            static=made.coarse_static, coarse_static=made.static,
        )  # fmt: skip

    def holed(made):
        elevation = made.static["elevation"].copy()
        elevation[3, 4], elevation[5, 6] = np.nan, 9999
        return dataclasses.replace(made, static={"elevation": elevation})

    verdict = verdict_of(stored.write_folder(tmp_path / "grids", {"far": swapped, "warmer": holed}))
    assert found(verdict) == {
        "swapped": ["domain 'far'"],
        "static_missing": ["domain 'warmer'"],
        "elevation_range": ["domain 'warmer'"],
        "same_ground": ["domain 'warmer'"],
    }
    told = {finding.name: finding.examples[0].value for finding in verdict.failures}
    assert told == {
        "swapped": "coarse 16 x 16 cells of 0.25 degrees, fine 4 x 4 of 1",
        "static_missing": "1 of 256 cells of elevation (fine)",
        "elevation_range": told["elevation_range"],
        "same_ground": "elevation (fine) differs from home",
    }
    assert told["elevation_range"].endswith(" to 9999 m")


def test_a_wrong_pair_of_files(tmp_path):
    def another_weather(made):
        other = stored.domain("far", "far", made.days, seed=77)
        return dataclasses.replace(made, inputs=other.inputs)

    def elsewhere(made):
        return dataclasses.replace(made, fine=Grid(Axis.regular(60, 0.25, 16), made.fine.lon))

    facts = {"factor": None}
    verdict = verdict_of(stored.write_folder(tmp_path / "one", {"far": another_weather}, facts))
    assert found(verdict) == {"correlation": ["domain 'far'"]}
    assert abs(float(verdict.failures[0].examples[0].value)) < 0.2
    verdict = verdict_of(stored.write_folder(tmp_path / "two", {"far": elsewhere}, facts))
    assert found(verdict) == {"apart": ["domain 'far'"]}
    assert verdict.failures[0].examples[0].value == "lat: fine 60 to 64, coarse 40 to 44"


def test_coarse_that_is_not_the_mean_of_fine(sound, tmp_path):
    warmer = {"far/coarse_2001.nc": numbers("tasmax", lambda old: old + np.float32(0.06))}
    folder = stored.edited(sound, tmp_path / "grids", warmer)
    (finding,) = verdict_of(folder).failures
    assert (finding.name, str(finding.examples[0])) == ("coarse_mean", "domain 'far': 0.06")
    assert finding.words == "tasmax (coarse) is the area mean of tasmax (fine) within 0.05 K"
    with_facts(folder, tmp_path / "told", factor=None)
    verdict = verdict_of(tmp_path / "told")
    assert verdict.success
    assert verdict.metrics()["domains"]["far"]["coarse_mean_rmse"] == 0.06


# -- faults of splits


def test_faults_of_splits(sound, tmp_path):
    parts = spans(
        train=[("home", 2002, 2003), ("far", 2001, 2001), ("nowhere", 2001, 2001)],
        validation=[("home", 2011, 2012)],
        test=[("home", 2001, 2001)],
        unseen_terrain=[("far", 2001, 2001)],
    )
    parts["warmer_2k"] = [{"domain": "home", "from": "2003-12-30", "to": "2003-12-31"}]
    verdict = verdict_of(with_facts(sound, tmp_path / "grids", splits=parts))
    told = {f.name: {e.place.split("'")[1]: e.value for e in f.examples} for f in verdict.failures}
    assert told == {
        "split_spans": {
            "train": "no domain 'nowhere'",
            "validation": "no day of home in 2011-01-01 to 2012-12-31; it has 2001-01-01 to 2003-12-31",
        },
        "split_empty": {"validation": "no day"},
        "split_shared": {
            "train": "far also in unseen_terrain: 365 days: 2001-01-01 to 2001-12-31; 1 more",
            "unseen_terrain": "far also in train: 365 days: 2001-01-01 to 2001-12-31",
            "warmer_2k": "home also in train: 2 days: 2003-12-30 to 2003-12-31",
        },
        "split_unseen": {"unseen_terrain": "place far is in train"},
        "split_future": {"train": "home 730 days: 2002-01-01 to 2003-12-31; test begins 2001-01-01"},
    }


# -- whole folders, and the stage


def test_a_changed_byte_and_a_truncated_file(sound, tmp_path):
    folder = stored.edited(sound, tmp_path / "grids", {})
    path = folder / "far" / "fine_2001.nc"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(ConvoyError, match=r"far/fine_2001.nc: sha256 differs from the manifest"):
        read_headers(folder)
    path.write_bytes(whole[:-100])
    with pytest.raises(ConvoyError, match=r"far/fine_2001.nc: \d+ bytes, the manifest says \d+"):
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
        r"psl \(coarse\) lies in 95000 to 106000 Pa; found 12 of 60 against it \(20\.00%\), first "
        r"month 'far 2001-01': 101\d\.\d+; also psl_coarse_low \(psl \(coarse\)\); mend the source files, "
        r"or what climate\.grids says of them",
        str(error.value),
    )
    assert "month 'far 2001-02': 101" in capsys.readouterr().out
    assert {path.name for path in workspace.iterdir()} == {"grids"}
