"""`convoy downscale` as a climatologist meets it: files of all kinds in, a CF file out, or one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import xarray
from compliance_checker.base import BaseCheck
from compliance_checker.suite import CheckSuite

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.downscaling.models import specs as models
from convoy.core import artifact as folders
from tests.cli.test_app import CONVOY, ENVIRONMENT, invoke, refused
from tests.support import downscaled, gridfiles
from tests.support.downscaled import heights, in_calendar, variables
from tests.support.memory import PRINT_PEAK
from tests.support.tiny import write_model

MODELS = {"network": ("residual", {"spread": "normal"}), "ridge": ("ridge", {}), "lapse": ("lapse_daily", {})}


@pytest.fixture(scope="module")
def climate():
    return downscaled.climate()


@pytest.fixture(scope="module")
def home(climate):
    """Days that the models were not trained on, but of the same seasons."""
    return climate[0].at(slice(370, 500))


@pytest.fixture(scope="module")
def made(climate, tmp_path_factory):
    """A folder of model folders."""
    folder = tmp_path_factory.mktemp("models")
    for name, (kind, changes) in MODELS.items():
        folders.write(folder / name, *downscaled.trained(kind, climate[0], **changes), None)
    return folder


@pytest.fixture
def folder(made, home, tmp_path, monkeypatch):
    for name in MODELS:
        (tmp_path / name).symlink_to(made / name)
    gridfiles.write(tmp_path / "in.nc", variables(home))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def downscale(*arguments):
    """Standard error of a run that ends well, and its file."""
    result = invoke("downscale", *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("downscaled: ")
    assert len(result.stdout.splitlines()) == 1
    with xarray.open_dataset(arguments[1]) as file:
        return result.stderr, file.load()


def complaints(path):
    """Everything that the IOOS compliance-checker finds wrong with a file, warnings included."""
    suite = CheckSuite()
    suite.load_all_available_checkers()
    with suite.load_dataset(str(path)) as file:
        (results, errors) = suite.run_all(file, ["cf:1.11"])["cf:1.11"]
    assert errors == {}
    assert len([result for result in results if result.weight == BaseCheck.HIGH]) > 15
    return [result.msgs for result in results if result.value[0] < result.value[1]]


def test_a_network_gives_a_file_by_cf_with_the_fields_of_the_model(folder, home):
    stderr, file = downscale("in.nc", "new/out.nc", "--model", "network")
    field, spread = models.downscale(folders.read(folder / "network"), home)
    assert file["tasmax"].dims == ("time", "lat", "lon")
    np.testing.assert_allclose(file["tasmax"], field, rtol=0, atol=2e-3)
    np.testing.assert_allclose(file["tasmax_sd"], spread, rtol=0, atol=2e-3)
    assert [str(file["time"].values[day])[:10] for day in (0, -1)] == ["2002-01-06", "2002-05-15"]
    assert file["time"].encoding["calendar"] == "noleap"
    np.testing.assert_allclose(file["lat"], 40.125 + 0.25 * np.arange(64))
    np.testing.assert_allclose(file["lon"], -7.875 + 0.25 * np.arange(64))
    assert file["tasmax_sd"].attrs["standard_name"] == "air_temperature standard_error"
    assert file.attrs["history"].startswith("convoy 0.")
    assert complaints(folder / "new/out.nc") == []
    downscale("in.nc", "again.nc", "--model", "network")
    assert (folder / "again.nc").read_bytes() == (folder / "new/out.nc").read_bytes()
    assert all(line.startswith("convoy: warning: ") for line in stderr.splitlines())


def of_per_pixel(written):
    """Degrees C, hPa without units, other names, north to south."""
    tasmax, psl = (written[name][1][:, ::-1] for name in ("tasmax", "psl"))
    dims = ("time", "lat", "lon")
    return {
        "time": written["time"],
        "lat": (("lat",), written["lat"][1][::-1], written["lat"][2]),
        "lon": written["lon"],
        "TX": (dims, tasmax.astype(float) - 273.15, {"units": "degC"}),
        "pressure": (dims, psl / 100, {}),
        "huss": (dims, written["huss"][1][:, ::-1], written["huss"][2]),
    }


def of_others(written):
    """0 to 360, hours, stamps at midnight, kg kg**-1."""
    dims, times, stated = written["time"]
    fields = {
        name: (*written[name][:1], np.roll(written[name][1], 8, -1), written[name][2])
        for name in downscaled.UNITS
    }
    return {
        "time": (dims, (times - 0.5) * 24, {**stated, "units": "hours since 1850-01-01"}),
        "lat": written["lat"],
        "lon": (("lon",), np.roll(written["lon"][1], 8) % 360, {"units": "degrees_east"}),
        **fields,
    }


@pytest.mark.parametrize(
    ("convention", "options"),
    [(of_per_pixel, ["--variables=tasmax=TX,psl=pressure", "--units=psl=hPa"]), (of_others, [])],
)
def test_the_same_days_in_other_per_pixel_give_the_same_fields(folder, home, convention, options):
    gridfiles.write(folder / "convention.nc", convention(variables(home)))
    _, file = downscale("convention.nc", "out.nc", "--model", "lapse", *options)
    field, _ = models.downscale(folders.read(folder / "lapse"), home)
    np.testing.assert_allclose(file["tasmax"], field, rtol=0, atol=2e-3)
    assert str(file["time"].values[0])[:10] == "2002-01-06"
    np.testing.assert_allclose(file["lon"], -7.875 + 0.25 * np.arange(64))


def test_variables_and_years_in_several_files_are_as_one(folder, home):
    for name in downscaled.UNITS:
        for part, days in ((0, slice(0, 60)), (1, slice(60, None))):
            alone = replace(home.at(days), inputs={name: home.inputs[name][days]})
            gridfiles.write(folder / f"{name}_{part}.nc", variables(alone))
    files = [f"{name}_{part}.nc" for part in (1, 0) for name in downscaled.UNITS]
    result = invoke("downscale", *files, "out.nc", "--model", "network")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("downscaled: 130 days, 2002-01-06 to 2002-05-15 (noleap); tasmax")
    _, expected = downscale("in.nc", "whole.nc", "--model", "network")
    with xarray.open_dataset("out.nc") as file:
        xarray.testing.assert_equal(file, expected)
        assert file.attrs["title"].endswith("downscaled from tasmax_1.nc and 5 more")
    assert complaints(folder / "out.nc") == []
    line = refused("downscale", "tasmax_0.nc", "psl_0.nc", "huss_1.nc", "x.nc", "--model", "ridge")
    assert line.startswith("convoy: no day is in all variables: input tasmax 2002-01-06 to 2002-03-06; ")
    gridfiles.write(folder / "orog.nc", heights(home.fine, home.static["elevation"]))
    line = refused("downscale", "in.nc", "orog.nc", "x.nc", "--model", "lapse")
    assert "orog.nc has orog; leave the file out, or set their names in --variables" in line


def test_a_calendar_of_360_days_stays_one(folder, climate):
    days = in_calendar(climate[0].at(slice(0, 100)), "360_day")
    gridfiles.write(folder / "hadgem.nc", variables(days))
    _, file = downscale("hadgem.nc", "out.nc", "--model", "network")
    assert file["time"].encoding["calendar"] == "360_day"
    assert str(file["time"].values[59])[:10] == "2001-02-30"
    field, _ = models.downscale(folders.read(folder / "network"), days)
    np.testing.assert_allclose(file["tasmax"], field, rtol=0, atol=2e-3)
    assert complaints(folder / "out.nc") == []


def test_baselines_downscale_too_and_per_pixel_ones_on_their_own_surface_alone(folder, home, climate):
    _, file = downscale("in.nc", "out.nc", "--model", "ridge")
    np.testing.assert_allclose(
        file["tasmax"], models.downscale(folders.read(folder / "ridge"), home)[0], rtol=0, atol=2e-3
    )
    terrain = climate[1].at(slice(0, 20))
    gridfiles.write(folder / "orog.nc", heights(terrain.fine, terrain.static["elevation"]))
    gridfiles.write(folder / "there.nc", variables(terrain))
    _, file = downscale("there.nc", "there_out.nc", "--model", "network", "--orography", "orog.nc")
    field, _ = models.downscale(folders.read(folder / "network"), terrain)
    np.testing.assert_allclose(file["tasmax"], field, rtol=0, atol=2e-3)
    line = refused("downscale", "there.nc", "x.nc", "--model", "ridge", "--orography", "orog.nc")
    assert "this model 'ridge' knows the terrain alone that it was fitted on" in line
    other = replace(terrain, coarse=Grid(Axis.regular(41, 1, 16), terrain.coarse.lon))
    gridfiles.write(folder / "north.nc", variables(other))
    line = refused("downscale", "north.nc", "x.nc", "--model", "network")
    assert "name the heights on the fine grid to make with --orography" in line
    line = refused("downscale", "north.nc", "x.nc", "--model", "network", "--orography", "orog.nc")
    assert "orog.nc: its latitudes 40 to 56 go beyond those of the input, 41 to 57; cut it there" in line


def test_oddities_are_told_and_go_into_the_file(folder, home):
    inputs = {name: field.copy() for name, field in home.inputs.items()}
    inputs["tasmax"][5, 3, 3] = 345
    inputs["psl"][7:9] = np.nan
    inputs["huss"][:, 2, 2] = np.nan
    written = variables(replace(home, inputs=inputs))
    for name in inputs:
        written[name][2]["_FillValue"] = np.float32(np.nan)
    gridfiles.write(folder / "odd.nc", written)
    stderr, file = downscale("odd.nc", "out.nc", "--model", "network")
    lines = [line.removeprefix("convoy: warning: ") for line in stderr.splitlines()]
    (hot,) = [line for line in lines if line.startswith("tasmax: ")]
    assert "that the model was trained on; the farthest is 345, on 2002-01-11" in hot
    assert "psl: missing in all cells on 2 of 130 days (1.5%): no fine fields" in lines
    assert (
        "huss: 0.39% of the values are missing, on 130 of 130 days (100.0%); replaced by the nearest cell"
    ) in lines
    assert np.flatnonzero(np.isnan(file["tasmax"]).all(["lat", "lon"])).tolist() == [7, 8]
    assert file["tasmax"].isnull().sum() == 2 * 64 * 64
    assert all(line in file.attrs["comment"] for line in lines)


def test_a_file_that_cannot_be_read_is_refused_in_one_line(folder):
    arguments = ("out.nc", "--model", "lapse")
    assert "nowhere.nc: no such file" in refused("downscale", "nowhere.nc", *arguments)
    (folder / "text.nc").write_text("netcdf in {}")
    assert "text.nc: not NetCDF: it begins with b'netcdf i'" in refused("downscale", "text.nc", *arguments)
    shutil.copy(folder / "in.nc", folder / "cut.nc")
    os.truncate(folder / "cut.nc", 100_000)
    assert "cut.nc: cannot be opened, truncated or broken" in refused("downscale", "cut.nc", *arguments)
    assert not (folder / "out.nc").exists()


def test_options_that_say_nothing_useful_are_refused_in_one_line(folder):
    def line(*options):
        return refused("downscale", "in.nc", "out.nc", "--model", "ridge", *options)

    assert refused("downscale", "in.nc", "--model", "lapse") == (
        "convoy: OUT is missing: name the file to write after in.nc\n"
    )
    assert "in.nc is named twice" in refused("downscale", "in.nc", "in.nc", "out.nc", "--model", "lapse")
    assert "--variables: 'tx' is not ours=theirs, such as tasmax=tx" in line("--variables", "tx")
    assert "--variables tasmax: no variable 'tx': in.nc has tasmax" in line("--variables", "tasmax=tx")
    assert "are its units 'hPa'? override them: --units psl=..." in line("--units", "psl=hPa")
    assert not (folder / "out.nc").exists()


def test_out_is_replaced_only_when_forced_and_what_is_read_never(folder):
    arguments = ("--model", "lapse")
    downscale("in.nc", "out.nc", *arguments)
    line = refused("downscale", "in.nc", "out.nc", *arguments)
    assert "out.nc: is there already; name another file, or replace it with --force" in line
    downscale("in.nc", "out.nc", *arguments, "--force")
    (folder / "notes.txt").write_text("mine")
    gridfiles.write(folder / "years.nc", {"x": (("x",), np.zeros(3))})
    for other in ("notes.txt", ".", "years.nc"):
        line = refused("downscale", "in.nc", other, *arguments, "--force")
        assert "--force replaces what this command has made, and this is something else" in line
    (folder / "again.nc").symlink_to("in.nc")
    before = (folder / "in.nc").read_bytes()
    for read in ("in.nc", "again.nc", "lapse/out.nc"):
        line = refused("downscale", "in.nc", read, *arguments, "--force")
        assert "would overwrite or change" in line
    assert (folder / "in.nc").read_bytes() == before
    line = refused("downscale", "in.nc", "/proc/out.nc", *arguments)
    assert line.startswith("convoy: /proc/out.nc: cannot be written: ")
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_model_that_is_not_whole_or_not_for_this_is_refused(folder, made):
    assert "nowhere: no such model folder" in refused("downscale", "in.nc", "out.nc", "--model", "nowhere")
    shutil.copytree(made / "lapse", folder / "changed")
    config = json.loads((folder / "changed/config.json").read_text())
    (folder / "changed/config.json").write_text(json.dumps({**config, "kind": "bilinear"}))
    assert "changed/config.json: " in refused("downscale", "in.nc", "out.nc", "--model", "changed")
    write_model(folder / "text", "textcnn", ["a tale"])
    line = refused("downscale", "in.nc", "out.nc", "--model", "text")
    assert "a model 'textcnn' downscales nothing" in line
    assert not (folder / "out.nc").exists()


def test_cells_that_had_no_truth_are_left_empty_unless_asked_for(folder, made, climate):
    config, tensors = downscaled.trained("lapse_daily", sea_in_two_rows(climate[0]))
    folders.write(folder / "land", config, tensors, None)
    _, file = downscale("in.nc", "out.nc", "--model", "land")
    assert np.isnan(file["tasmax"][:, :2]).all()
    assert np.isfinite(file["tasmax"][:, 2:]).all()
    assert file["tasmax"].attrs["comment"] == "missing in the 128 of 4,096 cells without a truth in training"
    assert complaints(folder / "out.nc") == []
    _, file = downscale("in.nc", "all.nc", "--model", "land", "--no-mask")
    assert np.isfinite(file["tasmax"]).all()


def sea_in_two_rows(domain):
    target = domain.target.copy()
    target[:, :2] = np.nan
    return replace(domain, target=target)


def test_days_are_counted_away_from_a_terminal(folder, monkeypatch):
    monkeypatch.setattr("convoy.cli.progress.SECONDS_BETWEEN_LINES", 0.0)
    stderr, _ = downscale("in.nc", "out.nc", "--model", "lapse")
    lines = [line for line in stderr.splitlines() if not line.startswith("convoy: warning")]
    assert [line.split(",")[0] for line in lines] == ["days: 96 of 130 days", "days: 130 of 130 days"]


@pytest.fixture(scope="module")
def thirty_years(home, tmp_path_factory):
    """A file of 10,950 days."""
    days = np.arange(30 * 365) % len(home.days)
    path = tmp_path_factory.mktemp("long") / "long.nc"
    return str(gridfiles.write(path, variables(in_calendar(home.at(days), "noleap"))))


def test_an_interrupt_leaves_nothing(folder, thirty_years):
    before = sorted(folder.iterdir())
    process = subprocess.Popen(
        [*CONVOY, "downscale", thirty_years, "new/out.nc", "--model", "network"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not any(path.stat().st_size > 2e6 for path in folder.glob("new/.out.nc.partial-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if not line.startswith("days: ")]  # of a slow machine
    assert lines == ["convoy: interrupted; nothing half-written is left"]
    assert sorted(folder.iterdir()) == before


MEASURED = f"""
from convoy.cli import app as cli
try:
    cli.main()
