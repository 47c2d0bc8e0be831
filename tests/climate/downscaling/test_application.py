"""A stored model on somebody's own file: which ground, slice by slice, and what was odd about the days."""

from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.downscaling import models
from convoy.climate.downscaling.application import (
    Application,
    Record,
    attributes,
    inputs_layout,
    settings,
    slice_days,
)
from convoy.climate.downscaling.application_ground import ground_for, heights_layout, other_ground, own_ground
from convoy.errors import ConvoyError
from convoy.storage.grids import Axis, Days, Grid
from convoy.storage.models import StoredModel
from tests import downscaled
from tests.downscaled import facts_of, variables


@pytest.fixture(scope="module")
def climate():
    return downscaled.climate()


@pytest.fixture(scope="module")
def home(climate):
    return climate[0].at(slice(300, 530))


@pytest.fixture(scope="module")
def network(climate):
    return downscaled.stored("residual", climate[0], spread="normal")


@pytest.fixture(scope="module")
def lapse(climate):
    return downscaled.stored("lapse_daily", climate[0])


@pytest.fixture(scope="module")
def ridge(climate):
    return downscaled.stored("ridge", climate[0])


def application(stored, domain, heights=None):
    layout = inputs_layout(facts_of("in.nc", variables(domain)), stored, {})
    return Application(stored, layout, ground_for(stored, layout, heights))


def applied(made, domain, *ends):
    """All fields by name, in blocks that end before these days; the spans cover each day once, in order."""
    blocks = [
        (first, {name: field[first:last] for name, field in domain.inputs.items()})
        for first, last in zip((0, *ends), (*ends, len(domain.days)), strict=True)
    ]
    told = []
    parts = list(made.parts(blocks, lambda *words: told.append(words)))
    days = [day for span, _ in parts for day in range(span.start, span.stop)]
    assert days == list(range(len(domain.days)))
    assert told == [("days", span.stop, len(days)) for span, _ in parts]
    return {name: np.concatenate([fields[name] for _, fields in parts]) for name in parts[0][1]}


