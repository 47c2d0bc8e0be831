"""Other people's files: what is in them, days of them, and one line for every broken one."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import xarray

from convoy.climate.data.conventions import conform
from convoy.climate.data.netcdf import Reader, time_of
from convoy.core.errors import ConvoyError
from tests.support import gridfiles
from tests.support.gridfiles import EAST, FILL, NORTH, daily, write

CLASSIC = ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"]


@pytest.fixture(scope="module")
def reader():
    with Reader() as shared:
        yield shared


def refusal(call, *arguments):
    with pytest.raises(ConvoyError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def days(reader, path, name="tasmax", start=0, stop=None):
    """Values of some of the days of a file, or all."""
    file = reader.open(path)
    return file[name].isel({dim: slice(start, stop) for dim in file[name].dims if dim == "time"}).values


def field(variables, name="tasmax"):
    return variables[name][1]


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF4_CLASSIC", *CLASSIC])
def test_every_kind_of_netcdf_says_what_it_holds(reader, tmp_path, kind):
    bounds = np.stack([gridfiles.LAT, gridfiles.LAT + 1], axis=1)
    height = ((), np.float64(2.0), {"units": "m"})
    variables = daily(times=np.arange(40) + 0.5, lat_bnds=(("lat", "two"), bounds), height=height)
    path = write(tmp_path / "x.nc", variables, kind)
    file = reader.open(path)
    assert set(file.variables) == set(variables)
    assert (file["tasmax"].dims, file["tasmax"].shape) == (("time", "lat", "lon"), (40, 20, 24))
    assert file["tasmax"].attrs == {"units": "K"}
    assert file["time"].attrs == gridfiles.DAYS
    assert file.encoding["source"] == str(path)
    for name in ("time", "lat", "lon", "lat_bnds"):
        assert file[name].dtype == np.float64
        np.testing.assert_array_equal(file[name], variables[name][1])
    assert time_of(file, "tasmax") == ("time", "time")
    assert time_of(file, "height") is None
    np.testing.assert_array_equal(file["tasmax"], field(variables))
    np.testing.assert_array_equal(file["tasmax"][7:9], field(variables)[7:9])
    np.testing.assert_array_equal(file["tasmax"][7, ::-3, 2], field(variables)[7, ::-3, 2])
    assert file["height"] == 2.0


def test_days_come_along_the_axis_of_time_wherever_it_is(reader, tmp_path):
    values = np.arange(24, dtype="f4").reshape(2, 3, 4)
    variables = {
        "when": (("day",), np.arange(4), gridfiles.DAYS), "tas": (("x", "y", "day"), values),
    }  # fmt: skip
    file = reader.open(write(tmp_path / "x.nc", variables))
    assert time_of(file, "tas") == ("day", "when")
    np.testing.assert_array_equal(file["tas"].isel(day=slice(1, 3)), values[:, :, 1:3])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_stores_are_read_alike(reader, tmp_path, zarr_format):
    variables = daily()
    values = field(variables).copy()
    values[:, 3, 4] = np.nan
    dataset = xarray.Dataset({"tasmax": (("time", "lat", "lon"), values, {"units": "K"})})
    dataset = dataset.assign_coords({
        name: (name, variables[name][1], variables[name][2]) for name in ("time", "lat", "lon")
    })  # fmt: skip
    chunks = {"tasmax": {"chunks": (10, 20, 12)}}
    path = tmp_path / "x.zarr"
    dataset.to_zarr(path, zarr_format=zarr_format, consolidated=False, encoding=chunks)
    assert reader.open(path)["tasmax"].dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(days(reader, path, "tasmax", 5, 30), values[5:30])
    # A chunk of the sea, missing at all times, is left out on purpose; one with neighbours in time is lost.
    chunk = "{}.0.1" if zarr_format == 2 else "c/{}/0/1"
    lost = shutil.copytree(path, tmp_path / "lost.zarr")
    (lost / "tasmax" / chunk.format(2)).unlink()
    message = refusal(days, reader, lost, "tasmax")
    assert message.startswith(f"{lost}: variable 'tasmax' cannot be read")
    assert "chunk (2, 0, 1) is missing" in message
    (tmp_path / "secret").write_bytes((path / "tasmax" / chunk.format(1)).read_bytes())
    linked = shutil.copytree(path, tmp_path / "linked.zarr")
    (linked / "tasmax" / chunk.format(1)).unlink()
    (linked / "tasmax" / chunk.format(1)).symlink_to(tmp_path / "secret")
    assert "is a link that leads out of the store" in refusal(reader.open, linked)
    for time in range(4):
        (path / "tasmax" / chunk.format(time)).unlink()
    sea = path.rename(tmp_path / "sea.zarr")
    assert np.isnan(days(reader, sea, "tasmax")[:, :, 12:]).all()
    np.testing.assert_array_equal(days(reader, sea, "tasmax")[:, :, :12], values[:, :, :12])


def test_declared_fill_values_are_nan_and_packed_numbers_unpacked(reader, tmp_path):
    dims = ("time", "lat", "lon")
    raw = np.arange(24, dtype="i2").reshape(4, 2, 3)
    plain = raw.astype("f4")
    times = {"time": (("time",), np.arange(4), gridfiles.DAYS)}
    path = write(tmp_path / "x.nc", {
        **times,
        "packed": (dims, raw, {"_FillValue": np.int16(5), "scale_factor": 0.01, "add_offset": 280.0}),
        "two": (dims, plain, {"_FillValue": np.float32(3), "missing_value": np.float32(4)}),
        "several": (dims, plain, {"missing_value": np.array([7.0, 8.0])}),
        "nan": (dims, np.where(plain == 6, np.nan, plain).astype("f4"), {"_FillValue": np.float32(np.nan)}),
        "large": (dims, np.where(plain == 6, FILL, plain).astype("f4"), {"missing_value": 1e20}),
        "unsigned": (dims, (raw + 120).astype("i1"), {"_Unsigned": "true", "_FillValue": np.int8(-126)}),
    })  # fmt: skip
    cells = raw.astype(float)
    path_of_others = write(tmp_path / "y.nc", {
        **times,
        "range": (dims, raw, {"valid_range": np.array([3, 20], "i2"), "scale_factor": 2.0}),
        "least": (dims, plain, {"valid_min": np.float32(4)}),
        "byte": (dims, (raw + 240).astype("i1"), {"_Unsigned": "true", "missing_value": np.int8(-1)}),
        "double": (dims, np.where(plain == 6, FILL, plain).astype("f8"), {"missing_value": FILL}),
        "exact": (dims, np.where(plain == 6, 1e20, plain).astype("f8"), {"missing_value": FILL}),
    })  # fmt: skip
    others = {
        "range": np.where((raw < 3) | (raw > 20), np.nan, 2 * cells),
        "least": np.where(raw < 4, np.nan, cells),
        "byte": np.where((raw + 240) % 256 == 255, np.nan, (cells + 240) % 256),
        "double": np.where(raw == 6, np.nan, cells),
        "exact": np.where(raw == 6, np.nan, cells),
    }
    for name, values in others.items():
        np.testing.assert_allclose(days(reader, path_of_others, name), values, rtol=1e-6, err_msg=name)
    expected = {
        "packed": np.where(raw == 5, np.nan, 280 + cells / 100),
        "two": np.where((raw == 3) | (raw == 4), np.nan, cells),
        "several": np.where((raw == 7) | (raw == 8), np.nan, cells),
        "nan": np.where(raw == 6, np.nan, cells),
        "large": np.where(raw == 6, np.nan, cells),
        "unsigned": np.where(raw == 10, np.nan, cells + 120),  # 130 as a signed byte is -126
    }
    for name, values in expected.items():
        found = days(reader, path, name)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, values, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "a value that is not finite"), (np.inf, "a value that is not finite"), (1e20, "1e+20"),
        (9.96921e36, "9.96921e+36"), (-9999, "-9999"), (-99999, "-99999"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("declared", [{}, {"_FillValue": np.float32(-1)}])
def test_fill_values_that_are_not_declared_are_refused_with_their_place(
    reader, tmp_path, value, words, declared
):
    variables = daily()
    values = field(variables).copy()
    values[12:14, 3, 5] = value
    variables["tasmax"] = (("time", "lat", "lon"), values, {"units": "K", **declared})
    path = write(tmp_path / "x.nc", variables)
    found = conform(reader.open(path), {})["tasmax"]
    message = refusal(lambda: found[10:20].values)
    assert message.startswith(f"{path}: variable 'tasmax' holds {words} at ")
    assert "at 2001-01-13, lat 41.5, lon 3.5 (the first of 2)" in message
    assert "declare it as the variable's _FillValue" in message
    np.testing.assert_array_equal(found[:12], values[:12])


def test_a_file_that_reads_other_files_is_refused(reader, tmp_path):
    """DVC watches the named file alone, and what its links lead to may be anything."""
    secret = tmp_path / "secret.nc"
    with h5py.File(secret, "w") as file:
        file["tas"] = np.arange(4.0)
    raw = tmp_path / "values.bin"
    raw.write_bytes(np.arange(4.0).tobytes())

    def external_link(file):
        file["tas"] = h5py.ExternalLink(str(secret), "/tas")

    def link_in_a_group(file):
        file.create_group("deep")["tas"] = h5py.ExternalLink(str(secret), "/tas")
        file["deep"]["again"] = file["/"]

    def virtual(file):
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "tas", (4,))
        file.create_virtual_dataset("tas", layout)

    def raw_storage(file):
        file.create_dataset("tas", (4,), "f8", external=[(str(raw), 0, 32)])

    for number, make in enumerate((external_link, link_in_a_group, virtual, raw_storage)):
        path = tmp_path / f"{number}.nc"
        with h5py.File(path, "w") as file:
            file["own"] = np.arange(4.0)
            make(file)
        assert re.search("(a link into|are in) another file", refusal(reader.open, path)), make.__name__


@pytest.mark.parametrize("kind", ["NETCDF4", *CLASSIC])
def test_truncated_files_are_refused(reader, tmp_path, kind):
    whole = write(tmp_path / "whole.nc", daily(), kind).read_bytes()
    for length in (30, 300, len(whole) // 2, len(whole) - 4):
        path = tmp_path / f"{length}.nc"
        path.write_bytes(whole[:length])
        message = refusal(days, reader, path, "tasmax")
        assert message.startswith(f"{path}: ")
        assert "truncated" in message or "broken" in message, message
        assert str(path) not in message.removeprefix(str(path))
    # Of several records the padding counts, of one it does not.
    one = {"pr": (("time", "lat"), np.arange(9, dtype="i1").reshape(3, 3))}
    two = {**one, "tas": (("time",), np.arange(3, dtype="i2"))}
    if kind != "NETCDF4":
        for variables in (one, two):
            path = write(tmp_path / f"{len(variables)}.nc", variables, kind)
            assert reader.open(path)["pr"].shape == (3, 3)


def test_what_is_no_netcdf_is_refused(reader, tmp_path):
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("lat,lon,tasmax\n40,1,280\n")
    (tmp_path / "folder").mkdir()
    write(tmp_path / "bare.nc", {})
    texts = {"city": (("place",), np.array(["a", "b"], dtype=object))}
    import netCDF4

    with netCDF4.Dataset(str(tmp_path / "texts.nc"), "w") as file:
        file.createDimension("place", 2)
        file.createVariable("city", str, ("place",))[:] = texts["city"][1]
    assert refusal(reader.open, tmp_path / "none.nc") == f"{tmp_path}/none.nc: no such file"
    assert refusal(reader.open, tmp_path / "empty.nc").startswith(f"{tmp_path}/empty.nc: an empty file; ")
    assert "not NetCDF: it begins with b'lat,lon,'" in refusal(reader.open, tmp_path / "text.nc")
    assert "a folder, but no Zarr store" in refusal(reader.open, tmp_path / "folder")
    assert "no variables in it" in refusal(reader.open, tmp_path / "bare.nc")
    assert "variable 'city' holds " in refusal(days, reader, tmp_path / "texts.nc", "city")


def children():
    return {child.pid for child in psutil.Process().children()}


def test_a_file_that_crashes_or_hangs_the_library_is_one_line_and_the_next_is_read(tmp_path):
    variables = daily()
    path = write(tmp_path / "x.nc", variables)
    before = children()
    with Reader() as reader:
        reader.open(path)
        (pid,) = children() - before
        os.kill(pid, signal.SIGINT)  # Ctrl-C goes to parent and child: it is the parent's to end the child
        assert days(reader, path, "tasmax", 0, 1).shape == (1, 20, 24)
        os.kill(pid, signal.SIGSEGV)
        message = refusal(days, reader, path, "tasmax")
        assert message.startswith(f"{path}: broken: it crashes the NetCDF library (SIGSEGV); ")
        np.testing.assert_array_equal(days(reader, path, "tasmax", 3, 5), field(variables)[3:5])
        (pid,) = children() - before
        os.kill(pid, signal.SIGSTOP)
        reader.patience_s = 0.2
        assert "does not answer within 0.2 s" in refusal(days, reader, path, "tasmax")
    assert children() <= before


def test_only_a_few_of_many_files_stay_open(tmp_path):
    """The library keeps megabytes of each open one."""
    variables = daily()
    paths = [write(tmp_path / f"{number}.nc", variables) for number in range(20)]
    before = children()
    with Reader() as reader:
        for path in (*paths, paths[0]):
            np.testing.assert_array_equal(days(reader, path, "tasmax", 38, 40), field(variables)[38:])
        (pid,) = children() - before
        assert len([file for file in psutil.Process(pid).open_files() if file.path.endswith(".nc")]) <= 8


def test_a_reader_does_not_outlive_its_parent(tmp_path):
    path = write(tmp_path / "x.nc", daily())
    script = f"""
import time
from convoy.climate.data.netcdf import Reader
reader = Reader()
reader.open({str(path)!r})
print(reader._child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    child = psutil.Process(pid)
    parent.kill()
    parent.communicate()
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_real_grids_say_what_they_hold(reader, real_data):
    path = next(Path(real_data / "grids").glob("tasmax_day_CanESM2*"))
    file = reader.open(path)
    assert file["time_vectors"].dims == ("time", "ts", "lon", "lat")
    assert file["tasmax"].shape == (365, 36, 36)
    assert file["time"].attrs["calendar"] == "365_day"
    assert np.isnan(days(reader, path, "tasmax", 100, 110)).sum() == 10 * 2
    assert file["lat"].attrs["units"] == NORTH["units"]
    assert file["lon"].attrs["units"] == EAST["units"]
