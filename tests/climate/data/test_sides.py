"""Files of one side are joined day by day, and those that do not go together are one line."""

import numpy as np
import pytest

from tests.support.gridfiles import DAYS, LAT, LON, daily
from tests.support.known import COARSE_LAT, block_means, coarse_file, values


def test_variables_and_years_in_several_files_are_joined(build):
    early, late = np.arange(20.0), np.arange(20.0, 40)
    files = {
        "late.nc": daily(times=late, name="tx"),
        "early.nc": daily(times=early, lat=LAT[::-1]),
        "tn.nc": daily(times=np.arange(1.0, 45), name="tn"),
        "rr.nc": daily(times=np.arange(38.0), name="rr", units="mm"),
    }
    dims, field, units = files["rr.nc"]["rr"]
    files["rr.nc"]["rr"] = (dims, field * 0 + 4, units)
    source = {"fine": ["late.nc", "early.nc", "tn.nc", "rr.nc"], "factor": 4}
    domain, facts = build(files, source)
    assert list(domain.inputs) == facts["inputs"] == ["tasmax", "tasmin", "pr"]
    # From the second day, which tasmin begins with, to the 38th, which rr ends with.
    assert (domain.days.labels[0], domain.days.labels[-1], len(domain.days)) == (
        "2001-01-02",
        "2001-02-07",
        37,
    )
    assert facts["left_out"] == {
        "days of fine tasmax": 3, "days of fine tasmin": 7, "days of fine pr": 1,
    }  # fmt: skip
    assert facts["source"] == "late.nc, early.nc, tn.nc and 1 more; coarse: means of 4 x 4 cells"
    np.testing.assert_allclose(domain.target, values(domain), atol=2e-4)
    for name in ("tasmax", "tasmin"):
        np.testing.assert_allclose(domain.inputs[name], block_means(values(domain), LAT, 4), atol=2e-4)
    np.testing.assert_allclose(domain.inputs["pr"], 4 / 86400, rtol=1e-6)
    chosen = {"inputs": ["tasmin", "tasmax"], "target": "tasmin"}
    domain, facts = build(files, source | {"fine": ["late.nc", "early.nc", "tn.nc"]}, **chosen)
    assert facts["inputs"] == ["tasmin", "tasmax"]
    assert domain.inputs["tasmin"].shape == (39, 5, 6)


def test_files_that_take_turns_are_put_in_order(build):
    files = {"odd.nc": daily(times=np.r_[0:10, 20:30]), "even.nc": daily(times=np.r_[10:20, 30:40])}
    domain, _ = build(files, {"fine": ["even.nc", "odd.nc"], "factor": 4})
    np.testing.assert_array_equal(np.diff(domain.days.ordinal), 1)
    np.testing.assert_allclose(domain.target, values(domain), atol=2e-4)


def test_long_files_are_read_in_slices(build, monkeypatch):
    monkeypatch.setattr("convoy.climate.data.sides.VALUES_A_SLICE", 7 * len(LAT) * len(LON))
    domain, _ = build({"x.nc": daily()}, {"fine": "x.nc", "factor": 4})
    np.testing.assert_allclose(domain.target, values(domain), atol=2e-4)
    np.testing.assert_allclose(domain.inputs["tasmax"], block_means(values(domain), LAT, 4), atol=2e-4)


def shifted(variables, name="lon", by=0.2):
    dims, values, attributes = variables[name]
    return {**variables, name: (dims, values + by, attributes)}


BOTH = {"fine": ["a.nc", "b.nc"], "factor": 4}


def monthly(times, **changes):
    return daily(times=np.asarray(times, float), **changes)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"a.nc": monthly(np.arange(12) * 30.0)},
            "a.nc: tasmax: 2001-01-01 is followed by 2001-01-31, 30 days as a rule; expected daily values",
        ),
        ({"a.nc": monthly([15.0]), "b.nc": monthly([45.0])}, "tasmax: 2001-01-16 is followed by 2001-02-15"),
        (
            {"a.nc": monthly([*range(40), *range(60, 660, 30)])},
            "tasmax: 2001-02-09 is followed by 2001-03-02",
        ),
        (
            {"a.nc": monthly([*range(40), *range(60, 75), *range(90, 130)])},
            "2001-02-09 is followed by 2001-03-02; expected",
        ),
    ],
)
def test_steps_that_are_not_a_day_within_and_across_files_are_refused(build_refusal, files, expected):
    assert expected in build_refusal(files, {"fine": list(files), "factor": 4})


def test_cell_methods_that_contradict_the_variable_are_refused_unless_it_is_named(build, build_refusal):
    def of(method, name="tasmax", units="K"):
        variables = daily(name=name)
        dims, field, _ = variables[name]
        return {**variables, name: (dims, field, {"units": units, "cell_methods": method})}

    source = {"fine": "x.nc", "factor": 4}
    for method in ("time: minimum", "time: point", "area: mean time: minimum (interval: 1 hour)"):
        line = build_refusal({"x.nc": of(method)}, source)
        assert f"x.nc: variable 'tasmax' has the cell methods '{method}'; expected 'time: maximum'" in line
    for method in ("time: maximum", "time: maximum within days time: mean over days", "area: mean"):
        assert build({"x.nc": of(method)}, source)[1]["inputs"] == ["tasmax"]
    assert build({"x.nc": of("time: point")}, source, variables={"tasmax": "tasmax"})[1]["inputs"] == [
        "tasmax"
    ]


