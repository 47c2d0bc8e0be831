"""The deterministic part of the synthetic daily maximum temperature, without the random part g.

It is a function of the inputs of the models: pressure and humidity of the coarse grid (interpolated), the
season and the static fields. So a model can learn it exactly.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Fields, Grid
from convoy.climate.data.regridding import Regridding
from convoy.climate.data.static_fields import KM_PER_DEGREE
from convoy.climate.synthetic.physics import saturation_humidity

HOURS = np.arange(0, 24, 3) + 1.5
SUMMER = 2 * np.pi * 200 / 365
Array: TypeAlias = Any  # float32, (H, W) or (T, H, W)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def landness(coast_km: Array) -> Array:
    """0 over sea, rising to 1 inland over some 120 km."""
    return 1 - np.exp(-np.maximum(coast_km, 0) / 120)


def climatology(latitude: Array, land: Array, season: Array) -> Array:
    """Mean temperature at sea level by latitude and season, K; land lags the sun less and swings more."""
    lag = SUMMER + 0.45 * (1 - land)
    return 285.5 - 0.65 * (latitude - 48) + (5.5 + 5.0 * land) * np.cos(season - lag)


def lapse_rate(humidity: Array, season: Array, latitude: Array) -> Array:
    """K per km, 3 to 7.5: steep in dry air and in summer.

    Humidity enters relative to saturation in the present climate, so that a warmer and moister climate has a
    smaller lapse rate.
    """
    full = saturation_humidity(climatology(latitude, np.float32(0.7), season), np.float32(9.5e4))
    return 3 + 4.5 * _sigmoid(7 * (0.55 - humidity / full) + 0.9 * np.cos(season - SUMMER))


def warming_pattern(static: dict[str, Fields]) -> Array:
    """Share of the global warming at each fine cell: more over land and on heights, mean near 1."""
    return 0.93 + 0.12 * landness(static["coast"]) + 0.02 * static["elevation"] / 1000


@dataclass(frozen=True, eq=False)
class DailyMaximum:
    """tasmax without g on the fine grid `grid`, K; `up` interpolates the coarse weather to it."""

    grid: Grid
    static: dict[str, Fields]
    up: Regridding

    def __call__(self, psl: Fields, huss: Fields, season: npt.NDArray[np.float64], warming: float) -> Fields:
        """From coarse pressure (T, h, w) in Pa, humidity, season angle (T,): (T, H, W) in K."""
        s = season.astype(np.float32)[:, None, None]
        z_km = self.static["elevation"] / np.float32(1000)
        coast, latitude = self.static["coast"], self.static["latitude"]
        land = landness(coast)
        pressure = (self.up(psl) - np.float32(101_500)) / np.float32(100)
        moist = self.up(huss)
        west, south = self._gradients(pressure)
        summer = 0.5 * (1 + np.cos(s - SUMMER))
        clear = _sigmoid(pressure / 6)
        base = climatology(latitude, land, s) - lapse_rate(moist, s, latitude) * z_km
        base += np.float32(warming) * warming_pattern(self.static)
        base += self._inversion(pressure, summer) + self._foehn(west, south)
        return base + self._diurnal(clear, summer, np.hypot(west, south), land)

    def _gradients(self, pressure: Array) -> tuple[Array, Array]:
        """Geostrophic-like wind, hPa per 100 km: eastward and northward."""
        rows = KM_PER_DEGREE * float(np.diff(self.grid.lat.centres).mean()) / 100
        columns = rows * float(np.cos(np.radians(self.grid.lat.centres.mean())))
        north, east = np.gradient(pressure, rows, columns, axis=(1, 2))
        return -north, east

    def _inversion(self, pressure: Array, summer: Array) -> Array:
        """Cold pools in valleys under highs, above all in winter."""
        depth = 1 - np.exp(np.minimum(self.static["valley"], 0) / 250)
        return -7.0 * depth * _sigmoid((pressure - 5) / 2.5) * (1 - 0.7 * summer)

    def _foehn(self, eastward: Array, northward: Array) -> Array:
        """Warmth where the wind blows down a slope, 6 K at most: a soft threshold on wind x slope."""
        down = -(eastward * self.static["slope_east"] + northward * self.static["slope_north"]) / 14
        return 6 * np.tanh(np.logaddexp(0, 2 * (down - 0.7)) / 10)

    def _diurnal(self, clear: Array, summer: Array, wind: Array, land: Array) -> Array:
        """Maximum over eight times of day of the diurnal wave, insolation on slopes and sea breeze."""
        swing = 1.0 + land * (2.0 + 5.0 * clear * (0.35 + 0.65 * summer))
        near = np.where(self.static["coast"] > 0, np.exp(-self.static["coast"] / 45), 0).astype(np.float32)
        breeze = 4.5 * near * summer * clear * np.exp(-((wind / 1.2) ** 2))
        low_sun = (1.4 - 0.8 * summer) * clear
        # Terrain that rises northwards faces south, terrain that rises eastwards faces the evening sun.
        facing_south = np.tanh(self.static["slope_north"] / 12)
        facing_west = np.tanh(self.static["slope_east"] / 12)
        highest = np.full(clear.shape, -np.inf, np.float32)
        for hour in HOURS:
            angle = 2 * np.pi * (hour - 12) / 24
            sun = np.float32(max(np.cos(angle), 0.0))
            side = np.float32(np.sin(angle)) * sun
            wave = np.float32(np.cos(angle - 2 * np.pi * 2.5 / 24))
            sea = np.float32(max(np.sin(np.pi * (hour - 10.5) / 10), 0.0) if hour > 10.5 else 0.0)
            now = swing * wave - breeze * sea + 2.2 * low_sun * (facing_south * sun + facing_west * side)
            np.maximum(highest, now, out=highest)
        return highest
