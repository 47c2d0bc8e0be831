"""The gate catches planted faults, and passes sound site-years."""

from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.series.data.site_years import texts
from convoy.climate.series.gate import GateParams, judge
from convoy.climate.series.sources.io import SeriesParams, made


@pytest.fixture(scope="module")
def sound():
    params = SeriesParams.model_validate({"synthetic": {"sites": 60, "years": 2}})
    return made(params)[0]


def failures(held):
    verdict, _ = judge(held, GateParams())
    return {finding.name for finding in verdict.failures}


def changed(held, row, variable, change):
    """The values with one site-year's variable replaced by `change` of it."""
    values = held.values.copy()
    number = held.variables.index(variable)
    values[row, number] = change(values[row, number])
    return replace(held, values=values)


def named(held, row, **fields):
    """The site-years with other texts or numbers in one row."""
    arrays = {name: getattr(held, name).copy() for name in fields}
    for name, value in fields.items():
        arrays[name][row] = value
    return replace(held, **arrays)


def with_values_of(held, row, other):
    values = held.values.copy()
    values[row] = values[other]
    return replace(held, values=values)


def fahrenheit(kelvin):
    return (kelvin - 273.15) * 1.8 + 32


def constant(line):
    return np.where(np.arange(365) < 40, line[0], line)


def spoilt(value):
    return lambda line: np.where(np.arange(365) == 100, np.float32(value), line)


def swapped(held, row):
    values = held.values.copy()
    values[row] = values[row][[0, 2, 1, 3, 4, 5]]  # tas, tasmin, tasmax, ...
    return replace(held, values=values)


def shifted(held, row):
    values = held.values.copy()
    values[row] = np.roll(values[row], 182, axis=1)
    return replace(held, values=values)


# Each in a row of its own, so that one judgement has to find all of them.
FAULTS = {
    "Fahrenheit": (lambda h, r: changed(h, r, "tas", fahrenheit), "tas_least"),
    "Fahrenheit declared as Celsius": (
        lambda h, r: changed(h, r, "tas", lambda k: fahrenheit(k) + 273.15), "tas_mean",
    ),
    "tasmin and tasmax swapped": (swapped, "tasmin_tasmax_order"),
    "a year twice": (lambda h, r: named(h, r, year=h.year[r - 1], site=h.site[r - 1]), "year_once"),
    "a site under another name": (lambda h, r: with_values_of(h, r, 0), "values_once"),
    "40% gaps": (lambda h, r: named(h, r, interpolated=146), "gaps"),
    "a sensor that stands still": (lambda h, r: changed(h, r, "sfcWind", constant), "sfcWind_constant"),
    "pressure in hPa": (lambda h, r: changed(h, r, "psl", lambda pa: pa / 100), "psl_least"),
    "pressure at the station": (lambda h, r: changed(h, r, "psl", lambda pa: pa - 8000), "psl_mean"),
    "humidity in g/kg": (lambda h, r: changed(h, r, "huss", lambda share: share * 1000), "huss_greatest"),
    "wind in another unit": (lambda h, r: changed(h, r, "sfcWind", lambda v: v * 40), "sfcWind_greatest"),
    "a year of the other hemisphere": (shifted, "season"),
    "NaN": (lambda h, r: changed(h, r, "tasmax", spoilt(np.nan)), "tasmax_finite"),
    "infinity": (lambda h, r: changed(h, r, "psl", spoilt(np.inf)), "psl_finite"),
    "no label": (lambda h, r: named(h, r, label=""), "label_present"),
    "an unknown label": (lambda h, r: named(h, r, label="moon"), "label_known"),
}  # fmt: skip


@pytest.fixture(scope="module")
def found_in_rows(sound):
    """The findings where every fault is planted, the fault of place k in row 6 k + 5; by name."""
    held = sound
    for place, (plant, _) in enumerate(FAULTS.values()):
        held = plant(held, 6 * place + 5)
    verdict, page = judge(held, GateParams())
    assert not verdict.success
    assert "FAILED" in page
    return held, {finding.name: finding for finding in verdict.failures}


def test_sound_site_years_pass(sound):
    verdict, page = judge(sound, GateParams())
    assert verdict.success
    assert verdict.items == 120
    assert "Passed" in page


@pytest.mark.parametrize("fault", FAULTS)
def test_the_gate_catches_a_fault_and_names_the_site_year(found_in_rows, fault):
    held, findings = found_in_rows
    name = FAULTS[fault][1]
    row = 6 * list(FAULTS).index(fault) + 5
    assert held.item_ids[row] in "".join(map(str, findings[name].examples))


def test_the_gate_catches_sites_on_two_sides_and_with_two_labels(sound):
    other = "test" if sound.split[0] == "train" else "train"
    label = next(name for name in sound.categories if name != sound.label[2])
    held = named(named(sound, 0, split=other), 2, label=label)
    found = {finding.name: finding for finding in judge(held, GateParams())[0].failures}
    assert set(found) == {"site_on_one_side", "site_one_label"}
    assert "site-00000" in str(found["site_on_one_side"].examples[0])


def test_the_gate_catches_one_class_only(sound):
    held = replace(sound, categories=("coast",), label=texts(["coast"] * len(sound)))
    assert failures(held) == {"several_labels"}


def test_the_gate_catches_a_class_without_training_and_an_empty_split(sound):
    held = sound.at(((sound.label != "slope") | (sound.split != "train")) & (sound.split != "test"))
    assert failures(held) == {"label_learnt", "split_empty"}


def test_seasons_are_those_of_the_hemisphere_where_they_are_clear(sound):
    """A northern cycle in the south and the reverse fail; in the tropics, or unknown where, nothing does."""
    held = shifted(shifted(shifted(sound, 0), 1), 2)
    for row, latitude in enumerate((-40.0, 10.0, np.nan, -40.0)):
        held = named(held, row, latitude=latitude)
    verdict, _ = judge(held, GateParams())
    (season,) = (finding for finding in verdict.failures if finding.name == "season")
    assert season.count == 1
    assert held.item_ids[3] in str(season.examples[0])