def test_variables_are_found_by_their_standard_name(build, build_refusal):
    def of(name, standard_name, values, units, **attributes):
        stated = {"units": units, "standard_name": standard_name, **attributes}
        return {name: (("time", "lat", "lon"), np.full((40, 20, 24), values, "f4"), stated)}

    field = daily()["tasmax"][1]
    warmest = {"t": (("time", "lat", "lon"), field, {
        "units": "K", "standard_name": "air_temperature", "cell_methods": "time: maximum"})}  # fmt: skip
    x = {
        **daily(), **warmest, **of("slp_", "air_pressure_at_mean_sea_level", 1013.0, "hPa"),
        # Of a level, though of the same standard name as huss.
        **of("hus850", "specific_humidity", 0.004, "1"),
    }  # fmt: skip
    del x["tasmax"]
    # The attributes decide, not the name.
    named_otherwise = {**daily(name="tas"), "tas": (*daily()["tasmax"][:2], warmest["t"][2])}
    found = build({"x.nc": named_otherwise}, {"fine": "x.nc", "factor": 4})[1]
    assert found["inputs"] == ["tasmax"]
    mean = {**warmest["t"][2], "cell_methods": "time: mean"}
    line = build_refusal(
        {"x.nc": {**daily(), "tasmax": (*daily()["tasmax"][:2], mean)}}, {"fine": "x.nc", "factor": 4}
    )
    assert "no variable tasmax (nor tx, " in line
    assert "x.nc has tasmax (tas by its attributes)" in line
    heights = {**daily(), "h": (("lat", "lon"), np.full((20, 24), 700.0), {
        "units": "m", "standard_name": "surface_altitude"})}  # fmt: skip
    del heights["tasmax"]
    domain, facts = build({"x.nc": x, "o.nc": heights}, {"fine": "x.nc", "factor": 4, "orography": "o.nc"})
    assert facts["inputs"] == ["tasmax", "psl"]
    np.testing.assert_allclose(domain.inputs["psl"], 101_300)
    assert (domain.static["elevation"] == 700).all()


def test_any_field_may_be_an_input_by_any_name_and_level(build, build_refusal):
    level = {"plev": (("plev",), np.array([85_000.0, 50_000.0]), {"units": "Pa"})}
    values = np.stack([np.full((40, 20, 24), 280.0), np.full((40, 20, 24), 250.0)], axis=1).astype("f4")
    air = {**daily(), **level, "ta": (("time", "plev", "lat", "lon"), values, {"units": "K"})}
    del air["tasmax"]
    files = {
        "x.nc": daily(zg=(("time", "lat", "lon"), 5500 + daily()["tasmax"][1], {"units": "gpm"})),
        "ta.nc": air,
    }
    source = {"fine": ["x.nc", "ta.nc"], "factor": 4}
    named = {"zg500": "zg", "ta500": {"name": "ta", "level": "500 hPa"}}
    domain, facts = build(files, source, variables=named)
    assert facts["inputs"] == ["tasmax", "zg500", "ta500"]
    assert facts["units"] == {"zg500": "gpm", "ta500": "K"}
    np.testing.assert_allclose(domain.inputs["ta500"], 250, rtol=1e-6)
    np.testing.assert_allclose(domain.inputs["zg500"], 5500 + domain.inputs["tasmax"], rtol=1e-6)
    line = build_refusal(files, source, variables={"ta700": {"name": "ta", "level": "700 hPa"}})
    assert "ta.nc: variable 'ta' (ta700) has no level '700 hPa' along 'plev' (85000, 50000 Pa)" in line
    # Another file in other units is brought to those of the first; without units none is taken.
    both = {"a.nc": daily(times=np.arange(20.0)), "b.nc": daily(times=np.arange(20.0, 40))}
    for file, units, scale in (("a.nc", "Pa", 100.0), ("b.nc", "hPa", 1.0)):
        pressure = np.full((20, 20, 24), 900 * scale, "f4")
        both[file]["ps"] = (("time", "lat", "lon"), pressure, {"units": units})
    domain, facts = build(both, {"fine": ["a.nc", "b.nc"], "factor": 4}, variables={"ps": "ps"})
    assert facts["units"] == {"ps": "Pa"}
    np.testing.assert_allclose(domain.inputs["ps"], 90_000, rtol=1e-6)
    both["b.nc"]["ps"][2].pop("units")
    line = build_refusal(both, {"fine": ["a.nc", "b.nc"], "factor": 4}, variables={"ps": "ps"})
    assert "b.nc: variable 'ps' states no units; expected Pa; set them" in line
    for file, units, degrees in (("a.nc", "K", 280.0), ("b.nc", "degC", 6.85)):
        both[file]["soil"] = (("time", "lat", "lon"), np.full((20, 20, 24), degrees, "f4"), {"units": units})
    domain, _ = build(both, {"fine": ["a.nc", "b.nc"], "factor": 4}, variables={"soil": "soil"})
    np.testing.assert_allclose(domain.inputs["soil"], 280, rtol=1e-6)
    line = build_refusal(files, source, variables={"ta700": "ta"})
    assert "has 2 values along 'plev'" in line


