"""Grids from files as one domain: what is joined, left out and refused; and synthetic ones."""

import re

import numpy as np
import pytest

from convoy import params
from convoy.climate.grids.pairs import home
from convoy.climate.grids.source import GridsParams, made, summary
from convoy.climate.world import synthetic
from convoy.errors import ConvoyError
from convoy.storage import grids
from convoy.storage.netcdf import Reader
from tests.gridfiles import DAYS, EAST, LAT, LON, NORTH, daily, kelvin, write

YEAR = np.arange(365.0)
SPLIT = {
    "train": [["2001-01-01", "2001-01-20"]], "validation": [["2001-01-21", "2001-01-30"]],
    "test": [["2001-02-01", "2001-02-09"]],
}  # fmt: skip


@pytest.fixture(scope="module")
def reader():
    with Reader() as shared:
        yield shared


@pytest.fixture
def build(reader, tmp_path):
    """The domain and the facts of files (name -> variables), with `source` by their names."""

    def through(files, source, **section):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        paths = {name: str(write(folder / name, variables)) for name, variables in files.items()}

        def named(value):
            return [paths[name] for name in value] if isinstance(value, list) else paths.get(value, value)

        given = {"source": {key: named(value) for key, value in source.items()}, "split": SPLIT, **section}
        parsed = params.parse(given, GridsParams, where="climate.grids")
        told = {path: reader.facts(path) for path in parsed.paths()}
        return home(parsed, told, reader.days)

    return through


@pytest.fixture
def refusal(build, tmp_path):
    def line(*arguments, **section):
        with pytest.raises(ConvoyError) as caught:
            build(*arguments, **section)
        assert "\n" not in str(caught.value)
        return re.sub(rf"{tmp_path}/\d+/", "", str(caught.value))

    return line


