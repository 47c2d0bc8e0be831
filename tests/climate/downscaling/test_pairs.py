"""Grids from files as one domain: what is joined, left out and refused."""

import numpy as np
import pytest

from convoy.climate.data import io as grids
from convoy.climate.data.headers import read_headers
from convoy.climate.downscaling.data import GridsParams, summary
from convoy.climate.downscaling.pairs import home
from convoy.climate.gate.judgement import GateParams, judge
from convoy.core import params
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import LAT, LON, daily, kelvin
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
