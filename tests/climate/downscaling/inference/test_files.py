"""A stored model on somebody's own files: slice by slice, and what was odd about the days."""

from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Days, Grid
from convoy.climate.downscaling.inference.files import (
    Application,
    Record,
    attributes,
    inputs_side,
    settings,
    slice_days,
)
from convoy.climate.downscaling.inference.surface import surface_for
from convoy.climate.downscaling.models import specs as models
from convoy.core.artifact import StoredModel
from tests.support import downscaled
from tests.support.applications import application, applied, refusal, side_of
from tests.support.downscaled import of, opened, variables


def test_slices_equal_the_whole(network, home):
    fields = applied(application(network, home), home, 97)
    whole, spread = models.downscale(network, home)
    assert list(fields) == ["tasmax", "tasmax_sd"]
    np.testing.assert_allclose(fields["tasmax"], whole, rtol=0, atol=2e-3)
    np.testing.assert_allclose(fields["tasmax_sd"], spread, rtol=0, atol=2e-3)
    assert np.isfinite(whole).all()
    assert (spread > 0).all()


def test_a_day_without_an_input_has_no_fine_field(network, home):
    huss = home.inputs["huss"].copy()
    huss[7] = np.nan
    huss[9, :4] = np.nan
    holed = replace(home, inputs={**home.inputs, "huss": huss}).at(slice(0, 40))
    made = application(network, holed)
    fields = applied(made, holed, 20)
    for field in fields.values():
        assert np.isnan(field).all(axis=(1, 2)).tolist() == [day == 7 for day in range(40)]
        assert np.isfinite(np.delete(field, 7, axis=0)).all()
    whole = models.downscale(network, home.at(slice(0, 40)))[0]
    others = np.delete(np.arange(40), [7, 9])
    np.testing.assert_allclose(fields["tasmax"][others], whole[others], rtol=0, atol=2e-3)
    assert [line for line in made.warnings() if "missing" in line] == [
        "huss: 0.62% of the values are missing, on 1 of 40 days (2.5%); replaced by the nearest cell",
        "huss: missing in all cells on 1 of 40 days (2.5%): no fine fields",
    ]


def test_days_outside_the_range_are_counted():
    days = Days.years(2001, 1)
    field = np.full((365, 2, 3), 280.0, np.float32)
    field[3, 0, 0] = 305.0
    field[4] = 310.5
    field[300, 1, 2] = 249.0
    field[301, 1, 2] = 260 - 0.001  # of units that were converted, say
    record = Record(days, {"tasmax": [260, 300], "psl": [90_000, 110_000]})
    pressure = np.full((365, 2, 3), 100_000, np.float32)
    for start, stop in ((0, 4), (4, 200), (200, 365)):
        block = slice(start, stop)
        absent = record.note(days.at(block), {"tasmax": field[block], "psl": pressure[block]})
        assert not absent.any()
    (line,) = record.lines()
    assert line == (
        "tasmax: 3 of 365 days (0.8%) have values outside the 260 to 300 K that the model was trained on; "
        "the farthest is 249, on 2001-10-28"
    )


def test_days_within_the_range_give_no_warning(lapse, terrains):
    trained = terrains[0].at(slice(0, downscaled.TRAINED_DAYS))
    made = application(lapse, trained)
    applied(made, trained)
    assert made.warnings() == []
    one = application(lapse, trained.at(slice(0, 1)))
    assert one.summary().startswith("downscaled: 1 day, 2001-01-01 to ")
    assert made.remarks() == "The model was trained on a test's climate"
    assert made.summary() == (
        "downscaled: 200 days, 2001-01-01 to 2001-07-19 (noleap); tasmax by lapse_daily on 64 x 64 cells at "
        "lat 40 to 56, lon -8 to 8"
    )


def test_a_mean_that_no_climate_has_is_refused_where_there_is_a_year(ridge, terrains):
    year = terrains[0].at(slice(0, 365))
    low = {**year.inputs, "psl": np.full_like(year.inputs["psl"], 86_000)}
    low = replace(year, inputs=low)
    line = refusal(applied, application(ridge, low), low)
    assert "in.nc: variable 'psl' is 8.6e+04 Pa on average; expected 90000 to 108000" in line
    applied(application(ridge, low.at(slice(0, 364))), low.at(slice(0, 364)))


