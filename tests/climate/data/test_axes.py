"""Places and times in any spelling become one convention, and what is no grid of days is one line."""

import numpy as np
import pytest

from convoy.climate.data.datasets import days_of, grid_of
from tests.support.gridfiles import DAYS, EAST, LAT, LON, NORTH, daily
from tests.support.known import right, transposed


@pytest.mark.parametrize("dims", [("lon", "lat", "time"), ("lat", "time", "lon"), ("time", "lon", "lat")])
def test_any_order_of_dimensions(read, dims):
    right(*read(transposed(daily(), dims)))


def test_dimensions_of_length_one_do_not_matter(read):
    variables = daily(height=(("height",), np.array([2.0]), {"units": "m"}))
    dims, values, attributes = variables["tasmax"]
    variables["tasmax"] = (("height", *dims), values[None], attributes)
    right(*read(variables))
    variables["tasmax"] = ((*dims, "height"), values[..., None], attributes)
    right(*read(variables))


def test_latitudes_from_the_north_are_turned_with_their_bounds(read):
    bounds = np.stack([LAT - 0.2, LAT + 0.3], axis=1)[::-1]
    layout, field = read(daily(lat=LAT[::-1], lat_bnds=(("lat", "bnds"), bounds[:, ::-1])))
    right(layout, field)
    np.testing.assert_allclose(grid_of(layout).lat.bounds, bounds[::-1])


@pytest.mark.parametrize(
    ("lon", "expected"),
    [
        (np.arange(0.0, 360, 15), np.arange(-165.0, 181, 15)),
        (np.arange(7.5, 360, 15), np.arange(-172.5, 180, 15)),
        (np.arange(280.0, 292, 0.5), np.arange(-80.0, -68, 0.5)),
        ((354 + np.arange(24) / 2) % 360, np.arange(-6.0, 6, 0.5)),
        (np.arange(-180.0, 180, 15), np.arange(-180.0, 180, 15)),
    ],
)
@pytest.mark.parametrize("with_bounds", [False, True])
def test_longitudes_of_any_turn_become_those_of_one(read, lon, expected, with_bounds):
    half = (expected[1] - expected[0]) / 2
    variables = daily(lon=lon)
    if with_bounds:
        # As files have them round Greenwich: from 359.75 to 0.25.
        variables["lon_edges"] = (("lon", "bnds"), np.stack([lon - half, lon + half], axis=1) % 360)
        variables["lon"] = (("lon",), lon, {**EAST, "bounds": "lon_edges"})
    layout, field = read(variables)
    right(layout, field)
    np.testing.assert_allclose(grid_of(layout).lon.centres, expected)
    np.testing.assert_allclose(
        grid_of(layout).lon.bounds, np.stack([expected - half, expected + half], axis=1), atol=1e-9
    )


@pytest.mark.parametrize(
    "lon", [170 + np.arange(24.0), (170 + np.arange(24.0)) % 360 - 360, (350 + np.arange(24.0)) % 360 - 180]
)
def test_a_region_across_180_degrees_is_one_piece(read, lon):
    """As 170, 171, ... 193; in -180..180 its columns come in two pieces."""
    lon = np.where(lon < -180, lon + 360, lon)
    layout, field = read(daily(lon=lon))
    right(layout, field)
    np.testing.assert_allclose(grid_of(layout).lon.centres, 170 + np.arange(24.0))
    np.testing.assert_allclose(grid_of(layout).lon.bounds[[0, -1]], [[169.5, 170.5], [192.5, 193.5]])


def test_rows_at_the_poles_end_there(read):
    layout, _ = read(plane(np.arange(-90.0, 91, 5), LON))
    np.testing.assert_allclose(grid_of(layout).lat.bounds[[0, -1]], [[-90, -87.5], [87.5, 90]])


def test_coordinates_in_radians_become_degrees(read):
    bounds = np.radians(np.stack([LAT - 0.25, LAT + 0.25], axis=1))
    lat = (("lat",), np.radians(LAT), {"standard_name": "latitude", "units": "radian"})
    layout, field = read({**daily(), "lat": lat, "lat_bnds": (("lat", "two"), bounds)})
    right(layout, field)
    np.testing.assert_allclose(grid_of(layout).lat.bounds[0], [39.75, 40.25])


def test_the_standard_name_decides_between_two_coordinates_of_time(read):
    """A forecast of five days: when it began lies on the dimension, and what it is of beside it."""
    began = (("time",), np.arange(40.0), {**DAYS, "standard_name": "forecast_reference_time"})
    valid = (("time",), np.arange(40.0) + 5, {**DAYS, "standard_name": "time"})
    layout, _ = read({**daily(), "time": began, "valid_time": valid})
    assert days_of(layout).labels[0] == "2001-01-06"