except SystemExit as end:
    assert not end.code
{PRINT_PEAK}
"""


def test_thirty_years_need_little_memory(folder, thirty_years):
    """The fine fields alone are 180 MB a copy, and those of a century 600 MB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "downscale", thirty_years, "out.nc", "--model", "lapse"],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # 179 MB of numbers, compressed.
    assert 0.5 * 179e6 < (folder / "out.nc").stat().st_size < 0.65 * 179e6
    peak_mb = int(done.stdout.splitlines()[-1]) / 1e3
    assert peak_mb < 350


def test_a_real_regional_climate_on_a_finer_grid(folder, climate, real_data):
    """36 x 36 cells of about 10 km in a calendar of 360 days, over flat land of our own making."""
    source = next((real_data / "grids").glob("tasmax_day_HadGEM2*.nc"))
    alone = replace(climate[0], inputs={"tasmax": climate[0].inputs["tasmax"]}).at(slice(0, 100))
    config, tensors, _ = models.train(
        "bilinear", models.MODELS["bilinear"].params(), [alone], [alone],
        {"target": "tasmax", "inputs": ["tasmax"], "source": "a test"}, (0,),
    )  # fmt: skip
    folders.write(folder / "bilinear", config, tensors, None)
    fine = Grid(Axis.regular(42.5, 1 / 24, 48), Axis.regular(-74.5, 1 / 24, 48))
    gridfiles.write(folder / "flat.nc", heights(fine, np.zeros(fine.shape)))
    _, file = downscale(str(source), "out.nc", "--model", "bilinear", "--orography", "flat.nc")
    assert file["time"].encoding["calendar"] == "360_day"
    assert file.sizes["time"] == 360
    with xarray.open_dataset(source) as theirs:
        there = theirs["tasmax"].interp(lat=fine.lat.centres[5:-5], lon=fine.lon.centres[5:-5])
        expected = there.transpose("time", "lat", "lon").values
    ours = file["tasmax"].values[:, 5:-5, 5:-5]
    known = ~np.isnan(expected)
    assert known.mean() > 0.99
    np.testing.assert_allclose(ours[known], expected[known], rtol=0, atol=2e-3)
    assert complaints(folder / "out.nc") == []
