"""Textbook formulas of the synthetic climate."""

from typing import Any

import numpy as np

GRAVITY = 9.80665  # m s-2
GAS_CONSTANT = 287.05  # J kg-1 K-1, dry air


def saturation_humidity(temperature_k: Any, pressure_pa: Any) -> Any:
    """Specific humidity at saturation over water, kg/kg (Clausius-Clapeyron in the form of Bolton 1980)."""
    celsius = temperature_k - 273.15
    vapour = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    return 0.622 * vapour / (pressure_pa - 0.378 * vapour)


def surface_pressure(sea_level_pa: Any, height_m: Any, temperature_k: Any) -> Any:
    """Pressure at `height_m` by the hypsometric equation with the layer's mean temperature, Pa."""
    return sea_level_pa * np.exp(-GRAVITY * height_m / (GAS_CONSTANT * temperature_k))