def test_coordinates_by_units_or_standard_name_alone(read):
    variables = {
        "t": (("t",), np.arange(40.0), DAYS),
        "y": (("y",), LAT[::-1], {"standard_name": "latitude"}),
        "degrees": (("x",), LON, {"units": "degree_E"}),
        "tasmax": (("t", "y", "x"), daily()["tasmax"][1][:, ::-1], {"units": "K"}),
    }
    right(*read(variables))


def spelled(lat, lon):
    """The known field with its coordinates by other names and with other attributes."""
    known = daily()
    return {
        "time": known["time"], lat[0]: (("y",), LAT, lat[1]), lon[0]: (("x",), LON, lon[1]),
        "tasmax": (("time", "y", "x"), *known["tasmax"][1:]),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        (("y", {"units": "Degrees_North"}), ("x", {"units": "degrees east"})),
        (("south_north", {"units": "degreesN"}), ("west_east", {"units": "degree_E"})),
        (("nav_lat", {}), ("nav_lon", {"units": "degrees"})), (("LATITUDE", {}), ("Long", {})),
    ],
)  # fmt: skip
def test_coordinates_by_units_or_names_in_any_spelling(read, lat, lon):
    right(*read(spelled(lat, lon)))


def test_coordinates_whose_names_only_begin_alike_are_none(refusal):
    assert "has a latitude in degrees_north" in refusal(spelled(("latent", {}), ("lon", {})))
    rotated = {"units": "degrees_north", "standard_name": "grid_latitude"}
    assert "has a latitude in degrees_north" in refusal(spelled(("rlat", rotated), ("lon", {})))


@pytest.mark.parametrize(
    ("time", "times"),
    [
        ({"units": "days since 1850-01-01", "calendar": "noleap"}, 55_115 + np.arange(40) + 0.5),
        ({"units": "hours since 2001-01-01 12:00:00", "calendar": "365_day"}, 24 * np.arange(40)),
        ({"units": "days since 2000-12-31 18:00", "calendar": "NOLEAP"}, np.arange(40) + 0.25),
        ({"units": "seconds since 1970-01-01", "calendar": "365_day"}, 86400 * (31 * 365 + np.arange(40))),
    ],
)
def test_times_of_any_unit_and_hour_are_days(read, time, times):
    layout, field = read({**daily(), "time": (("time",), times.astype(float), time)})
    right(layout, field)
    assert days_of(layout).calendar == "noleap"
    assert days_of(layout).labels[0] == "2001-01-01"
    np.testing.assert_array_equal(days_of(layout).ordinal, 55_115 + np.arange(40))


@pytest.mark.parametrize(
    ("calendar", "ours", "first", "last"),
    [
        ("standard", "standard", "2004-02-01", "2004-03-11"),
        ("gregorian", "standard", "2004-02-01", "2004-03-11"),
        ("proleptic_gregorian", "standard", "2004-02-01", "2004-03-11"),
        ("noleap", "noleap", "2004-02-01", "2004-03-12"), ("360_day", "360_day", "2004-02-01", "2004-03-10"),
        (None, "standard", "2004-02-01", "2004-03-11"),
    ],
)  # fmt: skip
def test_calendars(read, calendar, ours, first, last):
    time = {"units": "days since 2004-02-01", **({} if calendar is None else {"calendar": calendar})}
    layout, field = read(daily(time=time))
    right(layout, field)
    assert days_of(layout).calendar == ours
    assert (days_of(layout).labels[0], days_of(layout).labels[-1]) == (first, last)


def test_a_stamp_at_the_end_of_its_day_is_of_the_day_that_its_bounds_enclose(read):
    ends = np.arange(1.0, 41)
    changes = {"time_bnds": (("time", "two"), np.stack([ends - 1, ends], axis=1))}
    layout, _ = read(daily(times=ends, time={**DAYS, "bounds": "time_bnds"}, **changes))
    assert days_of(layout).labels[:2] == ["2001-01-01", "2001-01-02"]
    layout, _ = read(daily(times=ends))
    assert days_of(layout).labels[0] == "2001-01-02"


def test_winters_alone_are_fine(read):
    times = np.concatenate([np.arange(90), 365 + np.arange(90)])
    layout, field = read(daily(times=times))
    right(layout, field)
    assert days_of(layout).labels[89:91] == ["2001-03-31", "2002-01-01"]


def stamped(times, **time):
    return {
        **daily(times=np.arange(len(times))),
        "time": (("time",), np.asarray(times, float), {**DAYS, **time}),
    }


