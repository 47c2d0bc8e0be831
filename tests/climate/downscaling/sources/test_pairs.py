"""Grids from files as one domain: what is joined, left out and refused."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from convoy.climate.data import io as grids
from convoy.climate.data.headers import read_headers
from convoy.climate.downscaling.sources.grids import GridsParams, summary
from convoy.climate.downscaling.sources.pairs import home
from convoy.climate.gate.judgement import GateParams, judge
from convoy.core import params
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import EAST, LAT, LON, NORTH, daily, kelvin
from tests.support.known import COARSE_LAT, COARSE_LON, block_means, coarse_file, values


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
    keys = ("target", "inputs", "factor", "perfect", "noise_floor", "left_out")
    assert {key: facts[key] for key in keys} == {
        "target": "tasmax", "inputs": ["tasmax"], "factor": 4, "perfect": True,
        "noise_floor": None, "left_out": {},
    }  # fmt: skip
    assert facts["source"] == "x.nc; coarse: means of 4 x 4 cells"
    assert facts["splits"]["test"] == [{"domain": "home", "from": "2001-02-01", "to": "2001-02-09"}]


def test_what_is_written_is_read_again(build, tmp_path):
    variables = daily(times=np.arange(365.0), units="degC")
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


def test_rows_and_columns_beyond_whole_blocks_are_left_out(build, build_refusal):
    source = {"fine": "x.nc", "factor": 5}
    domain, facts = build({"x.nc": daily()}, source)
    assert (domain.fine.shape, domain.coarse.shape) == ((20, 20), (4, 4))
    assert facts["left_out"] == {"fine columns": 4}
    assert build_refusal({"x.nc": daily()}, {**source, "factor": 6}).startswith(
        "x.nc: covers 3 x 4 coarse cells; expected 4 x 4 or more"
    )


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


def test_the_gate_judges_what_ingestion_recorded(build, tmp_path):
    """A day without values, and values below zero by rounding, are mended and counted, and pass the gate."""
    variables = daily(times=np.arange(400.0))
    dims, field, units = variables["tasmax"]
    field = field.copy()
    field[57] = np.nan
    variables["tasmax"] = (dims, field, {**units, "_FillValue": np.float32(np.nan)})
    draw = np.random.default_rng(0).gamma(0.5, 1e-5, field.shape).astype("f4")
    draw[3, 2, 1] = -1e-12
    humid = (0.008 + 0.002 * np.random.default_rng(1).random(field.shape)).astype("f4")
    humid[:, :4, :4] = -1e-9
    variables["pr"] = (dims, draw, {"units": "kg m-2 s-1"})
    variables["huss"] = (dims, humid, {"units": "1"})
    domain, facts = build({"x.nc": variables}, {"fine": "x.nc", "factor": 4}, split=None)
    assert facts["days_left_out"] == ["2001-02-27"]
    assert facts["at_zero"] == {"pr": 1, "huss": 400 * 16}
    assert min(field.min() for field in domain.inputs.values()) == 0
    grids.write(tmp_path / "grids", [domain], facts)
    verdict = judge(*read_headers(tmp_path / "grids"), GateParams())[0]
    assert [finding.name for finding in verdict.failures] == []
    assert [finding.name for finding in verdict.warnings] == ["days_left_out"]
    grids.write(tmp_path / "silent", [domain], {**facts, "days_left_out": []})
    verdict = judge(*read_headers(tmp_path / "silent"), GateParams())[0]
    assert "days_missing" in [finding.name for finding in verdict.failures]


def test_grids_over_the_poles_and_across_the_dateline_pass_the_gate(build, tmp_path):
    for name, lat, lon in (
        ("poles", np.arange(-90.0, 91, 5), np.arange(24) * 5.0),
        ("dateline", LAT, (170 + np.arange(24)) % 360 - 360.0 * ((170 + np.arange(24)) % 360 > 180)),
    ):
        variables = daily(lat=lat, lon=lon, times=np.arange(400.0))
        dims, _, units = variables["tasmax"]
        noise = np.random.default_rng(2).normal(280, 5, (400, len(lat), len(lon))).astype("f4")
        variables["tasmax"] = (dims, noise, units)
        domain, facts = build({"x.nc": variables}, {"fine": "x.nc", "factor": 2}, split=None)
        grids.write(tmp_path / name, [domain], facts)
        verdict = judge(*read_headers(tmp_path / name), GateParams())[0]
        assert (verdict.failures, verdict.warnings) == ((), ()), name


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
    assert (facts["factor"], facts["perfect"], facts["noise_floor"]) == (None, False, None)
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


PRESSURE_LAT, PRESSURE_LON = 39.1 + 2.1 * np.arange(6), 0.2 + 2.5 * np.arange(7)


def staggered(lat=PRESSURE_LAT, lon=PRESSURE_LON, missing=()):
    """A pressure file on a grid of its own: 1e5 Pa and a bit of the known field."""
    made = coarse_file(lat=lat, lon=lon, name="psl", units="Pa")
    dims, field, units = made["psl"]
    field = (1e5 + 10 * field).astype("f4")
    for row, column in missing:
        field[:, row, column] = np.nan
    return {**made, "psl": (dims, field, {**units, "_FillValue": np.float32(np.nan)})}


def by_scipy(domain, lat, lon):
    """The known field on the grid (lat, lon), brought to the coarse grid of the domain."""
    own = kelvin(lat, lon, domain.days.ordinal).transpose(1, 2, 0)
    places = np.stack(np.meshgrid(domain.coarse.lat.centres, domain.coarse.lon.centres, indexing="ij"), -1)
    between = RegularGridInterpolator((lat, lon), own, bounds_error=False, fill_value=None)
    return between(places).transpose(2, 0, 1)


def test_inputs_on_several_coarse_grids_are_brought_to_that_of_the_target(build, build_refusal, tmp_path):
    files = {"fine.nc": daily(), "tx.nc": coarse_file(), "psl.nc": staggered()}
    source = {"fine": "fine.nc", "coarse": ["psl.nc", "tx.nc"]}
    domain, facts = build(files, source)
    alone, _ = build(files, {**source, "coarse": "tx.nc"})
    np.testing.assert_array_equal(domain.coarse.lat.centres, alone.coarse.lat.centres)
    np.testing.assert_array_equal(domain.inputs["tasmax"], alone.inputs["tasmax"])
    expected = 1e5 + 10 * by_scipy(domain, PRESSURE_LAT, PRESSURE_LON)
    np.testing.assert_allclose(domain.inputs["psl"], expected, rtol=3e-7)
    extent = "6 x 7 cells at lat 38.05 to 50.65, lon -1.05 to 16.45"
    assert (facts["coarse_grid"], facts["interpolated"]) == ("tasmax", {"psl": extent})
    assert summary(facts).splitlines()[3] == (
        f"Interpolated bilinearly to the coarse grid of tasmax: psl (from {extent})."
    )
    grids.write(tmp_path / "grids", [domain], facts)
    (test,) = grids.read(tmp_path / "grids", "test")
    np.testing.assert_array_equal(test.inputs["psl"], domain.inputs["psl"][-len(test.days) :])
    warned = judge(*read_headers(tmp_path / "grids"), GateParams())[0].warnings
    (found,) = [finding for finding in warned if finding.name == "interpolated"]
    assert [example.value for example in found.examples] == [f"interpolated from {extent}"]
    # The other way round, by params.
    domain, facts = build(files, {**source, "coarse_grid": "psl"})
    assert set(domain.coarse.lat.centres) <= set(PRESSURE_LAT)
    own = kelvin(domain.coarse.lat.centres, domain.coarse.lon.centres, domain.days.ordinal)
    np.testing.assert_allclose(domain.inputs["psl"], 1e5 + 10 * own, rtol=1e-7)
    expected = by_scipy(domain, COARSE_LAT, np.sort((COARSE_LON + 180) % 360 - 180))
    np.testing.assert_allclose(domain.inputs["tasmax"], expected, rtol=3e-7)
    assert list(facts["interpolated"]) == ["tasmax"]
    line = build_refusal(files, {**source, "coarse_grid": "huss"})
    assert line == ("climate.grids.source.coarse_grid: expected one of the inputs, tasmax, psl; found 'huss'")
    # Years of one variable have one grid, and of fine files all variables.
    later = staggered(lat=PRESSURE_LAT + 0.3)
    later["time"] = (("time",), np.arange(40.0, 80), later["time"][2])
    line = build_refusal({**files, "z.nc": later}, {**source, "coarse": ["psl.nc", "tx.nc", "z.nc"]})
    assert line.startswith("z.nc: 6 x 7 cells at lat 38.35 to 50.95, ")


def test_inputs_are_not_extrapolated_beyond_half_a_cell(build, build_refusal):
    files = {"fine.nc": daily(), "tx.nc": coarse_file(), "psl.nc": staggered()}
    source = {"fine": "fine.nc", "coarse": ["tx.nc", "psl.nc"]}
    domain, _ = build(files, source)
    first = float(domain.coarse.lat.centres[0])
    # Less than half a cell of 2.1 degrees beyond the outermost centre, and more.
    near, far = (first + share * 2.1 + 2.1 * np.arange(6) for share in (0.49, 0.52))
    domain, _ = build({**files, "psl.nc": staggered(lat=near)}, source)
    expected = 1e5 + 10 * by_scipy(domain, near, PRESSURE_LON)
    np.testing.assert_allclose(domain.inputs["psl"], expected, rtol=3e-7)
    line = build_refusal({**files, "psl.nc": staggered(lat=far)}, source)
    last = float(domain.coarse.lat.centres[-1])
    assert line.startswith("psl.nc: psl: 6 x 7 cells at lat ")
    assert f"do not reach lat {first:.5g} to {last:.5g}, to which it is to be interpolated" in line


def test_missing_cells_of_another_grid_are_interpolated_from_the_others(build):
    files = {"fine.nc": daily(), "tx.nc": coarse_file(), "psl.nc": staggered(missing=[(2, 3)])}
    domain, _ = build(files, {"fine": "fine.nc", "coarse": ["tx.nc", "psl.nc"]})
    lat, lon = domain.coarse.lat.centres[:, None], domain.coarse.lon.centres[None, :]
    weight = np.clip(1 - np.abs(lat - PRESSURE_LAT[2]) / 2.1, 0, 1) * np.clip(
        1 - np.abs(lon - PRESSURE_LON[3]) / 2.5, 0, 1
    )
    np.testing.assert_array_equal(np.isnan(domain.inputs["psl"][0]), weight > 0.5)
    assert (weight > 0.5).any()
    whole = 1e5 + 10 * by_scipy(domain, PRESSURE_LAT, PRESSURE_LON)
    np.testing.assert_allclose(domain.inputs["psl"][:, weight == 0], whole[:, weight == 0], rtol=3e-7)


def test_the_orography_of_the_coarse_model_itself(build, build_refusal):
    files = {"fine.nc": daily(), "tx.nc": coarse_file()}
    for name, lat, lon, level in (
        ("o.nc", LAT, LON, 500.0),
        ("c.nc", COARSE_LAT, np.sort((COARSE_LON + 180) % 360 - 180), 300.0),
    ):
        axes = {"lat": (("lat",), lat, NORTH), "lon": (("lon",), lon, EAST)}
        height_m = level + 100 * (lat[:, None] - 45) + 0 * lon
        files[name] = {**axes, "orog": (("lat", "lon"), height_m.astype("f4"), {"units": "m"})}
    source = {"fine": "fine.nc", "coarse": "tx.nc", "orography": "o.nc"}
    domain, facts = build(files, {**source, "coarse_orography": "c.nc"})
    own = 300 + 100 * (domain.coarse.lat.centres[:, None] - 45)
    np.testing.assert_allclose(
        domain.coarse_static["elevation"], np.broadcast_to(own, domain.coarse.shape), rtol=1e-5
    )
    means, _ = build(files, source)
    np.testing.assert_array_equal(domain.static["elevation"], means.static["elevation"])
    assert (means.coarse_static["elevation"] - domain.coarse_static["elevation"]).min() > 150
    assert facts["source"] == "fine.nc; coarse: tx.nc; orography: o.nc; coarse orography: c.nc"
    line = build_refusal(files, {"fine": "fine.nc", "coarse": "tx.nc", "coarse_orography": "c.nc"})
    assert "'coarse_orography' needs 'orography', the heights of the fine grid" in line


def test_two_real_grids_that_nest_have_their_factor(build):
    lat, lon = (axis.reshape(-1, 2).mean(axis=1) for axis in (LAT, LON))
    domain, facts = build(
        {"fine.nc": daily(), "coarse.nc": daily(lat=lat, lon=lon)}, {"fine": "fine.nc", "coarse": "coarse.nc"}
    )
    assert (facts["factor"], facts["perfect"], facts["left_out"]) == (2, False, {})
    assert (domain.fine.shape, domain.coarse.shape) == ((20, 24), (10, 12))


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
    domain, facts = home(parsed, {path: reader.open(path) for path in paths})
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
        home(parsed, {path: reader.open(path) for path in (fine, other)})
