"""Humidity and pressure against published tables."""

import numpy as np
import pytest

from convoy.climate.synthetic.physics import saturation_humidity, surface_pressure

# Vapour pressure over water in hPa by degrees Celsius, Smithsonian Meteorological Tables (List 1949).
VAPOUR_HPA = {-20: 1.2540, -10: 2.8627, 0: 6.1078, 10: 12.272, 20: 23.373, 30: 42.430, 40: 73.777}
# The ISO standard atmosphere (ISO 2533): height in m, temperature in K, pressure in Pa.
STANDARD = [(1000, 281.65, 89_875), (2000, 275.15, 79_495), (3000, 268.65, 70_109)]


def test_saturation_over_water() -> None:
    for celsius, vapour in VAPOUR_HPA.items():
        expected = 0.622 * vapour / (1000 - 0.378 * vapour)
        assert saturation_humidity(celsius + 273.15, 100_000.0) == pytest.approx(expected, rel=0.01)


def test_less_pressure_holds_more_humidity() -> None:
    assert saturation_humidity(288.0, 80_000.0) == pytest.approx(
        saturation_humidity(288.0, 100_000.0) * 1.25, rel=0.01
    )


@pytest.mark.parametrize(("height", "temperature", "pressure"), STANDARD)
def test_pressure_of_the_standard_atmosphere(height, temperature, pressure) -> None:
    layer = (288.15 + temperature) / 2
    assert surface_pressure(101_325.0, height, layer) == pytest.approx(pressure, rel=1e-3)


def test_at_the_sea_nothing_is_taken_off() -> None:
    sea = np.array([99_000.0, 102_000.0])
    np.testing.assert_array_equal(surface_pressure(sea, 0.0, 280.0), sea)
