"""The weather of the synthetic climate on the coarse grid: sea-level pressure and relative humidity."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Days, Fields, Grid
from convoy.climate.synthetic.spectra import Modes, power_law

MEAN_PRESSURE_PA = 101_500.0


@dataclass(frozen=True, eq=False)
class Weather:
    """Per day and coarse cell, (T, h, w): sea-level pressure in Pa and relative humidity in 0..1."""

    psl: Fields
    humidity: Fields


def simulate(rng: np.random.Generator, grid: Grid, days: Days) -> Weather:
    """Autocorrelated Gaussian highs and lows, and travelling depressions with fronts of tanh profile."""
    size = max(grid.shape)
    height, width = grid.shape
    pressure = Modes(2 * size, size, power_law(-3.5, first=1.5), 650.0)
    moisture = Modes(2 * size, size, power_law(-2.5, first=2.0), 0.75)
    slow = [
        np.concatenate(list(modes.days(rng, len(days), lambda k: 4.0 * (k / 2) ** (-2 / 3))))
        for modes in (pressure, moisture)
    ]
    anomaly, moist = (field[:, :height, :width].astype(np.float64) for field in slow)
    depth, front = _depressions(rng, grid, len(days))
    winter = np.cos(days.season - 0.25)[:, None, None]
    psl = MEAN_PRESSURE_PA + anomaly * (1 + 0.25 * winter) + depth * (1 + 0.35 * winter)
    # Lows are moist, highs dry; a front carries a step of humidity.
    odds = 0.45 + moist - (psl - MEAN_PRESSURE_PA) / 1100.0 + 0.9 * front
    humidity = 0.22 + 0.72 / (1 + np.exp(-odds))
    return Weather(psl.astype(np.float32), humidity.astype(np.float32))


def _depressions(
    rng: np.random.Generator, grid: Grid, count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lows that cross from the west: pressure in Pa, the air mass at their fronts in -1..1, (T, h, w)."""
    lat, lon = grid.lat.centres[:, None], grid.lon.centres[None, :]
    wide = float(lon.max() - lon.min())
    depth, front = np.zeros((count, *grid.shape)), np.zeros((count, *grid.shape))
    for birth in range(-12, count):
        if rng.random() > 0.3:
            continue
        speed, north = rng.uniform(2.5, 6.0), rng.normal(0.0, 0.4)
        first = rng.uniform(float(lat.min()), float(lat.max()))
        deep, radius = -rng.gamma(4.0, 300.0), rng.uniform(3.5, 7.0)
        tilt, breadth, strength = rng.uniform(0.3, 1.0), rng.uniform(0.6, 1.5), rng.uniform(0.5, 1.2)
        last = int((wide + 16) / speed) + 1
        for age in range(max(0, -birth), min(last, count - birth)):
            centre = float(lon.min()) - 8 + speed * age
            x, y = lon - centre, lat - (first + north * age)
            life = np.sin(np.pi * (age + 0.5) / last)
            depth[birth + age] += life * deep * np.exp(-(x**2 + y**2) / (2 * radius**2))
            # The cold front trails south-west of the centre: moist ahead of it, dry behind.
            across = x - tilt * y
            near = np.exp(
                -(across**2) / (2 * (2.2 * radius) ** 2) - (y + radius) ** 2 / (2 * (1.6 * radius) ** 2)
            )
            front[birth + age] += life * strength * near * np.tanh(across / breadth)
    return depth, front