def test_the_mean_is_of_a_year_though_a_block_is_shorter_and_is_of_days_with_values(ridge, terrains):
    """Five days without values, 200 of 86 kPa, then 165 of 96 kPa, and more: 365 days with 90.52 kPa."""
    year = terrains[0].at(slice(0, 400))
    psl = np.full_like(year.inputs["psl"], 96_000)
    psl[:5], psl[5:205] = np.nan, 86_000
    of_psl = replace(year, inputs={"psl": psl})
    files = {"rest.nc": of(year, "tasmax", "huss"), "a.nc": of_psl.at(slice(0, 210))}
    files["b.nc"] = of_psl.at(slice(210, 400))

    def made(names):
        inputs = side_of(names, ridge)
        return Application(ridge, inputs, surface_for(ridge, inputs, None))

    assert len(applied(made(files), year, 10)["tasmax"]) == 400
    psl[5:240] = 86_000  # 89.56 kPa
    line = refusal(applied, made(files), year, 10)
    assert line.startswith("a.nc: variable 'psl' is 8.956e+04 Pa on average; expected 90000 to 108000")


def test_inputs_that_do_not_fit_the_model_are_refused(network, home):
    text = StoredModel({"kind": "textcnn", "network": {}}, {}, "{}", {})
    facts = [opened("in.nc", variables(home))]
    line = refusal(inputs_side, facts, text, {})
    assert line == (
        "model: a model 'textcnn' downscales nothing; name one of climate's, such as "
        "data/climate/models/residual or models:/climate-downscaling@champion"
    )
    line = refusal(inputs_side, facts, network, settings({"temp": "tx"}, {}))
    assert line == "no input 'temp' to name: the model needs tasmax, psl, huss"
    line = refusal(inputs_side, facts, network, settings({"tasmax": "tx"}, {}))
    assert "no variable 'tx': in.nc has tasmax, psl, huss" in line


def at_times(times, **attributes):
    def changed(written):
        dims, values, stated = written["time"]
        return {**written, "time": (dims, times(values), {**stated, **attributes})}

    return changed


def of_days(choose):
    def changed(written):
        return {
            name: (dims, choose(values) if "time" in dims else values, stated)
            for name, (dims, values, stated) in written.items()
        }

    return changed


def without_time(written):
    static = {
        name: (dims[1:], values[0], stated)
        for name, (dims, values, stated) in written.items()
        if len(dims) == 3
    }
    return {"lat": written["lat"], "lon": written["lon"], **static}


UNFIT = {
    "without an input": (
        lambda v: {name: v[name] for name in v if name != "psl"},
        "no variable psl (nor msl, ",
    ),
    "without time": (without_time, "has no time among its dimensions (lat, lon)"),
    "without days": (of_days(lambda values: values[:0]), "in.nc: no days in it: 'time' has length 0"),
    "without days or units": (
        lambda v: of_days(lambda values: values[:0])({**v, "time": (*v["time"][:2], {})}),
        "in.nc: no days in it: 'time' has length 0",
    ),
    "unknown calendar": (
        at_times(lambda t: t, calendar="mayan"),
        "calendar 'mayan'; expected one of standard",
    ),
    "times twice": (at_times(lambda t: np.maximum(t, t[1])), "'time' holds 2001-10-29 twice"),
    "unknown units": (
        lambda v: {**v, "psl": (*v["psl"][:2], {"units": "bananas"})},
        "states the units 'bananas'; expected one of Pa, hPa, kPa",
    ),
}


@pytest.mark.parametrize(("change", "words"), UNFIT.values(), ids=UNFIT)
def test_files_that_cannot_be_understood_are_refused(network, home, change, words):
    written = change(variables(home.at(slice(0, 20))))
    assert words in refusal(inputs_side, [opened("in.nc", written)], network, {})


def test_slices_are_shorter_on_large_grids():
    def days_of(rows, columns):
        return slice_days(Grid(Axis.regular(0, 0.01, rows), Axis.regular(0, 0.01, columns)))

    assert [days_of(64, 64), days_of(4, 4), days_of(128, 128), days_of(1000, 1000)] == [96, 96, 24, 1]


