"""What `convoy downscale` writes: a whole file or none."""

import os
import shutil
import subprocess
import sys

import netCDF4
import numpy as np
import pytest

from convoy.climate.data.datasets import days_a_chunk
from convoy.climate.data.domains import Axis, Days, Grid
from convoy.climate.downscaling.inference.io import write
from convoy.core.errors import ConvoyError
from tests.conftest import ROOT

GRID = Grid(Axis.regular(40, 0.5, 3), Axis.regular(-1, 0.5, 4))
DAYS = Days.years(2001, 1, "360_day").at(slice(0, 200))
VARIABLES = {"tasmax": {}, "tasmax_sd": {"units": "K", "long_name": "spread"}}
FIELDS = np.random.default_rng(0).normal(280, 5, (2, 200, *GRID.shape)).astype(np.float32)
FIELDS[:, 17, 1, 2] = np.nan


def parts(*ends):
    return [
        (slice(first, last), dict(zip(VARIABLES, FIELDS[:, first:last], strict=True)))
        for first, last in zip((0, *ends), (*ends, 200), strict=True)
    ]


def test_parts_become_one_file_with_the_same_bytes(tmp_path):
    for name in ("a.nc", "b.nc"):
        write(tmp_path / name, GRID, DAYS, VARIABLES, {"title": "T"}, parts(96, 150), lambda: "odd")
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        for name, field in zip(VARIABLES, FIELDS, strict=True):
            np.testing.assert_array_equal(np.ma.filled(file[name][:], np.nan), field)
            assert file[name][:].mask.sum() == 1
        assert (file.Conventions, file.title, file.comment) == ("CF-1.11", "T", "odd")
        dates = netCDF4.num2date(file["time"][:], file["time"].units, file["time"].calendar)
        assert [str(dates[day]) for day in (0, 199)] == ["2001-01-01 12:00:00", "2001-07-20 12:00:00"]
        np.testing.assert_allclose(file["time_bnds"][:, 1] - file["time_bnds"][:, 0], 1)
        np.testing.assert_allclose(file["lat"][:], [40.25, 40.75, 41.25])


def test_compression_loses_nothing_and_a_day_at_a_time_is_as_small(tmp_path):
    """Smooth fields are less than half as large, however many days come at once."""
    grid = Grid(Axis.regular(40, 0.02, 300), Axis.regular(-1, 0.02, 300))
    ramp = np.linspace(270, 290, 300, dtype=np.float32)
    fields = (ramp[:, None] + np.round(ramp) + np.arange(40)[:, None, None]).astype(np.float32)

    def written(name, days, level):
        spans = [slice(first, min(first + days, 40)) for first in range(0, 40, days)]
        some = ((span, {"tasmax": fields[span]}) for span in spans)
        write(tmp_path / name, grid, DAYS.at(slice(0, 40)), {"tasmax": {}}, {}, some, str, level)
        with netCDF4.Dataset(tmp_path / name) as file:
            np.testing.assert_array_equal(file["tasmax"][:], fields)
            assert file["tasmax"].filters()["zlib"] == (level > 0)
            assert file["tasmax"].filters()["complevel"] == level
        return (tmp_path / name).stat().st_size

    plain = written("plain.nc", 7, 0)
    assert plain > fields.nbytes
    sizes = [written(f"{days}.nc", days, 1) for days in (1, 7, 40)]
    assert max(sizes) < 0.5 * plain
    assert max(sizes) < 1.01 * min(sizes)


def test_an_error_on_the_way_leaves_what_was_there(tmp_path):
    def breaking():
        yield parts()[0]
        raise ConvoyError("x")

    (tmp_path / "out.nc").write_text("before")
    with pytest.raises(ConvoyError, match=r"^x$"):
        write(tmp_path / "out.nc", GRID, DAYS, VARIABLES, {}, breaking(), str)
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]
    assert (tmp_path / "out.nc").read_text() == "before"


def test_a_disk_that_is_too_small_is_seen_before(tmp_path):
    wide = Grid(Axis.regular(0, 0.001, 50_000), Axis.regular(0, 0.001, 50_000))
    with pytest.raises(ConvoyError, match=r"out.nc: 4000\.0 GB needed, .* GB free; name another place"):
        write(tmp_path / "out.nc", wide, DAYS, VARIABLES, {}, [], str)
    assert list(tmp_path.iterdir()) == []


def test_days_on_large_grids_are_stored_in_small_parts(tmp_path):
    """Chunks of 64 MiB at most, but of a day at least, and of no more days than there are."""
    sizes = {(64, 64): 90, (998, 998): 16, (4000, 4000): 1, (5000, 5000): 1}
    assert {shape: days_a_chunk(365, shape) for shape in sizes} == sizes
    assert days_a_chunk(40, (64, 64)) == 40
    large = Grid(Axis.regular(40, 0.01, 998), Axis.regular(-1, 0.01, 998))
    field = np.full((1, *large.shape), 280, np.float32)
    part = (slice(0, 1), {"tasmax": field})
    write(tmp_path / "out.nc", large, DAYS.at(slice(0, 1)), {"tasmax": {}}, {}, [part], str, 0)
    assert field.nbytes < (tmp_path / "out.nc").stat().st_size < 1.1 * field.nbytes


def test_only_what_may_be_a_full_disk_is_told_as_one(tmp_path):
    """HDF5 takes no chunk of 4 GiB, and this grid's single day has 4.3 GB."""
    if shutil.disk_usage(tmp_path).free < 5e9:
        pytest.skip("needs 5 GB of free disk, of which it writes nothing")
    path = tmp_path / "out.nc"
    grid = Grid(Axis.regular(-60, 0.003, 33_000), Axis.regular(-60, 0.003, 33_000))
    with pytest.raises(ConvoyError) as caught:
        write(path, grid, DAYS.at(slice(0, 1)), {"tasmax": {}}, {}, [], str)
    expected = "cannot be written (NetCDF: Bad chunk sizes.: (variable 'tasmax', group '/'))"
    assert str(caught.value) == f"{path}: {expected}"


FULL = """
import resource, sys
from pathlib import Path
from convoy.core.errors import ConvoyError
from tests.climate.downscaling.inference.test_io import DAYS, GRID, VARIABLES, parts, write
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write(Path("out.nc"), GRID, DAYS, VARIABLES, {}, parts(96), str)
except ConvoyError as error:
    print(error)
"""


def test_a_disk_that_fills_meanwhile_leaves_nothing(tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", FULL],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "out.nc: cannot be written (NetCDF: HDF error): is the disk full?\n"
    assert list(tmp_path.iterdir()) == []
