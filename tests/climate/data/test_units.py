"""Values in any usual unit become SI, and units that are unknown or wrong are one line."""

import numpy as np
import pytest

from convoy.climate.data.conventions import check_mean, conform
from convoy.climate.data.variables import VariableParams
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import DAYS, LAT, LON, daily
from tests.support.known import changed, real, right


@pytest.mark.parametrize(
    ("units", "change"),
    [
        ("K", lambda k: k), ("kelvin", lambda k: k), ("degC", lambda k: k - 273.15),
        ("C", lambda k: k - 273.15), ("Celsius", lambda k: k - 273.15), ("degrees_C", lambda k: k - 273.15),
        ("°C", lambda k: k - 273.15), ("kelvins", lambda k: k), ("degreeC", lambda k: k - 273.15),
        ("degree_Celsius", lambda k: k - 273.15), ("degF", lambda k: (k - 273.15) * 1.8 + 32),
    ],
)  # fmt: skip
def test_temperatures_become_kelvin(read, units, change):
    right(*read(changed(daily(units=units), change)))


@pytest.mark.parametrize(
    ("name", "ours", "units", "theirs"),
    [
        ("psl", 101_325.0, "hPa", 1013.25), ("psl", 101_325.0, "mb", 1013.25),
        ("psl", 101_325.0, "bar", 1.01325), ("psl", 101_325.0, "kPa", 101.325),
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
        assert "time" not in layout.dims
        np.testing.assert_allclose(field, np.full((len(LAT), len(LON)), 1500.0), rtol=1e-6)


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
        check_mean(layout, name, float(field.mean(dtype=float)))


def test_a_mean_that_a_region_has_passes(read):
    layout, field = read(daily())
    check_mean(layout, "tasmax", float(field.mean(dtype=float)))


def test_an_unknown_unit_in_the_map_is_refused(refusal):
    message = refusal(daily(), tasmax={"units": "metres"})
    assert message == "climate.grids.variables.tasmax.units: expected one of K, degC, degF; found 'metres'"


@pytest.mark.parametrize("model", ["CanESM2", "HadGEM2"])
def test_the_precipitation_of_the_real_grids(reader, real_data, model):
    """They say mm s-1 of liquid water, and their year of 1,180 mm is New England's: as much as kg m-2 s-1."""
    path = real(real_data, f"pr_day_{model}")
    raw = reader.open(path)
    assert raw["pr"].attrs["units"] == "mm s-1"
    found = {
        units: conform(raw, {"pr": VariableParams(units=units)}) for units in (None, "kg m-2 s-1", "mm day-1")
    }
    fields = {units: held["pr"].values for units, held in found.items()}
    np.testing.assert_array_equal(fields[None], fields["kg m-2 s-1"])
    year = 86400 * np.nanmean(fields[None], axis=(1, 2), dtype=float).sum()
    assert 1150 < year < 1210
    np.testing.assert_allclose(fields["mm day-1"], fields[None] / 86400, rtol=1e-6)
    with pytest.raises(ConvoyError, match="on average"):
        check_mean(found["mm day-1"], "pr", float(np.nanmean(fields["mm day-1"], dtype=float)))
