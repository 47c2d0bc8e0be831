"""Files of grids are told as they lie there, nothing mended."""

import netCDF4
import numpy as np
import pytest

from convoy.climate.data.headers import dates_between, read_headers
from convoy.core.errors import ConvoyError
from tests.support import stored_grids as stored


def test_each_file_says_its_own(tmp_path):
    folder = stored.write_folder(tmp_path / "grids")
    with netCDF4.Dataset(str(folder / "far" / "fine_2001.nc"), "a") as file:
        file["time"][3] = file["time"][2]
        file["lat"][:] = file["lat"][::-1]
        file["tasmax"].units = "degC"
        file.renameVariable("lon_bnds", "bounds")
    stored.edited(folder, tmp_path / "edited", {})
    facts, domains = read_headers(tmp_path / "edited")
    assert facts["target"] == "tasmax"
    assert [(d.name, d.place, len(d.of("coarse")), len(d.of("fine"))) for d in domains] == [
        ("home", "home", 3, 3), ("far", "far", 1, 1), ("warmer", "home", 1, 1),
    ]  # fmt: skip
    (fine,) = domains[1].of("fine")
    assert (fine.name, fine.side, fine.is_static, fine.calendar) == (
        "far/fine_2001.nc",
        "fine",
        False,
        "noleap",
    )
    assert fine.days.labels[2:5] == ["2001-01-03", "2001-01-03", "2001-01-05"]
    assert np.all(np.diff(fine.grid.lat.centres) < 0)
    assert fine.grid.lon.bounds.shape == (0, 2)
    assert fine.attributes["tasmax"]["units"] == "degC"
    assert fine.dimensions["tasmax"] == ("time", "lat", "lon")
    np.testing.assert_array_equal(fine.values("tasmax"), stored.domains()["far"].target)
    surface = domains[1].static("coarse")
    assert (surface.name, surface.is_static, len(surface.time)) == ("far/static_coarse.nc", True, 0)


def test_bytes_that_cannot_be_read_are_named(tmp_path):
    folder = stored.write_folder(tmp_path / "grids")
    path = folder / "far" / "fine_2001.nc"
    _, domains = read_headers(folder)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ConvoyError, match=r"far/fine_2001.nc: cannot be read"):
        domains[1].of("fine")[0].values("tasmax")


@pytest.mark.parametrize(("calendar", "last"), [("360_day", (2001, 2, 30)), ("noleap", (2001, 3, 1))])
def test_dates_of_a_calendar(calendar, last):
    first = {"360_day": 151 * 360, "noleap": 151 * 365}[calendar]  # 1 January 2001
    dates = dates_between(calendar, first, first + 59)
    assert [tuple(dates[0]), tuple(dates[-1])] == [(2001, 1, 1), last]