FINE_AND_COARSE = {"fine": "fine.nc", "coarse": "coarse.nc"}


@pytest.mark.parametrize(
    ("files", "source", "expected"),
    [
        (
            {"a.nc": daily(), "b.nc": shifted(daily(name="tasmin"))}, BOTH,
            "b.nc: 20 x 24 cells at lat 39.75 to 49.75, lon 0.95 to 12.95; expected the grid of a.nc: 20 x ",
        ),
        (
            {"a.nc": daily(), "b.nc": daily(times=np.arange(39.0, 60))}, BOTH,
            "b.nc: tasmax of 2001-02-09 is in a.nc too",
        ),
        (
            {"a.nc": daily()}, {"fine": ["a.nc", "a.nc"], "factor": 4},
            "a.nc is named twice; expected each file once",
        ),
        (
            {"a.nc": daily(), "b.nc": daily(name="tn", time={**DAYS, "calendar": "360_day"})},
            BOTH, "b.nc: calendar '360_day', but 'noleap' in a.nc",
        ),
        (
            {"a.nc": daily(), "b.nc": daily(name="tn", times=np.arange(50.0, 60))}, BOTH,
            "in all variables: fine tasmax 2001-01-01 to 2001-02-09; fine tasmin 2001-02-20 to 2001-03-01",
        ),
        ({"a.nc": daily(name="tn")}, {"fine": "a.nc", "factor": 4}, "no variable tasmax (nor tx, "),
        (
            {"a.nc": daily(), "b.nc": daily(name="heat")}, BOTH,
            "none of the variables wanted (tasmax, tasmin, tas, psl, huss, pr, sfcWind): b.nc has heat; ",
        ),
        (
            {"fine.nc": daily(), "coarse.nc": coarse_file(time={**DAYS, "calendar": "standard"})},
            FINE_AND_COARSE,
            "coarse.nc: calendar 'standard', but 'noleap' in fine.nc",
        ),
        (
            {"fine.nc": daily(), "coarse.nc": coarse_file(lat=COARSE_LAT - 60)}, FINE_AND_COARSE,
            "coarse.nc: lies at lat -22.35 to -9.35, lon -1.65 to 18.75, fine.nc at lat 39.75 to 49.75",
        ),
        (
            {"fine.nc": daily(), "coarse.nc": daily(lat=40 + np.arange(20) / 4)}, FINE_AND_COARSE,
            "coarse.nc: cells of 0.25 degrees; expected larger ones than those of fine.nc (0.5)",
        ),
        (
            {"fine.nc": daily(), "coarse.nc": daily(lat=np.arange(30.0, 60, 4), lon=np.arange(-9.0, 30, 3))},
            FINE_AND_COARSE, "fine.nc: covers 2 x 4 coarse cells; expected 4 x 4 or more",
        ),
        (
            {"fine.nc": daily(), "coarse.nc": coarse_file(name="tn")}, FINE_AND_COARSE,
            "no variable tasmax (nor tx, ",
        ),
        (
            {"fine.nc": daily(), "coarse.nc": coarse_file(units="degC")}, FINE_AND_COARSE,
            "coarse.nc: variable 'tasmax' is 5",
        ),
    ],
)  # fmt: skip
def test_files_that_do_not_go_together_are_refused(build_refusal, files, source, expected):
    assert expected in build_refusal(files, source)


def test_a_unit_that_only_the_mean_betrays_is_refused(build_refusal):
    variables = daily(name="huss", units="g/kg")
    dims, field, units = variables["huss"]
    variables["huss"] = (dims, field * 0 + 0.008, units)
    message = build_refusal({"x.nc": daily(), "h.nc": variables}, {"fine": ["x.nc", "h.nc"], "factor": 4})
    assert message.startswith("h.nc: variable 'huss' is 8e-06 kg kg-1 on average; expected 1e-05 to 0.03")


def test_the_variables_of_the_map_may_stand_in_any_of_the_files(build, build_refusal):
    files = {"fine.nc": daily(name="hot"), "coarse.nc": coarse_file(name="warm")}
    domain, _ = build(
        {**files, "coarse.nc": coarse_file(name="tx")}, FINE_AND_COARSE, variables={"tasmax": {"name": "hot"}}
    )
    assert set(domain.inputs) == {"tasmax"}
    message = build_refusal(files, FINE_AND_COARSE, variables={"tasmax": "cold"})
    assert message.startswith(
        "climate.grids.variables.tasmax.name: no variable 'cold': fine.nc has hot; coarse.nc has "
    )