def refusal(call, *arguments):
    with pytest.raises(ConvoyError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_slices_equal_the_whole(network, home):
    fields = applied(application(network, home), home, 97, 110)
    whole, spread = models.downscale(network, home)
    assert list(fields) == ["tasmax", "tasmax_sd"]
    np.testing.assert_allclose(fields["tasmax"], whole, rtol=0, atol=2e-3)
    np.testing.assert_allclose(fields["tasmax_sd"], spread, rtol=0, atol=2e-3)
    assert np.isfinite(whole).all()
    assert (spread > 0).all()


@pytest.mark.parametrize("model", ["lapse", "ridge"])
def test_a_wider_input_is_cut_to_the_model_s_own_grid(model, home, request):
    stored = request.getfixturevalue(model)
    wide = Grid(Axis.regular(37, 1, 20), Axis.regular(-9, 1, 18))
    inputs = {name: np.pad(field, ((0, 0), (3, 1), (1, 1))) for name, field in home.inputs.items()}
    for name, field in inputs.items():
        field[:, :3] = 95_000 if name == "psl" else 0.001 if name == "huss" else 200
        field[:, -1:] = field[:, :, :1] = field[:, :, -1:] = field[:1, :1, :1]
    domain = replace(home, coarse=wide, inputs=inputs)
    fields = applied(application(stored, domain), domain)
    np.testing.assert_array_equal(fields["tasmax"], models.downscale(stored, home)[0])


def test_another_grid_than_the_model_s_is_no_home(network, ridge, home):
    for grid in (
        Grid(Axis.regular(40, 1, 15), home.coarse.lon),
        Grid(Axis.regular(40.02, 1, 16), home.coarse.lon),
        Grid(home.coarse.lat, Axis.regular(-8, 0.5, 40)),
    ):
        assert own_ground(network, grid) is None
        domain = replace(home, coarse=grid, inputs={
            name: field[:, :1, :1] + np.zeros(grid.shape, np.float32) for name, field in home.inputs.items()
        })  # fmt: skip
        layout = inputs_layout(facts_of("in.nc", variables(domain)), network, {})
        line = refusal(ground_for, network, layout, None)
        assert "do not hold the grid that the model was trained on, 16 x 16 cells at lat 40 to 56" in line
        assert "name the heights on the fine grid to make with --orography" in line
        assert refusal(ground_for, ridge, layout, None).endswith("a model 'ridge' knows that ground alone")
    assert own_ground(network, Grid(Axis.regular(40.005, 1, 16), home.coarse.lon)) is not None


@pytest.mark.parametrize("model", ["network", "lapse"])
def test_other_ground_is_made_from_its_heights(model, climate, request):
    """The synthetic terrain's own static fields and coarse heights follow from its elevation as well."""
    stored, terrain = request.getfixturevalue(model), climate[1].at(slice(0, 30))
    written = downscaled.heights(terrain.fine, terrain.static["elevation"])
    layout = heights_layout(facts_of("orog.nc", written), {})
    fields = applied(application(stored, terrain, (layout, written["orog"][1])), terrain)
    whole, _ = models.downscale(stored, terrain)
    np.testing.assert_allclose(fields["tasmax"], whole, rtol=0, atol=2e-3)


def test_other_ground_lies_over_the_coarse_cells_that_it_covers_half(network):
    coarse = Grid(Axis.regular(30, 1, 30), Axis.regular(-20, 1, 50))
    fine = Grid(Axis.regular(40.5, 0.1, 65), Axis.regular(-3.6, 0.1, 72))
    heights = np.full(fine.shape, 500, np.float32)
    heights[0] = np.nan
    heights[1] = -3000
    ground = other_ground(network, coarse, fine, heights, "orog.nc")
    # 40.5 to 47 holds half of the row from 40 on; -3.6 to 3.6 holds 0.6 of both outermost columns.
    assert (ground.rows, ground.columns) == (slice(10, 17), slice(16, 24))
    assert ground.coarse.lat.centres.tolist() == [40.5 + row for row in range(7)]
    assert ground.coarse.lon.bounds[0].tolist() == [-4, -3]
    assert ground.static["elevation"][:3, 0].tolist() == [0, 0, 500]
    np.testing.assert_allclose(ground.coarse_static["elevation"][1:], 500, rtol=1e-6)
    rows = np.diff(np.sin(np.radians(40.5 + 0.1 * np.arange(6))))
    np.testing.assert_allclose(
        ground.coarse_static["elevation"][0], 500 * rows[2:].sum() / rows.sum(), rtol=1e-5
    )


OTHERS = {
    "goes beyond": (Axis.regular(39, 0.25, 60), "its latitudes 39 to 54 go beyond those of the input, 40 to"),
    "is wider": (Axis.regular(40, 2, 8), "its latitudes are 2 degrees apart, those of the input 1"),
    "is small": (Axis.regular(42, 0.1, 34), "its latitudes 42 to 45.4 lie under 3 cells of the input"),
}


@pytest.mark.parametrize(("lat", "line"), OTHERS.values(), ids=OTHERS)
def test_ground_that_does_not_fit_is_refused(network, home, lat, line):
    fine = Grid(lat, home.fine.lon)
    heights = np.zeros(fine.shape, np.float32)
    assert f"orog.nc: {line}" in refusal(other_ground, network, home.coarse, fine, heights, "orog.nc")


def test_models_that_cannot_leave_their_ground_are_refused(network, ridge, home):
    flat = np.zeros(home.fine.shape, np.float32)
    line = refusal(other_ground, ridge, home.coarse, home.fine, flat, "orog.nc")
    assert "a model 'ridge' knows the ground alone that it was fitted on" in line
    softmax = replace(network, config={**network.config, "network": {"conserve": "softmax"}})
    uneven = Grid(Axis.regular(40, 0.3, 53), home.fine.lon)
    zeros = np.zeros(uneven.shape, np.float32)
    assert "fine cells that divide" in refusal(other_ground, softmax, home.coarse, uneven, zeros, "orog.nc")
    assert other_ground(softmax, home.coarse, home.fine, flat, "orog.nc").coarse.shape == (16, 16)
    land = replace(network, config={**network.config, "scaling": {"static_names": ["latitude", "land"]}})
    assert "needs land, which" in refusal(other_ground, land, home.coarse, home.fine, flat, "orog.nc")


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
        "huss: 0.62% of the values are missing, on 1 of 40 days (2.5%); the nearest cell stands in for each",
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


def test_days_within_the_range_give_no_warning(lapse, climate):
    trained = climate[0].at(slice(0, downscaled.TRAINED_DAYS))
    made = application(lapse, trained)
    applied(made, trained)
    assert made.warnings() == []
    assert made.remarks() == "The model was trained on a test's climate"
    assert made.summary() == (
        "downscaled: 200 days, 2001-01-01 to 2001-07-19 (noleap); tasmax by lapse_daily on 64 x 64 cells at "
        "lat 40 to 56, lon -8 to 8"
    )


def test_a_mean_that_no_climate_has_is_refused_where_there_is_a_year(lapse, climate):
    year = climate[0].at(slice(0, 365))
    low = {**year.inputs, "psl": np.full_like(year.inputs["psl"], 86_000)}
    low = replace(year, inputs=low)
    line = refusal(applied, application(lapse, low), low)
    assert "in.nc: variable 'psl' is 8.6e+04 Pa on average; expected 90000 to 108000" in line
    applied(application(lapse, low.at(slice(0, 364))), low.at(slice(0, 364)))


def test_inputs_that_do_not_fit_the_model_are_refused(network, home):
    written = variables(home)
    text = StoredModel({"kind": "textcnn", "network": {}}, {}, "{}", {})
    line = refusal(inputs_layout, facts_of("in.nc", written), text, {})
    assert line == "model: a model 'textcnn' downscales nothing; name one of data/climate/models"
    line = refusal(inputs_layout, facts_of("in.nc", written), network, settings({"temp": "tx"}, {}))
    assert line == "no input 'temp' to name: the model needs tasmax, psl, huss"
    line = refusal(inputs_layout, facts_of("in.nc", written), network, settings({"tasmax": "tx"}, {}))
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
    assert words in refusal(inputs_layout, facts_of("in.nc", written), network, {})


def test_slices_are_shorter_on_large_grids():
    def days_of(rows, columns):
        return slice_days(Grid(Axis.regular(0, 0.01, rows), Axis.regular(0, 0.01, columns)))

    assert [days_of(64, 64), days_of(4, 4), days_of(128, 128), days_of(1000, 1000)] == [96, 96, 24, 1]


def test_the_file_says_where_it_comes_from(network):
    facts = facts_of("/somewhere/in.nc", {}, institution="X", source="CMIP", history="born", references="Y")
    assert attributes(facts, network, "1.2.3", "0123456789abcdef" * 4) == {
        "title": "Daily maximum near-surface air temperature, downscaled from in.nc",
        "institution": "X",
        "source": "convoy 1.2.3 downscale, model residual, sha256 0123456789abcdef; input: CMIP",
        "history": "convoy 1.2.3 downscale, model residual, sha256 0123456789abcdef: in.nc\nborn",
        "references": "Y",
    }