def block_means(field, lat, factor):
    """Means over blocks, weighted by the areas on the sphere of cells half a degree high."""
    weights = np.sin(np.radians(lat + 0.25)) - np.sin(np.radians(lat - 0.25))
    shape = (-1, len(lat) // factor, factor, field.shape[-1] // factor, factor)
    rows = (field.astype(float) * weights[:, None]).reshape(shape).sum(axis=(2, 4))
    return rows / (weights.reshape(-1, factor).sum(axis=1)[:, None] * factor)


def values(domain):
    return kelvin(domain.fine.lat.centres, domain.fine.lon.centres, domain.days.ordinal)


def test_a_factor_makes_the_coarse_grid_of_block_means(build):
    domain, facts = build({"x.nc": daily(lat=LAT[::-1])}, {"fine": "x.nc", "factor": 4})
    assert (domain.name, domain.place, domain.fine.shape, domain.coarse.shape) == (
        "home",
        "home",
        (20, 24),
        (5, 6),
    )
    np.testing.assert_allclose(domain.target, values(domain), atol=2e-4)
    np.testing.assert_allclose(domain.inputs["tasmax"], block_means(values(domain), LAT, 4), atol=2e-4)
    np.testing.assert_allclose(domain.coarse.lat.bounds[:2], [[39.75, 41.75], [41.75, 43.75]])
    np.testing.assert_allclose(domain.coarse.lon.centres[:2], [1.75, 3.75])
    assert {key: facts[key] for key in ("target", "inputs", "factor", "perfect", "floor", "left_out")} == {
        "target": "tasmax", "inputs": ["tasmax"], "factor": 4, "perfect": True, "floor": None, "left_out": {},
    }  # fmt: skip
    assert facts["source"] == "x.nc; coarse: means of 4 x 4 cells"
    assert facts["splits"]["test"] == [{"domain": "home", "from": "2001-02-01", "to": "2001-02-09"}]


def test_what_is_written_is_read_again(build, tmp_path):
    variables = daily(times=YEAR, units="degC")
    dims, field, units = variables["tasmax"]
    field = np.where(field < field.min() + 1e-3, -999.0, field - 273.15).astype("f4")
    variables["tasmax"] = (dims, field, {**units, "_FillValue": np.float32(-999)})
    domain, facts = build({"x.nc": variables}, {"fine": "x.nc", "factor": 4}, split=None)
    assert facts["split_by"] == "blocks"
    grids.write(tmp_path / "grids", [domain], facts)
    assert grids.read_facts(tmp_path / "grids")["splits"] == facts["splits"]
    days = 0
    for split in ("train", "validation", "test"):
        (part,) = grids.read(tmp_path / "grids", split)
        days += len(part.days)
        chosen = np.isin(domain.days.ordinal, part.days.ordinal)
        np.testing.assert_array_equal(part.target, domain.target[chosen])
        np.testing.assert_array_equal(part.inputs["tasmax"], domain.inputs["tasmax"][chosen])
    assert 300 < days < 365
    lines = summary(grids.read_facts(tmp_path / "grids")).splitlines()
    assert lines[0] == "grids of x.nc; coarse: means of 4 x 4 cells: tasmax from tasmax, 4 to 1"
    assert lines[1].startswith("split by blocks: ")
    assert lines[2] == "left out: nothing"


def test_rows_and_columns_beyond_whole_blocks_are_left_out(build, refusal):
    source = {"fine": "x.nc", "factor": 5}
    domain, facts = build({"x.nc": daily()}, source)
    assert (domain.fine.shape, domain.coarse.shape) == ((20, 20), (4, 4))
    assert facts["left_out"] == {"fine columns": 4}
    assert refusal({"x.nc": daily()}, {**source, "factor": 6}).startswith(
        "x.nc: covers 3 x 4 coarse cells; expected 4 x 4 or more"
    )


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
    monkeypatch.setattr("convoy.climate.grids.sides.VALUES_A_SLICE", 7 * len(LAT) * len(LON))
    domain, _ = build({"x.nc": daily()}, {"fine": "x.nc", "factor": 4})
    np.testing.assert_allclose(domain.target, values(domain), atol=2e-4)
    np.testing.assert_allclose(domain.inputs["tasmax"], block_means(values(domain), LAT, 4), atol=2e-4)


def test_missing_cells_and_days(build):
    variables = daily()
    dims, field, units = variables["tasmax"]
    field = field.copy()
    field[:, :3, :4] = np.nan  # three quarters of the first block at all times
    field[:, 4, 4] = np.nan  # one cell of another
    field[7] = np.nan  # and all of a day
    variables["tasmax"] = (dims, field, {**units, "_FillValue": np.float32(np.nan)})
    domain, facts = build({"x.nc": variables}, {"fine": "x.nc", "factor": 4})
    assert facts["left_out"] == {"days without values": 1}
    assert "2001-01-08" not in domain.days.labels
    assert len(domain.target) == len(domain.inputs["tasmax"]) == 39
    assert np.isnan(domain.target[:, :3, :4]).all()
    assert np.isnan(domain.target).sum() == 39 * 13
    assert np.isnan(domain.inputs["tasmax"][:, 0, 0]).all()
    assert np.isnan(domain.inputs["tasmax"]).sum() == 39
    # Without an orography the height is unknown, and the land is where there are values.
    assert set(domain.static) == {"elevation", "latitude", "land"}
    assert not domain.static["elevation"].any()
    assert not domain.coarse_static["elevation"].any()
    np.testing.assert_array_equal(domain.static["land"], ~np.isnan(domain.target[0]))
    np.testing.assert_array_equal(domain.static["latitude"], np.repeat(LAT[:, None].astype("f4"), 24, axis=1))


COARSE_LAT = 38.3 + 1.3 * np.arange(10)
COARSE_LON = (359.2 + 1.7 * np.arange(12)) % 360


def coarse_file(lat=COARSE_LAT[::-1], lon=COARSE_LON, **changes):
    return daily(lat=lat, lon=lon, **changes)


def test_two_real_grids_need_not_be_aligned(build):
    files = {
        "fine.nc": daily(times=np.arange(5.0, 40)),
        "tasmax.nc": coarse_file(units="degC", times=np.arange(35.0)),
        "psl.nc": coarse_file(name="msl", units="hPa", times=np.arange(38.0)),
    }
    for name, variable, change in (
        ("tasmax.nc", "tasmax", lambda k: k - 273.15),
        ("psl.nc", "msl", lambda k: k + 720),
    ):
        dims, field, units = files[name][variable]
        files[name][variable] = (dims, change(field), units)
    domain, facts = build(files, {"fine": "fine.nc", "coarse": ["psl.nc", "tasmax.nc"]})
    assert facts["inputs"] == ["tasmax", "psl"]
    assert (facts["factor"], facts["perfect"], facts["floor"]) == (None, False, None)
    assert facts["source"] == "fine.nc; coarse: psl.nc, tasmax.nc"
    assert (domain.days.labels[0], domain.days.labels[-1]) == ("2001-01-06", "2001-02-04")
    assert facts["left_out"] == {
        "days of fine tasmax": 5, "days of coarse tasmax": 5, "days of coarse psl": 8,
        "fine rows": 2, "fine columns": 2,  # 40 and 49.5 N, 12 and 12.5 E
    }  # fmt: skip
    at_coarse = kelvin(domain.coarse.lat.centres, domain.coarse.lon.centres, domain.days.ordinal)
    np.testing.assert_allclose(domain.inputs["tasmax"], at_coarse, atol=2e-4)
    np.testing.assert_allclose(domain.inputs["psl"], 100 * (at_coarse + 720), rtol=1e-6)
    np.testing.assert_allclose(domain.target, values(domain), atol=2e-4)
    # Of the coarse cells those that the fine grid covers by half or more; of the fine ones those inside them.
    for wide, narrow, whole, fine in (
        (domain.coarse.lat, domain.fine.lat, COARSE_LAT, LAT),
        (domain.coarse.lon, domain.fine.lon, np.sort((COARSE_LON + 180) % 360 - 180), LON),
    ):
        half = (whole[1] - whole[0]) / 2
        shared = np.minimum(whole + half, fine[-1] + 0.25) - np.maximum(whole - half, fine[0] - 0.25)
        np.testing.assert_allclose(wide.centres, whole[shared >= half])
        inside = (fine >= wide.bounds[0, 0]) & (fine <= wide.bounds[-1, 1])
        np.testing.assert_allclose(narrow.centres, fine[inside])


def test_two_real_grids_that_nest_have_their_factor(build):
    lat, lon = (axis.reshape(-1, 2).mean(axis=1) for axis in (LAT, LON))
    domain, facts = build(
        {"fine.nc": daily(), "coarse.nc": daily(lat=lat, lon=lon)}, {"fine": "fine.nc", "coarse": "coarse.nc"}
    )
    assert (facts["factor"], facts["perfect"], facts["left_out"]) == (2, False, {})
    assert (domain.fine.shape, domain.coarse.shape) == ((20, 24), (10, 12))


def orography(lat, lon, height, name="orog", units="m"):
    return {
        "lat": (("lat",), lat, NORTH),
        "lon": (("lon",), lon, EAST),
        name: (("lat", "lon"), height, {"units": units}),
    }


def test_elevation_comes_from_an_orography_on_any_grid(build):
    def slope(lat, lon):
        return 100 * (np.asarray(lat)[:, None] - 38) + 20 * np.asarray(lon)[None, :]

    fine = slope(LAT, LON)
    narrow = {"lat": 39.8 + np.arange(100) / 10, "lon": 0.8 + np.arange(120) / 10}
    wide = {"lat": np.arange(38.0, 53, 2), "lon": np.arange(0.0, 16, 2)}
    tall = slope(**narrow)
    # Of ten cells to a degree five lie in each of ours: 39.8 to 40.2 round 40.
    blocks = block_means_of(tall, narrow["lat"])
    for name, file, expected, tolerance in (
        ("same", orography(LAT[::-1], LON, fine[::-1] * 9.80665, "z", "m2 s-2"), fine, 1e-2),
        ("narrow", orography(**narrow, height=tall), blocks, 1e-2),
        ("wide", orography(**wide, height=slope(**wide)), fine, 1e-2),
    ):
        domain, facts = build(
            {"x.nc": daily(), f"{name}.nc": file}, {"fine": "x.nc", "factor": 4, "orography": f"{name}.nc"}
        )
        np.testing.assert_allclose(domain.static["elevation"], expected, atol=tolerance, err_msg=name)
        assert set(domain.static) == {"elevation", "coast", "slope_east", "slope_north", "valley", "latitude"}
        np.testing.assert_allclose(domain.static["slope_north"], 100 / 111.2, rtol=1e-2, err_msg=name)
        np.testing.assert_allclose(
            domain.coarse_static["elevation"], block_means(expected[None], LAT, 4)[0], rtol=1e-4, err_msg=name
        )
        assert facts["source"].endswith(f"; orography: {name}.nc")


def block_means_of(field, lat):
    """Area means over blocks of 5 x 5 cells of a tenth of a degree."""
    weights = np.cos(np.radians(lat)).reshape(-1, 5)
    rows = (field.reshape(20, 5, 24, 5).mean(axis=3) * weights[:, :, None]).sum(axis=1)
    return rows / weights.sum(axis=1)[:, None]


def test_the_sea_floor_is_at_sea_level_and_missing_cells_are_the_sea(build):
    height = np.where(np.arange(24) < 12, -3000.0, 200.0) * np.ones((20, 1))
    files = {"x.nc": daily(), "o.nc": orography(LAT, LON, height)}
    source = {"fine": "x.nc", "factor": 4, "orography": "o.nc"}
    domain, _ = build(files, source)
    np.testing.assert_array_equal(domain.static["elevation"], np.maximum(height, 0))
    assert (domain.static["coast"][:, :12] < 0).all()
    assert (domain.static["coast"][:, 12:] > 0).all()
    # A polder is land, as there are values; heights to -430 m stay as they are.
    dims, field, units = daily()["tasmax"]
    field = field.copy()
    field[:, :, 20:] = np.nan
    files["x.nc"]["tasmax"] = (dims, field, {**units, "_FillValue": np.float32(np.nan)})
    files["o.nc"] = orography(LAT, LON, np.full((20, 24), -3.0))
    domain, _ = build(files, source)
    assert (domain.static["elevation"] == -3).all()
    assert (domain.static["coast"][:, :20] > 0).all()
    assert (domain.static["coast"][:, 20:] < 0).all()


def test_an_orography_that_does_not_fit_is_refused(refusal):
    source = {"fine": "x.nc", "factor": 4, "orography": "o.nc"}
    small = orography(LAT[2:], LON, np.zeros((18, 24)))
    assert refusal({"x.nc": daily(), "o.nc": small}, source) == (
        "o.nc: the orography lies at lat 40.75 to 49.75, lon 0.75 to 12.75, the fine grid at lat 39.75 to "
        "49.75, lon 0.75 to 12.75; expected one that reaches over all of it"
    )
    none = orography(LAT, LON, np.zeros((20, 24)), "relief")
    assert "no variable elevation (nor orog, z, " in refusal({"x.nc": daily(), "o.nc": none}, source)
    assert "o.nc has relief" in refusal({"x.nc": daily(), "o.nc": none}, source)


def shifted(variables, name="lon", by=0.2):
    dims, values, attributes = variables[name]
    return {**variables, name: (dims, values + by, attributes)}


BOTH = {"fine": ["a.nc", "b.nc"], "factor": 4}
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
            "b.nc: tasmax of 2001-02-09 stands in a.nc too",
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
def test_files_that_do_not_go_together_are_refused(refusal, files, source, expected):
    assert expected in refusal(files, source)


def test_a_unit_that_only_the_mean_betrays_is_refused(refusal):
    variables = daily(name="huss", units="g/kg")
    dims, field, units = variables["huss"]
    variables["huss"] = (dims, field * 0 + 0.008, units)
    message = refusal({"x.nc": daily(), "h.nc": variables}, {"fine": ["x.nc", "h.nc"], "factor": 4})
    assert message.startswith("h.nc: variable 'huss' is 8e-06 kg kg-1 on average; expected 1e-05 to 0.03")


def test_the_variables_of_the_map_may_stand_in_any_of_the_files(build, refusal):
    files = {"fine.nc": daily(name="hot"), "coarse.nc": coarse_file(name="warm")}
    domain, _ = build(
        {**files, "coarse.nc": coarse_file(name="tx")}, FINE_AND_COARSE, variables={"tasmax": {"name": "hot"}}
    )
    assert set(domain.inputs) == {"tasmax"}
    message = refusal(files, FINE_AND_COARSE, variables={"tasmax": "cold"})
    assert message.startswith(
        "climate.grids.variables.tasmax.name: no variable 'cold': fine.nc has hot; coarse.nc has "
    )


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"source": "sinthetic"}, "key 'source.name': expected 'synthetic'; found \"sinthetic\""),
        ({"source": {"fine": "x.nc"}}, "expected either 'factor' or 'coarse' beside 'fine'"),
        ({"source": {"fine": "x.nc", "factor": 4, "coarse": "y.nc"}}, "expected either 'factor' or 'coarse'"),
        ({"source": {"fine": "x.nc", "factor": 1}}, "key 'source.files.factor'"),
        ({"source": {"fine": [], "factor": 4}}, "key 'source.files.fine'"),
        ({"source": {"fine": "x.nc", "faktor": 4}}, "unknown key 'source.files.faktor'"),
        (
            {"source": {"fine": "x.nc", "factor": 4}, "target": "heat"},
            "unknown variable 'heat'; expected one of",
        ),
        ({"source": {"fine": "x.nc", "factor": 4}, "inputs": ["psl"]}, "inputs lack the target 'tasmax'"),
        ({"source": {"fine": "x.nc", "factor": 4}, "variables": {"t": {}}}, "variables: unknown 't'"),
        ({"source": {"fine": "x.nc", "factor": 4}, "variables": {"pr": {"unit": "m"}}}, "variables.pr.unit"),
        ({"target": "psl"}, "the synthetic source has the target tasmax"),
        ({"inputs": ["tasmax", "pr"]}, "unknown variable 'pr'; expected one of tasmax, psl, huss"),
        ({"variables": {"pr": {"units": "m"}}}, "no 'variables' or 'split'"),
        ({"split": SPLIT}, "no 'variables' or 'split'"),
    ],
)
def test_impossible_params_are_refused(section, expected):
    with pytest.raises(ConvoyError) as caught:
        params.parse(section, GridsParams, where="climate.grids")
    assert expected in str(caught.value)


