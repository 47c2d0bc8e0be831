"""Inputs in several files: variables, years and grids of their own are brought together."""

from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.downscaling.inference.files import Application
from convoy.climate.downscaling.inference.surface import surface_for
from tests.support import downscaled
from tests.support.applications import application, applied, refusal, side_of
from tests.support.downscaled import FACTS, of


def test_variables_and_years_in_several_files_are_one_in_any_order(network, home):
    """The months of pressure follow one another; those of the others alternate between two files."""
    odd = home.days.month % 2 == 1
    files = {
        "later.nc": of(home.at(slice(120, 230)), "psl"),
        "odd.nc": of(home.at(odd), "huss", "tasmax"),
        "even.nc": of(home.at(~odd), "huss", "tasmax"),
        "earlier.nc": of(home.at(slice(0, 120)), "psl"),
    }
    inputs = side_of(files, network)
    made = Application(network, inputs, surface_for(network, inputs, None))
    assert made.days.labels == home.days.labels
    assert made.warnings() == []
    expected = applied(application(network, home), home, 97)
    fields = applied(made, home, 97)
    for name, field in expected.items():
        np.testing.assert_array_equal(fields[name], field)


def test_days_that_an_input_lacks_are_left_out_and_told(ridge, home):
    files = {
        "a.nc": of(home.at(slice(0, 200)), "tasmax"),
        "b.nc": of(home.at(slice(0, 50)), "psl", "huss"),
        "c.nc": of(home.at(slice(60, 230)), "psl", "huss"),
    }
    inputs = side_of(files, ridge)
    made = Application(ridge, inputs, surface_for(ridge, inputs, None))
    whole = applied(application(ridge, home), home)["tasmax"]
    kept = np.delete(np.arange(200), np.arange(50, 60))
    assert made.days.labels == [home.days.labels[day] for day in kept]
    np.testing.assert_allclose(applied(made, home)["tasmax"], whole[kept], rtol=3e-7)
    assert [line for line in made.warnings() if "left out" in line] == [
        "tasmax: 10 of 200 days (5.0%) are left out: another input lacks them",
        "psl: 30 of 220 days (13.6%) are left out: another input lacks them",
        "huss: 30 of 220 days (13.6%) are left out: another input lacks them",
    ]
    assert "psl: 30 of 220 days" in made.remarks()


def shifted(domain, by=0.6):
    return replace(domain, coarse=Grid(Axis.regular(40 + by, 1, 16), domain.coarse.lon))


TOGETHER = {
    "a day twice": (
        lambda home: {"a.nc": home.at(slice(0, 50)), "b.nc": home.at(slice(49, 90))},
        "b.nc: tasmax of 2001-12-16 is in a.nc too; expected each day in one file",
    ),
    "other grids": (
        lambda home: {"a.nc": of(home, "tasmax"), "b.nc": shifted(of(home, "psl", "huss"))},
        "b.nc: psl: 16 x 16 cells at lat 40.6 to 56.6, lon -8 to 8 do not reach lat 40.5 to 55.5, to which",
    ),
    "other grids of one input": (
        lambda home: {"a.nc": home.at(slice(0, 50)), "b.nc": shifted(home.at(slice(50, 90)))},
        "b.nc: 16 x 16 cells at lat 40.6 to 56.6, lon -8 to 8; expected the grid of a.nc: 16 x 16 cells at",
    ),
    "other calendars": (
        lambda home: {
            "a.nc": of(home, "tasmax"), "b.nc": of(downscaled.in_calendar(home, "360_day"), "psl", "huss")
        },
        "b.nc: calendar '360_day', but 'noleap' in a.nc; bring both to one",
    ),
    "no common day": (
        lambda home: {
            "a.nc": of(home.at(slice(0, 50)), "tasmax"), "b.nc": of(home.at(slice(50, 90)), "psl", "huss")
        },
        "no day is in all variables: input tasmax 2001-10-28 to 2001-12-16; input psl 2001-12-17 to ",
    ),
    "an input in none": (
        lambda home: {"a.nc": of(home, "tasmax"), "b.nc": of(home, "psl")},
        "no variable huss (nor qrefht, ",
    ),
    "a file for nothing": (
        lambda home: {"a.nc": home, "b.nc": of(home)},
        "none of the variables wanted (tasmax, psl, huss): b.nc has none; leave the file out",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("files", "words"), TOGETHER.values(), ids=TOGETHER)
def test_files_that_are_no_whole_are_refused(ridge, home, files, words):
    def together():
        inputs = side_of(files(home), ridge)
        Application(ridge, inputs, surface_for(ridge, inputs, None))

    assert words in refusal(together)


@pytest.mark.parametrize("own", ["tasmax", "psl"])
def test_inputs_on_other_grids_are_brought_to_the_one_that_the_model_knows(ridge, home, own):
    """Interpolation of fields that are linear in latitude is exact, half a cell beyond the centres too."""
    days = home.at(slice(0, 20))

    def sloping(domain):
        level = domain.coarse.lat.centres[:, None] - 48 + np.zeros(len(domain.coarse.lon))
        fields = {"tasmax": 285 - 0.7 * level, "psl": 101_000 + 80 * level, "huss": 0.007 - 1e-4 * level}
        fields = {name: np.broadcast_to(field, (20, *field.shape)) for name, field in fields.items()}
        return replace(domain, inputs={name: field.astype(np.float32) for name, field in fields.items()})

    others = [name for name in FACTS["inputs"] if name != own]
    files = {"a.nc": of(sloping(days), own), "b.nc": of(sloping(shifted(days, -0.5)), *others)}
    inputs = side_of(files, ridge)
    assert list(inputs.others) == others
    made = Application(ridge, inputs, surface_for(ridge, inputs, None))
    fields = applied(made, days)["tasmax"]
    np.testing.assert_allclose(fields, applied(application(ridge, sloping(days)), days)["tasmax"], atol=2e-3)
    clause = f"{others[0]} interpolated bilinearly from 16 x 16 cells of its own"
    assert made.summary().count("interpolated") == 2
    assert clause in made.summary()
    assert clause in made.remarks()
