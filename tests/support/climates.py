"""Made-up worlds of a few cells and days, for tests of what is learnt from grids."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from convoy.climate.data.domains import Axis, Days, Domain, Grid

FACTOR = 4
COARSE = Grid(Axis.regular(44.0, 1.0, 4), Axis.regular(6.0, 1.0, 5))
FINE = Grid(Axis.regular(44.0, 1 / FACTOR, 16), Axis.regular(6.0, 1 / FACTOR, 20))
YEARS = Days.years(2001, 3)


def block_means(fine: np.ndarray) -> np.ndarray:
    """Area means (..., 4, 5) of fields (..., 16, 20), by sums over the blocks and areas on the sphere."""
    edges = np.radians(44 + np.arange(17) / FACTOR)
    rows = (np.sin(edges[1:]) - np.sin(edges[:-1])).reshape(4, FACTOR)
    blocks = fine.astype(np.float64).reshape(*fine.shape[:-2], 4, FACTOR, 5, FACTOR).mean(axis=-1)
    return (blocks * rows[:, :, None]).sum(axis=-2) / rows.sum(axis=1)[:, None]


def plane(grid: Grid, level: float = 280.0, north: float = -0.6, east: float = 0.3) -> np.ndarray:
    """A field (lat, lon) that is linear in latitude and longitude."""
    return level + north * (grid.lat.centres[:, None] - 46) + east * (grid.lon.centres[None, :] - 8)


def heights(seed: int = 0) -> np.ndarray:
    """Fine terrain (16, 20) in metres: rough, from 0 to 2,500."""
    return np.random.default_rng([7, seed]).gamma(2.0, 400.0, FINE.shape).clip(0, 2500).astype(np.float32)


def world(
    truth: Callable[[Days, np.ndarray], np.ndarray], days: Days = YEARS, *, name: str = "home",
    place: str | None = None, seed: int = 0, coarse: Callable[[np.ndarray], np.ndarray] = block_means,
) -> Domain:  # fmt: skip
    """A domain whose target is truth(days, heights) and whose coarse tasmax is `coarse` of it."""
    z = heights(seed)
    draw = np.random.default_rng([8, seed])
    target = truth(days, z).astype(np.float32)
    inputs = {
        "tasmax": coarse(target).astype(np.float32),
        "psl": (101_300 + 700 * draw.normal(size=(len(days), *COARSE.shape))).astype(np.float32),
        "huss": (0.007 * np.exp(0.3 * draw.normal(size=(len(days), *COARSE.shape)))).astype(np.float32),
    }
    static = {"elevation": z, "valley": z - z.mean()}
    return Domain(
        name, place or name, COARSE, FINE, days, inputs, target, static,
        {"elevation": block_means(z).astype(np.float32)},
    )  # fmt: skip


def noisy(days: Days, z: np.ndarray, seed: int = 0) -> np.ndarray:
    """A season, a lapse of 5.5 K/km and noise on coarse and fine scales, (T, 16, 20)."""
    draw = np.random.default_rng([9, seed, len(days)])
    wide = np.kron(draw.normal(size=(len(days), *COARSE.shape)), np.ones((FACTOR, FACTOR)))
    season = -8 * np.cos(days.season)[:, None, None]
    return 285 + season + 2 * wide + 0.5 * draw.normal(size=(len(days), *FINE.shape)) - 5.5 * z / 1000


def first(domain: Domain, count: int) -> Domain:
    """Its first `count` days."""
    return domain.at(np.arange(count))


def with_inputs(domain: Domain, **fields: np.ndarray) -> Domain:
    """The domain with some of its coarse fields replaced."""
    return replace(domain, inputs={**domain.inputs, **fields})