def test_the_synthetic_climate_has_its_floor_where_inputs_are_perfect():
    section = params.parse({"synthetic": {"years": 5}}, GridsParams, where="climate.grids")
    domains, facts = made(section)
    assert next(domains).name == "home"
    assert facts["inputs"] == ["tasmax", "psl", "huss"]
    assert facts["splits"] == synthetic.splits(section.synthetic)
    assert (facts["factor"], facts["perfect"], facts["target"]) == (4, True, "tasmax")
    assert 0.3 < facts["floor"] < 0.5
    imperfect = {"synthetic": {"years": 5, "inputs": "imperfect"}, "inputs": ["psl", "tasmax"]}
    _, facts = made(params.parse(imperfect, GridsParams, where="climate.grids"))
    assert (facts["floor"], facts["perfect"], facts["inputs"]) == (None, False, ["tasmax", "psl"])
    assert "imperfect" in summary(facts).splitlines()[0]


@pytest.mark.parametrize(
    ("model", "calendar", "days"), [("CanESM2", "noleap", 365), ("HadGEM2", "360_day", 360)]
)
def test_the_real_grids(reader, real_data, tmp_path, model, calendar, days):
    """36 x 36 cells, of which two have no values: one of nine by nine blocks lacks two of its sixteen."""
    paths = [
        str(next((real_data / "grids").glob(f"{name}_day_{model}*"))) for name in ("tasmax", "tasmin", "pr")
    ]
    section = {"source": {"fine": paths, "factor": 4}, "variables": {"pr": {"units": "kg m-2 s-1"}}}
    parsed = params.parse(section, GridsParams, where="climate.grids")
    domain, facts = home(parsed, {path: reader.facts(path) for path in paths}, reader.days)
    assert (domain.fine.shape, domain.coarse.shape, domain.days.calendar) == ((36, 36), (9, 9), calendar)
    assert (len(domain.days), facts["inputs"], facts["left_out"]) == (days, ["tasmax", "tasmin", "pr"], {})
    assert np.isnan(domain.target).sum() == 2 * days
    assert not any(np.isnan(field).any() for field in domain.inputs.values())
    # Cells of one row are of one size: the mean over a block is close to the plain one.
    plain = np.nanmean(domain.target.reshape(days, 9, 4, 9, 4), axis=(2, 4))
    np.testing.assert_allclose(domain.inputs["tasmax"], plain, atol=0.02)
    assert (domain.inputs["tasmin"].mean() < domain.inputs["tasmax"].mean()).all()
    np.testing.assert_array_equal(np.argwhere(domain.static["land"] == 0), [[34, 0], [34, 1]])
    grids.write(tmp_path / "grids", [domain], facts)
    stored = sum(
        len(grids.read(tmp_path / "grids", split)[0].days) for split in ("train", "validation", "test")
    )
    assert stored == days - 8 * 3


def test_real_grids_of_two_calendars_are_refused(reader, real_data):
    fine, other = (str(next((real_data / "grids").glob(f"tasmax_day_{model}*"))) for model in ("Can", "Had"))
    parsed = params.parse(
        {"source": {"fine": [fine, other], "factor": 4}}, GridsParams, where="climate.grids"
    )
    with pytest.raises(ConvoyError, match="calendar '360_day', but 'noleap' in"):
        home(parsed, {path: reader.facts(path) for path in (fine, other)}, reader.days)
