"""Every spelling of a grid becomes one convention, and what cannot be understood is one line."""

import netCDF4
import numpy as np
import pytest

from convoy.climate.grids import conventions
from convoy.climate.grids.conventions import VariableParams
from convoy.errors import ConvoyError
from convoy.storage.netcdf import Reader
from tests.gridfiles import DAYS, EAST, FILL, LAT, LON, NORTH, daily, kelvin, write


@pytest.fixture(scope="module")
def reader():
    with Reader() as shared:
        yield shared


@pytest.fixture
def read(reader, tmp_path):
    """Write variables, lay the file out, and bring one of them to the convention."""

    def through(variables, name="tasmax", wanted=conventions.DAILY, **overrides):
        path = write(tmp_path / f"{len(list(tmp_path.iterdir()))}.nc", variables)
        facts = reader.facts(path)
        layout = conventions.layout(
            facts, {key: VariableParams.model_validate(value) for key, value in overrides.items()}, wanted
        )
        assert layout is not None
        return layout, layout.fields(name, reader.days(path, layout.stored[name].name))

    return through


@pytest.fixture
def refusal(read, tmp_path):
    """The line with which variables are refused, without the path."""

    def line(variables, name="tasmax", **arguments):
        with pytest.raises(ConvoyError) as caught:
            read(variables, name, **arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return line


def right(layout, field, atol=2e-4):
    """Whether the field has the known value everywhere, at the places and days that the layout says."""
    grid = layout.grid
    assert np.all(np.diff(grid.lat.centres) > 0)
    assert np.all(np.diff(grid.lon.centres) > 0)
    assert grid.lon.centres.min() >= -180
    assert grid.lon.centres.max() <= 180
    assert field.dtype == np.float32
    expected = kelvin(grid.lat.centres, grid.lon.centres, layout.days.ordinal)
    np.testing.assert_allclose(field, expected, atol=atol)


def transposed(variables, dims, name="tasmax"):
    old, values, attributes = variables[name]
    order = [old.index(dim) for dim in dims]
    return {**variables, name: (dims, values.transpose(order), attributes)}


def changed(variables, change, name="tasmax", **attributes):
    dims, values, old = variables[name]
    return {**variables, name: (dims, change(values.astype(np.float64)), {**old, **attributes})}


def test_the_convention_itself_stays_as_it_is(read):
    layout, field = read(daily())
    right(layout, field)
    np.testing.assert_array_equal(layout.grid.lat.centres, LAT)
    np.testing.assert_array_equal(layout.grid.lon.centres, LON)
    np.testing.assert_allclose(layout.grid.lat.bounds, np.stack([LAT - 0.25, LAT + 0.25], axis=1))
    np.testing.assert_allclose(layout.grid.lon.bounds, np.stack([LON - 0.25, LON + 0.25], axis=1))
    assert layout.days.calendar == "noleap"
    np.testing.assert_array_equal(layout.days.ordinal, 151 * 365 + np.arange(40))


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
    np.testing.assert_allclose(layout.grid.lat.bounds, bounds[::-1])


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
    np.testing.assert_allclose(layout.grid.lon.centres, expected)
    np.testing.assert_allclose(
        layout.grid.lon.bounds, np.stack([expected - half, expected + half], axis=1), atol=1e-9
    )


def test_coordinates_by_units_or_standard_name_alone(read):
    variables = {
        "t": (("t",), np.arange(40.0), DAYS),
        "y": (("y",), LAT[::-1], {"standard_name": "latitude"}),
        "degrees": (("x",), LON, {"units": "degree_E"}),
        "tasmax": (("t", "y", "x"), daily()["tasmax"][1][:, ::-1], {"units": "K"}),
    }
    right(*read(variables))


@pytest.mark.parametrize(
    ("units", "change"),
    [
        ("K", lambda k: k), ("kelvin", lambda k: k), ("degC", lambda k: k - 273.15),
        ("C", lambda k: k - 273.15), ("Celsius", lambda k: k - 273.15), ("degrees_C", lambda k: k - 273.15),
        ("°C", lambda k: k - 273.15), ("degF", lambda k: (k - 273.15) * 1.8 + 32),
    ],
)  # fmt: skip
def test_temperatures_become_kelvin(read, units, change):
    right(*read(changed(daily(units=units), change)))


@pytest.mark.parametrize(
    ("name", "ours", "units", "theirs"),
    [
        ("psl", 101_325.0, "hPa", 1013.25), ("psl", 101_325.0, "mb", 1013.25),
        ("huss", 0.0075, "g kg-1", 7.5), ("huss", 0.0075, "g/kg", 7.5), ("huss", 0.0075, "1", 0.0075),
        ("huss", 0.0075, "kg kg**-1", 0.0075),
        ("pr", 1 / 86400, "mm day-1", 1), ("pr", 1 / 86400, "mm/d", 1), ("pr", 1 / 86400, "mm", 1),
        ("pr", 1e-5, "mm s-1", 1e-5), ("pr", 1e-5, "kg m-2 s-1", 1e-5), ("pr", 1e-5, "kg m^-2 s^-1", 1e-5),
        ("pr", 1e-5, "m s-1", 1e-8), ("pr", 1 / 86400, "m", 1e-3), ("sfcWind", 5.0, "km/h", 18.0),
        ("sfcWind", 5.0, "m s**-1", 5.0), ("sfcWind", 1852 / 3600, "knots", 1.0),
    ],
)  # fmt: skip
def test_units_of_the_other_variables(read, name, ours, units, theirs):
    _, field = read(changed(daily(name=name, units=units), lambda k: np.full_like(k, theirs), name), name)
    np.testing.assert_allclose(field, ours, rtol=1e-6)


@pytest.mark.parametrize(
    ("units", "height"), [("m", 1500.0), ("km", 1.5), ("m**2 s**-2", 1500 * 9.80665), ("m2 s-2", 14709.975)]
)
@pytest.mark.parametrize("name", ["orog", "z", "elevation"])
def test_elevation_from_any_orography(read, units, height, name):
    static = {name: daily()[name] for name in ("lat", "lon")}
    values = np.full((1, len(LAT), len(LON)), height)
    times = {"time": (("time",), np.array([0.0]), DAYS)}
    for dims, stored in ((("lat", "lon"), values[0]), (("time", "lat", "lon"), values)):
        made = {**static, **times, name: (dims, stored, {"units": units})}
        layout, field = read(made, "elevation", wanted=("elevation",))
        assert layout.days is None
        np.testing.assert_allclose(field, np.full((len(LAT), len(LON)), 1500.0), rtol=1e-6)


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
    assert layout.stored[ours].name == theirs


def test_the_map_of_variables_names_them_and_overrides_their_units(read, refusal):
    celsius = changed(daily(name="t2m", units="K"), lambda k: k - 273.15, "t2m")
    layout, field = read(celsius, tasmax={"name": "t2m", "units": "degC"})
    right(layout, field)
    assert set(layout.stored) == {"tasmax"}  # t2m is no `tas` any more
    right(*read(celsius, "tas", tas={"units": "degC"}))
    right(*read(daily(name="hot"), tasmax="hot"))
    # A name that this file has not is looked for in others; units go with the name.
    assert "expected 150 to 350" in refusal(celsius, "tas", tas={"name": "TG", "units": "degC"})
    both = daily(tx=daily()["tasmax"])
    right(*read(both))
    assert read(both, tasmax="tx")[0].stored["tasmax"].name == "tx"


def test_of_two_usual_names_one_has_to_be_chosen(refusal):
    message = refusal(daily(name="tx", mx2t=daily()["tasmax"]))
    assert "tx and mx2t could each be tasmax; choose one: climate.grids.variables: {tasmax: " in message


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
    assert layout.days.calendar == "noleap"
    assert layout.days.labels[0] == "2001-01-01"
    np.testing.assert_array_equal(layout.days.ordinal, 55_115 + np.arange(40))


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
    assert layout.days.calendar == ours
    assert (layout.days.labels[0], layout.days.labels[-1]) == (first, last)


def test_a_stamp_at_the_end_of_its_day_is_of_the_day_that_its_bounds_enclose(read):
    ends = np.arange(1.0, 41)
    changes = {"time_bnds": (("time", "two"), np.stack([ends - 1, ends], axis=1))}
    layout, _ = read(daily(times=ends, time={**DAYS, "bounds": "time_bnds"}, **changes))
    assert layout.days.labels[:2] == ["2001-01-01", "2001-01-02"]
    layout, _ = read(daily(times=ends))
    assert layout.days.labels[0] == "2001-01-02"


def test_winters_alone_are_fine(read):
    times = np.concatenate([np.arange(90), 365 + np.arange(90)])
    layout, field = read(daily(times=times))
    right(layout, field)
    assert layout.days.labels[89:91] == ["2001-03-31", "2002-01-01"]


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
    layout = conventions.layout(reader.facts(path), {})
    whole = layout.fields("tasmax", reader.days(path, "tasmax"))
    part = layout.window(slice(2, 9), slice(5, 8))
    field = part.fields("tasmax", reader.days(path, "tasmax", 10, 30), 10)
    np.testing.assert_array_equal(field, whole[10:30, 2:9, 5:8])
    expected = kelvin(part.grid.lat.centres, part.grid.lon.centres, part.days.ordinal[10:30])
    np.testing.assert_allclose(field, expected, atol=2e-4)


@pytest.mark.parametrize(
    ("change", "units", "expected"),
    [
        (lambda k: k - 273.15, "K", ["K at 2001-01-01, lat 40, lon 1 (", "expected 150 to 350", "'K'"]),
        (lambda k: k, "degC", ["K at 2001-01-01", "are its units 'degC'?", "{tasmax: {units: ...}}"]),
        (lambda k: k, None, ["states no units", "expected one of K, degC, degF", "{tasmax: {units: ...}}"]),
        (lambda k: k, "furlong", ["states the units 'furlong'", "expected one of K, degC, degF"]),
        (lambda k: np.where(k > k.max() - 1e-6, 999.0, k), "K", ["is 999 K at ", "(the first of 1)"]),
    ],
)
def test_units_that_are_unknown_or_wrong_are_refused(refusal, change, units, expected):
    message = refusal(changed(daily(units=units), change))
    assert message.startswith("0.nc: variable 'tasmax' ")
    for words in expected:
        assert words in message


@pytest.mark.parametrize(
    ("name", "units", "value", "mean"),
    [
        ("huss", "g/kg", 8e-6, "8e-09"), ("pr", "mm/day", 3e-8, "3.472e-13"), ("tas", "K", 170.0, "170"),
        ("pr", "kg m-2 s-1", 0.01, "0.01"),
    ],
)  # fmt: skip
def test_a_mean_that_no_region_has_betrays_the_unit(read, name, units, value, mean):
    layout, field = read(changed(daily(name=name, units=units), lambda k: np.full_like(k, value), name), name)
    with pytest.raises(ConvoyError, match=rf"variable '{name}' is {mean} .* on average; .*'{units}'"):
        layout.check_mean(name, float(field.mean(dtype=float)))


def test_a_mean_that_a_region_has_passes(read):
    layout, field = read(daily())
    layout.check_mean("tasmax", float(field.mean(dtype=float)))


def test_an_unknown_unit_in_the_map_is_refused(refusal):
    message = refusal(daily(), tasmax={"units": "metres"})
    assert message == "climate.grids.variables.tasmax.units: expected one of K, degC, degF; found 'metres'"


def stamped(times, **time):
    return {
        **daily(times=np.arange(len(times))),
        "time": (("time",), np.asarray(times, float), {**DAYS, **time}),
    }


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (stamped([0, 1, 3, 2, 4]), "'time' is not sorted: 2001-01-04 is followed by 2001-01-03"),
        (stamped([0, 1, 1, 2, 4]), "'time' holds 2001-01-02 twice"),
        (stamped(np.arange(20) / 4), "'time' holds several times on 2001-01-01; expected one value a day"),
        (stamped(np.arange(20) * 30), "'time' goes on by 30 days as a rule; expected daily values"),
        (stamped([0, 1, np.nan, 3]), "coordinate 'time' has no finite value at index 2"),
        (stamped(range(9), calendar="julian"), "in the calendar 'julian'; expected one of standard"),
        (stamped(range(9), units="months since 2001-01-01"), "'time' counts in 'months since 2001-01-01'"),
        (stamped(range(9), units="day as %Y%m%d"), "'time' counts in 'day as %Y%m%d'; expected days, hours"),
        ({**daily(), "time": None}, "dimension 'time' has no coordinate that says when"),
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
        (plane(LAT, [170.0, 175, 180, 185, 190]), "'lon' jumps from -170 to 170: a grid across 180"),
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


def test_variables_with_more_dimensions_or_without_time_are_refused(refusal):
    variables = daily()
    dims, values, attributes = variables["tasmax"]
    members = {**variables, "tasmax": (("member", *dims), np.stack([values, values]), attributes)}
    assert "has 2 values along 'member'; expected time, latitude and longitude alone" in refusal(members)
    static = {**variables, "tasmax": (dims[1:], values[0], attributes)}
    assert "variable 'tasmax' has no time among its dimensions (lat, lon)" in refusal(static)


def test_what_no_file_has_is_refused_with_what_there_is(reader, tmp_path):
    path = write(tmp_path / "x.nc", daily(name="heat"))
    facts = reader.facts(path)
    assert conventions.layout(facts, {}) is None
    with pytest.raises(ConvoyError) as caught:
        conventions.require([facts], [None], ["tasmax"])
    assert str(caught.value).startswith("no variable tasmax (nor tx, tmax, ")
    assert f"{path} has heat; if it has another name, say so: climate.grids.variables: {{tasmax: " in str(
        caught.value
    )
    with pytest.raises(
        ConvoyError, match=r"climate\.grids\.variables\.tasmax\.name: no variable 'hot': .* has heat"
    ):
        conventions.check_names([facts], {"tasmax": VariableParams(name="hot")})
    conventions.check_names([facts], {"tasmax": VariableParams(name="heat")})


def real(real_data, start):
    return next((real_data / "grids").glob(f"{start}*"))


@pytest.mark.parametrize(
    ("model", "calendar", "days"), [("CanESM2", "noleap", 365), ("HadGEM2", "360_day", 360)]
)
def test_the_real_grids(reader, real_data, model, calendar, days):
    path = real(real_data, f"tasmax_day_{model}")
    layout = conventions.layout(reader.facts(path), {})
    field = layout.fields("tasmax", reader.days(path, "tasmax"))
    assert set(layout.stored) == {"tasmax"}
    assert (layout.days.calendar, len(layout.days)) == (calendar, days)
    assert (layout.days.labels[0], layout.days.labels[-1]) == ("2095-01-01", f"2095-12-{30 + (days == 365)}")
    with netCDF4.Dataset(str(path)) as file:
        expected = file["tasmax"][:].filled(np.nan)[:, ::-1]
        np.testing.assert_array_equal(layout.grid.lat.centres, file["lat"][:][::-1].astype(float))
    np.testing.assert_array_equal(field, expected)
    # Two neighbours at the western edge have no values, in the file's second row from the north.
    np.testing.assert_array_equal(np.argwhere(np.isnan(field).all(axis=0)), [[34, 0], [34, 1]])
    np.testing.assert_allclose(np.diff(layout.grid.lon.bounds), 1 / 12, atol=2e-5)


@pytest.mark.parametrize("model", ["CanESM2", "HadGEM2"])
def test_the_precipitation_of_the_real_grids(reader, real_data, model):
    """They say mm s-1 of liquid water, and their year of 1,180 mm is New England's: as much as kg m-2 s-1."""
    path = real(real_data, f"pr_day_{model}")
    facts, raw = reader.facts(path), reader.days(path, "pr")
    assert facts.variables["pr"].attributes["units"] == "mm s-1"
    fields = {
        units: conventions.layout(facts, {"pr": VariableParams(units=units)}).fields("pr", raw)
        for units in (None, "kg m-2 s-1", "mm day-1")
    }
    np.testing.assert_array_equal(fields[None], fields["kg m-2 s-1"])
    year = 86400 * np.nanmean(fields[None], axis=(1, 2), dtype=float).sum()
    assert 1150 < year < 1210
    np.testing.assert_allclose(fields["mm day-1"], fields[None] / 86400, rtol=1e-6)
    layout = conventions.layout(facts, {"pr": VariableParams(units="mm day-1")})
    with pytest.raises(ConvoyError, match="on average"):
        layout.check_mean("pr", float(np.nanmean(fields["mm day-1"], dtype=float)))
