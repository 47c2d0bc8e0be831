"""Faults of files and axes are found before any value is looked at."""

import dataclasses

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Grid
from tests.support import stored_grids as stored
from tests.support.stored_grids import found, verdict_of


def attribute(variable, name, value):
    def edit(file):
        file[variable].delncattr(name) if value is None else file[variable].setncattr(name, value)

    return edit


def renamed(old, new):
    return lambda file: file.renameVariable(old, new)


def put(variable, at, value):
    def edit(file):
        file[variable][at] = value

    return edit


FILE_FAULTS = {
    "units missing": (
        "coarse_2002.nc", attribute("psl", "units", None), "attributes", "psl units 'missing', expected 'Pa'",
    ),
    "units changed": (
        "fine_2001.nc", attribute("tasmax", "units", "degC"), "attributes",
        "tasmax units 'degC', expected 'K'",
    ),
    "another standard name": (
        "coarse_2001.nc", attribute("huss", "standard_name", "relative_humidity"), "attributes",
        "huss standard_name 'relative_humidity', expected 'specific_humidity'",
    ),
    "unknown calendar": (
        "fine_2001.nc", attribute("time", "calendar", "lunar"), "calendar",
        "calendar 'lunar', expected one of",
    ),
    "times of another unit": (
        "fine_2001.nc", attribute("time", "units", "hours since 1850-01-01"), "attributes",
        "time units 'hours since 1850-01-01', expected 'days since 1850-01-01'",
    ),
    "times that are none": ("fine_2001.nc", put("time", 7, np.nan), "calendar", "1 times that are not dates"),
    "days of another year": ("fine_2001.nc", put("time", 364, 55_480.5), "calendar", "days of 2002"),
    "variable missing": ("coarse_2003.nc", renamed("huss", "hus"), "variables", "no huss"),
    "torn bounds": (
        "static_fine.nc", put("lat_bnds", (4, 0), 41.05), "contiguous",
        "lat cell ends at 41, the next begins at 41.05",
    ),
    "centre outside its cell": (
        "fine_2002.nc", put("lat", 4, 41.3), "contiguous", "lat 41.3 is not inside its bounds 41 to 41.25",
    ),
    "another grid": ("fine_2002.nc", put("lon", 4, 3.13), "same_grid", "not the grid of home/static_fine.nc"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_fault_of_a_file(sound, tmp_path, fault):
    name, edit, expectation, told = FILE_FAULTS[fault]
    name = f"home/{name}"
    verdict = verdict_of(stored.edited(sound, tmp_path / "grids", {name: edit}))
    assert verdict.expectations == 9  # values were not looked at
    by_name = {finding.name: finding for finding in verdict.failures}
    assert expectation in by_name
    examples = [str(example) for example in by_name[expectation].examples]
    assert any(told in example for example in examples)
    assert [example.split(": ")[0] for example in examples] == [f"file '{name}'"]


def flipped(made):
    """Latitudes from north to south, as many files have them."""
    coarse, fine = (
        Grid(Axis(grid.lat.centres[::-1], grid.lat.bounds[::-1]), grid.lon)
        for grid in (made.coarse, made.fine)
    )
    return dataclasses.replace(made, coarse=coarse, fine=fine)


def from_0_to_360(made):
    coarse, fine = (
        Grid(grid.lat, Axis(grid.lon.centres + 348, grid.lon.bounds + 348))
        for grid in (made.coarse, made.fine)
    )
    return dataclasses.replace(made, coarse=coarse, fine=fine)


@pytest.mark.parametrize(
    ("change", "expectations", "told"),
    [
        (flipped, {"ascending", "contiguous"}, "lat 43.5 is followed by 42.5"),
        (from_0_to_360, {"degrees"}, "lon 350.5 to 353.5"),
    ],
)
def test_fault_of_axes(tmp_path, change, expectations, told):
    verdict = verdict_of(stored.write_folder(tmp_path / "grids", {"far": change}))
    assert set(found(verdict)) == expectations
    assert str(verdict.failures[0].examples[0]) == f"file 'far/coarse_2001.nc': {told}"