def with_bounds(low, high):
    bounds = (("time", "two"), np.stack([low, high], axis=1))
    return daily(time={**DAYS, "bounds": "edges"}, edges=bounds)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (stamped([0, 1, 3, 2, 4]), "'time' is not sorted: 2001-01-04 is followed by 2001-01-03"),
        (stamped([0, 1, 1, 2, 4]), "'time' holds 2001-01-02 twice"),
        (stamped(np.arange(20) / 4), "'time' holds several times on 2001-01-01; expected one value a day"),
        (stamped([0, 1, np.nan, 3]), "coordinate 'time' has no finite value at index 2"),
        (stamped(range(9), calendar="julian"), "in the calendar 'julian'; expected one of standard"),
        (stamped(range(9), units="months since 2001-01-01"), "'time' counts in 'months since 2001-01-01'"),
        (stamped(range(9), units="day as %Y%m%d"), "'time' counts in 'day as %Y%m%d'; expected days, hours"),
        (with_bounds(np.arange(40), np.arange(40) + 30), "'time' span 30 days at 2001-01-01; expected daily"),
        (with_bounds(np.arange(10, 50), np.arange(11, 51)), "not enclose 2001-01-01: they are 2001-01-11"),
        ({**daily(), "time": None}, "dimension 'time' has no time coordinate"),
    ],
)  # fmt: skip
def test_times_out_of_order_or_not_daily_are_refused(refusal, variables, expected):
    assert expected in refusal({name: value for name, value in variables.items() if value is not None})


def plane(lat, lon, extra=()):
    field = np.zeros((3, len(lat), len(lon)), "f4") + 280
    return {
        "time": (("time",), np.arange(3.0), DAYS), "lat": (("lat",), np.asarray(lat), NORTH),
        "lon": (("lon",), np.asarray(lon), EAST), "tasmax": (("time", "lat", "lon"), field, {"units": "K"}),
        **dict(extra),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (plane([40.0, 41, 41, 43], LON), "'lat' is not sorted: 41 is followed by 41"),
        (plane([43.0, 41, 42, 40], LON), "'lat' is not sorted: 41 is followed by 42"),
        (plane([89.0, 90, 91], LON), "'lat' holds 91; expected degrees in -90..90"),
        (plane(LAT, [0.0, 120, 240, 360]), "'lon' holds 0 twice (as 0 and 360?); leave one out"),
        (plane(LAT, [0.0, 5, 10, 60, 65]), "'lon' jumps from 10 to 60: columns are left out; cut it there"),
        (plane(LAT, [170.0, 175, 180, 200, 205]), "'lon' jumps from -155 to 170: columns are left out"),
        (plane(LAT, [5e5, 6e5]), "'lon' holds 600000; expected degrees"),
        (plane(LAT, [1.0, np.nan, 3]), "coordinate 'lon' has no finite value at index 1"),
        (plane(LAT, [1.0]), "'lon' has 1 value"),
        (
            plane(LAT, LON, {"lat_bnds": (("lat", "two"), np.stack([LAT + 1, LAT + 2], axis=1))}),
            "the bounds of 'lat' do not enclose 40: they are 41 and 42",
        ),
    ],
)  # fmt: skip
def test_coordinates_that_are_no_grid_are_refused(refusal, variables, expected):
    assert expected in refusal(variables)


def test_grids_that_are_not_rectilinear_are_refused(refusal):
    y, x = np.meshgrid(LAT, LON, indexing="ij")
    field = np.zeros((3, *y.shape), "f4") + 280
    times = {"time": (("time",), np.arange(3.0), DAYS)}
    rotated = {
        **times, "lat": (("rlat", "rlon"), y, NORTH), "lon": (("rlat", "rlon"), x, EAST),
        "rlat": (("rlat",), LAT, {"standard_name": "grid_latitude", "units": "degrees", "axis": "Y"}),
        "rlon": (("rlon",), LON, {"standard_name": "grid_longitude", "units": "degrees", "axis": "X"}),
        "tasmax": (("time", "rlat", "rlon"), field, {"units": "K"}),
    }  # fmt: skip
    message = refusal(rotated)
    assert "its latitude 'lat' is two-dimensional (rlat, rlon), so its grid is not rectilinear" in message
    assert "regrid it first" in message
    metres = {**times, "y": (("y",), LAT, {"units": "m"}), "x": (("x",), LON, {"units": "m"})}
    metres["tasmax"] = (("time", "y", "x"), field, {"units": "K"})
    assert "none of its dimensions (time, y, x) has a latitude in degrees_north" in refusal(metres)
    stations = {**times, "lat": (("city",), LAT, NORTH), "lon": (("city",), LON[:20], EAST)}
    stations["tasmax"] = (("time", "city"), field[:, :, 0], {"units": "K"})
    assert "'lat' and 'lon' both lie along 'city', as those of stations do" in refusal(stations)
