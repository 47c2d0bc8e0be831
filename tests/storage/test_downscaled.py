"""What `convoy downscale` writes: a whole file or none."""

import os
import subprocess
import sys

import netCDF4
import numpy as np
import pytest

from convoy.errors import ConvoyError
from convoy.storage.domains import Axis, Days, Grid
from convoy.storage.downscaled import write
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


FULL = """
import resource, sys
from pathlib import Path
from convoy.errors import ConvoyError
from tests.storage.test_downscaled import DAYS, GRID, VARIABLES, parts, write
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
