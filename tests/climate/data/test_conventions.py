"""Every spelling of a variable becomes one convention, and what cannot be understood is one line."""

import netCDF4
import numpy as np
import pytest

from convoy.climate.data import conventions
from convoy.climate.data.datasets import days_of, grid_of
from convoy.climate.data.variables import DAILY, VariableParams
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import FILL, LAT, LON, daily, write
from tests.support.known import changed, real, right, transposed


def test_the_convention_itself_stays_as_it_is(read):
    layout, field = read(daily())
    right(layout, field)
    np.testing.assert_array_equal(grid_of(layout).lat.centres, LAT)
    np.testing.assert_array_equal(grid_of(layout).lon.centres, LON)
    np.testing.assert_allclose(grid_of(layout).lat.bounds, np.stack([LAT - 0.25, LAT + 0.25], axis=1))
    np.testing.assert_allclose(grid_of(layout).lon.bounds, np.stack([LON - 0.25, LON + 0.25], axis=1))
    assert days_of(layout).calendar == "noleap"
    np.testing.assert_array_equal(days_of(layout).ordinal, 151 * 365 + np.arange(40))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("t2m", "tas"),
        ("TREFHT", "tas"),
        ("tg", "tas"),
        ("tx", "tasmax"),
        ("TN", "tasmin"),
        ("TASMAX", "tasmax"),
    ],
)
def test_usual_names(read, theirs, ours):
    layout, field = read(daily(name=theirs), ours)
    right(layout, field)
    assert layout[ours].encoding["source_name"] == theirs


def test_the_map_of_variables_names_them_and_overrides_their_units(read, refusal):
    celsius = changed(daily(name="t2m", units="K"), lambda k: k - 273.15, "t2m")
    layout, field = read(celsius, tasmax={"name": "t2m", "units": "degC"})
    right(layout, field)
    assert set(DAILY) & set(layout) == {"tasmax"}  # t2m is no `tas` any more
    right(*read(celsius, "tas", tas={"units": "degC"}))
    right(*read(daily(name="hot"), tasmax="hot"))
    # A name that this file has not is looked for in others; units go with the name.
    assert "expected 150 to 350" in refusal(celsius, "tas", tas={"name": "TG", "units": "degC"})
    both = daily(tx=daily()["tasmax"])
    right(*read(both))
    assert read(both, tasmax="tx")[0]["tasmax"].encoding["source_name"] == "tx"


def test_of_two_usual_names_one_has_to_be_chosen(refusal):
    message = refusal(daily(name="tx", mx2t=daily()["tasmax"]))
    assert "tx and mx2t could each be tasmax; choose one: climate.grids.variables: {tasmax: " in message


def test_missing_cells_stay_missing(read):
    variables = daily()
    dims, values, _ = variables["tasmax"]
    values = values.copy()
    values[:, 3, 5] = FILL
    variables["tasmax"] = (dims, values, {"units": "degC", "_FillValue": FILL})
    variables = changed(variables, lambda k: np.where(k == FILL, FILL, k - 273.15).astype("f4"))
    _, field = read(variables)
    assert np.isnan(field[:, 3, 5]).all()
    assert np.isnan(field).sum() == 40


def test_slices_and_windows_are_parts_of_the_whole(reader, tmp_path):
    variables = transposed(daily(lat=LAT[::-1], lon=(354 + np.arange(24) / 2) % 360), ("lon", "lat", "time"))
    path = write(tmp_path / "x.nc", variables)
    found = conventions.conform(reader.open(path), {})
    whole = found["tasmax"].values
    part = found.isel(lat=slice(2, 9), lon=slice(5, 8), time=slice(10, 30))
    np.testing.assert_array_equal(part["tasmax"].values, whole[10:30, 2:9, 5:8])
    right(part, part["tasmax"].values)
    np.testing.assert_array_equal(found["tasmax"][7, ::-2, 3].values, whole[7, ::-2, 3])
    np.testing.assert_array_equal(found["tasmax"][[3, 1], :, [5, 9]].values, whole[[3, 1]][:, :, [5, 9]])


def test_variables_with_more_dimensions_or_without_time_are_refused(refusal):
    variables = daily()
    dims, values, attributes = variables["tasmax"]
    members = {**variables, "tasmax": (("member", *dims), np.stack([values, values]), attributes)}
    assert "has 2 values along 'member'; expected time, latitude and longitude alone" in refusal(members)
    static = {**variables, "tasmax": (dims[1:], values[0], attributes)}
    assert "variable 'tasmax' has no time among its dimensions (lat, lon)" in refusal(static)


def test_what_no_file_has_is_refused_with_what_there_is(reader, tmp_path):
    path = write(tmp_path / "x.nc", daily(name="heat"))
    facts = reader.open(path)
    assert conventions.conform(facts, {}) is None
    with pytest.raises(ConvoyError) as caught:
        conventions.require([facts], [None], ["tasmax"])
    assert str(caught.value).startswith("no variable tasmax (nor tx, tmax, ")
    assert f"{path} has heat; if it has another name, set it: climate.grids.variables: {{tasmax: " in str(
        caught.value
    )
    with pytest.raises(
        ConvoyError, match=r"climate\.grids\.variables\.tasmax\.name: no variable 'hot': .* has heat"
    ):
        conventions.check_names([facts], {"tasmax": VariableParams(name="hot")})
    conventions.check_names([facts], {"tasmax": VariableParams(name="heat")})


@pytest.mark.parametrize(
    ("model", "calendar", "days"), [("CanESM2", "noleap", 365), ("HadGEM2", "360_day", 360)]
)
def test_the_real_grids(reader, real_data, model, calendar, days):
    path = real(real_data, f"tasmax_day_{model}")
    layout = conventions.conform(reader.open(path), {})
    field = layout["tasmax"].values
    assert set(DAILY) & set(layout) == {"tasmax"}
    assert (days_of(layout).calendar, len(days_of(layout))) == (calendar, days)
    assert (days_of(layout).labels[0], days_of(layout).labels[-1]) == (
        "2095-01-01",
        f"2095-12-{30 + (days == 365)}",
    )
    with netCDF4.Dataset(str(path)) as file:
        expected = file["tasmax"][:].filled(np.nan)[:, ::-1]
        np.testing.assert_array_equal(grid_of(layout).lat.centres, file["lat"][:][::-1].astype(float))
    np.testing.assert_array_equal(field, expected)
    # Two neighbours at the western edge have no values, in the file's second row from the north.
    np.testing.assert_array_equal(np.argwhere(np.isnan(field).all(axis=0)), [[34, 0], [34, 1]])
    np.testing.assert_allclose(np.diff(grid_of(layout).lon.bounds), 1 / 12, atol=2e-5)