def test_the_file_says_where_it_comes_from(network):
    facts = opened("/somewhere/in.nc", {}, institution="X", source="CMIP", history="born", references="Y")
    assert attributes([facts], network, "1.2.3", "0123456789abcdef" * 4) == {
        "title": "Daily maximum near-surface air temperature, downscaled from in.nc",
        "institution": "X",
        "source": "convoy 1.2.3 downscale, model residual, sha256 0123456789abcdef; input: CMIP",
        "history": "convoy 1.2.3 downscale, model residual, sha256 0123456789abcdef: in.nc\nborn",
        "references": "Y",
    }


def test_of_several_files_each_thing_is_said_once(network):
    files = [
        opened(
            f"/somewhere/{name}.nc", {}, institution="X", source=f"CMIP, {name[:3]}", history=f"born {name}"
        )
        for name in ("psl_2001", "psl_2002", "tas_2001")
    ]
    found = attributes(files, network, "1.2.3", "0" * 64)
    assert found["title"].endswith("downscaled from psl_2001.nc and 2 more")
    assert found["institution"] == "X"
    assert found["source"].endswith("; input: CMIP, psl; CMIP, tas")
    assert found["history"].endswith(": psl_2001.nc, psl_2002.nc, tas_2001.nc\nborn psl_2001")
    assert "references" not in found


def test_an_input_of_any_name_is_brought_to_the_units_of_training(lapse, home):
    config = {**lapse.config, "inputs": ["tasmax", "ps"], "units": {"ps": "Pa"}}
    stored = replace(lapse, config={**config, "range": {"tasmax": [0, 999], "ps": [0, 1e6]}})
    written = variables(of(home, "tasmax"))
    dims, field, _ = written["tasmax"]

    def pressure(units):
        made = {**written, "ps": (dims, np.full_like(field, 900), {"units": units} if units else {})}
        return inputs_side([opened("in.nc", made)], stored, {})

    side = pressure("hPa")
    ((_, found),) = side.slices("ps", side.days("ps").at(slice(0, 3)))
    np.testing.assert_allclose(found, 90_000, rtol=1e-6)
    assert "in.nc: variable 'ps' states the units 'kg'; expected Pa" in refusal(pressure, "kg")
    assert "in.nc: variable 'ps' states no units; expected Pa" in refusal(pressure, "")


def without_truth(stored):
    """The model as if its training data had no truth in the first two rows of the fine grid."""
    known = np.ones((64, 64), np.uint8)
    known[:2] = 0
    return replace(stored, seeds={0: {**stored.tensors, "cells_with_truth": known}})


def test_cells_without_a_truth_in_training_are_missing_unless_fields_are_extended(network, home):
    stored, days = without_truth(network), home.at(slice(0, 5))
    inputs = side_of({"in.nc": days}, stored)
    whole = applied(application(network, days), days)["tasmax"]
    made = Application(stored, inputs, surface_for(stored, inputs, None))
    fields = applied(made, days)
    for name in ("tasmax", "tasmax_sd"):
        assert np.isnan(fields[name][:, :2]).all()
        assert (
            made.variables[name]["comment"] == "missing in the 128 of 4,096 cells without a truth in training"
        )
    np.testing.assert_array_equal(fields["tasmax"][:, 2:], whole[:, 2:])
    extended = Application(stored, inputs, surface_for(stored, inputs, None), extend=True)
    np.testing.assert_array_equal(applied(extended, days)["tasmax"], whole)
    assert extended.variables["tasmax"]["comment"].startswith("computed also in the 128 of 4,096 cells")
    assert "comment" not in application(network, days).variables["tasmax"]


def test_days_missing_inside_the_input_are_a_warning(lapse, home):
    seasons = home.at(np.r_[0:60, 70:120, 125:230])
    made = application(lapse, seasons)
    applied(made, seasons)
    assert [line for line in made.warnings() if "missing:" in line] == [
        "15 days are missing: 2001-12-26 is followed by 2002-01-06, the first of 2 gaps"
    ]


def test_an_input_without_any_value_is_refused(lapse, home):
    days = home.at(slice(0, 50))
    empty = replace(days, inputs={"tasmax": np.full_like(days.inputs["tasmax"], np.nan)})
    line = refusal(applied, application(lapse, empty), empty)
    assert line == "in.nc: tasmax: missing in all cells on all days"
