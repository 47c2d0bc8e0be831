import os
import stat
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from typer.testing import CliRunner

from convoy.cli.app import app
from convoy.climate.data.netcdf import Reader
from convoy.climate.events.data.io import TEST
from convoy.climate.events.inputs_io import read_inputs
from convoy.climate.events.judging import Judge
from convoy.climate.events.models.params import ImageTraining, SimpleCNNParams
from convoy.climate.events.models.specs import train
from convoy.climate.events.sources.io import SyntheticParams, drawn
from convoy.core import artifact
from convoy.core.augmentation_params import Augmentation


@pytest.fixture(scope="module")
def maps():
    return drawn(SyntheticParams(train=50, validation=50, test=50, amplitude=4.0))


@pytest.fixture(scope="module")
def folder(maps, tmp_path_factory):
    training = ImageTraining(epochs=1, batch_size=25, precision="float32", threads=1, device="cpu")
    params = SimpleCNNParams(width=4, training=training, augmentation=Augmentation())
    config, tensors, curve = train("simple_cnn", params, maps, (0,))
    path = tmp_path_factory.mktemp("m") / "simple_cnn"
    artifact.write(path, config, tensors, None, curve)
    return path


def netcdf(path, values, units=("K", "hPa", "g/kg"), steps=True):
    names = ("temperature", "pressure", "humidity")
    dims = ("time", "y", "x") if steps else ("y", "x")
    data = {
        name: (dims, values[:, place] if steps else values[0, place], {"units": unit})
        for place, (name, unit) in enumerate(zip(names, units, strict=True))
    }
    xr.Dataset(data).to_netcdf(path)
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *map(str, arguments)])


def test_maps_of_a_netcdf_file(folder, maps, tmp_path):
    values = maps.values[maps.rows(TEST)[:2]]
    path = netcdf(tmp_path / "day.nc", values)
    done = run(path, "--model", folder, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    judged = Judge(artifact.read(folder))(values)
    lines = done.output.splitlines()
    for number, line in enumerate(lines):
        label, probability = judged.names[number], judged.probability[number]
        assert line.startswith(f"day-0000{number}: {label}, probability {probability:.3f}")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["day-00000-explained.png", "day-00001-explained.png"]
    with Image.open(tmp_path / "out" / written[0]) as overlay:
        assert overlay.size[0] > 400


def test_units_are_converted(folder, maps, tmp_path):
    values = maps.values[maps.rows(TEST)[:1]]
    other = values * np.array([1, 100, 1e-3], np.float32)[:, None, None]
    plain = run(netcdf(tmp_path / "a.nc", values, steps=False), "--model", folder)
    changed = run(netcdf(tmp_path / "b.nc", other, ("degC", "Pa", "kg kg-1"), steps=False), "--model", folder)
    assert plain.exit_code == changed.exit_code == 0, changed.output
    assert plain.output.split("  ")[0].replace("a:", "b:") == changed.output.split("  ")[0]
    assert (tmp_path / "a-explained.png").is_file()


def test_nothing_is_overwritten_silently(folder, maps, tmp_path):
    path = netcdf(tmp_path / "a.nc", maps.values[:1], steps=False)
    overlay = tmp_path / "a-explained.png"
    overlay.write_text("mine")
    done = run(path, "--model", folder)
    assert done.exit_code == 2
    assert "is there already" in done.output
    assert overlay.read_text() == "mine"
    assert run(path, "--model", folder, "--force").exit_code == 0
    assert overlay.read_bytes().startswith(b"\x89PNG")


def picture(path):
    Image.new("RGB", (9, 9)).save(path)
    return path


def missing_values(values):
    return np.where(np.arange(64) == 3, np.nan, values)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda p, v: netcdf(p / "a.nc", v[..., :32], steps=False), "expected 64 x 64 cells"),
        (lambda p, v: netcdf(p / "a.nc", v, ("K", "m", "g/kg"), steps=False), "units that convert to hPa"),
        (lambda p, v: netcdf(p / "a.nc", missing_values(v), steps=False), "missing or infinite values"),
        (lambda p, v: netcdf(p / "a.nc", v[:0]), "0 times; expected 1 to 10,000"),
        (lambda p, v: netcdf(p / "a.nc", np.full_like(v, 1e38), steps=False), "no finite probabilities"),
        (lambda p, v: netcdf(p / "a.nc", np.full(v.shape, 1e300), steps=False), "missing or infinite"),
        (lambda p, v: p / "absent.nc", "no such file"),
        (lambda p, v: picture(p / "a.png"), "not what the model was"),
        (lambda p, v: Path((p / "a.nc").write_bytes(b"CDF\x01" + b"x" * 9) and p / "a.nc"), "a.nc"),
    ],
)  # fmt: skip
def test_an_unfit_file_is_refused_in_one_line_and_nothing_is_left(folder, maps, tmp_path, make, line):
    path = make(tmp_path, maps.values[:1])
    done = run(path, "--model", folder, "--out", tmp_path / "out" / "deep")
    assert done.exit_code == 2, done.output
    assert line in done.output
    assert done.output.startswith("convoy: ")
    assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_two_inputs_of_one_name(folder, maps, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        netcdf(tmp_path / name / "x.nc", maps.values[:1], steps=False)
    done = run(tmp_path / "a/x.nc", tmp_path / "b/x.nc", "--model", folder, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "two inputs have this overlay" in done.output


def test_a_baseline_has_no_layers_to_look_into(maps, tmp_path):
    config, tensors, _ = train("majority", artifact_params(), maps, (0,))
    artifact.write(tmp_path / "m", config, tensors, None)
    done = run(netcdf(tmp_path / "a.nc", maps.values[:1], steps=False), "--model", tmp_path / "m")
    assert done.exit_code == 2
    assert "no network" in done.output


def artifact_params():
    from convoy.climate.events.models.params import MajorityParams

    return MajorityParams()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(folder, maps, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = run(netcdf(tmp_path / "a.nc", maps.values[:1]), "--model", folder)
    assert "cannot be written" in done.output


def test_a_file_that_begins_in_the_south_gives_the_map_with_north_on_top(tmp_path):
    values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    lat = ("lat", 60.0 - np.arange(64) / 2, {"units": "degrees_north"})
    lon = ("lon", np.arange(64) / 2, {"units": "degrees_east"})
    north_first = xr.Dataset({"t": (("lat", "lon"), values, {"units": "K"})}, {"lat": lat, "lon": lon})
    variants = {
        "north": north_first,
        "south": north_first.isel(lat=slice(None, None, -1)),
        "turned": north_first.transpose("lon", "lat").isel(lon=slice(None, None, -1)),
    }
    with Reader() as reader:
        for name, dataset in variants.items():
            dataset.to_netcdf(tmp_path / f"{name}.nc")
            read = read_inputs(tmp_path / f"{name}.nc", ["t"], ["K"], (64, 64), reader)
            np.testing.assert_array_equal(read.values[0, 0], values)


def test_a_name_with_terminal_escapes_is_printed_escaped(folder, maps, tmp_path):
    path = netcdf(tmp_path / "\x1b[31mred.nc", maps.values[:1], steps=False)
    done = run(path, "--model", folder)
    assert done.exit_code == 0
    assert "\x1b" not in done.output
