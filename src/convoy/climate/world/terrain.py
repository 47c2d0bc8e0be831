"""Made-up ground: elevation with a natural spectrum, and the static fields that follow from it."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from convoy.climate.world.spectra import Modes, power_law
from convoy.storage.domains import Fields, Grid

RELIEF_M = 3600.0
SEA_SHARE = 0.25
KM_PER_DEGREE = 111.2


def elevation(seed: int, place: int, size: int) -> Fields:
    """Metres above the sea, (size, size): energy spectrum k**-2, a quarter at sea, 3,600 m of relief."""
    rng = np.random.default_rng([seed, 1, place])
    modes = Modes(2 * size, size, power_law(-2.0), 1.0)
    ((field,),) = modes.days(rng, 1, np.ones_like)
    above = field - np.quantile(field, SEA_SHARE)
    return (np.maximum(above, 0) * (RELIEF_M / above.max())).astype(np.float32)


def static_fields(
    elevation_m: Fields, grid: Grid, land: npt.NDArray[np.bool_] | None = None
) -> dict[str, Fields]:
    """What follows from the elevation (H, W) of a fine grid, each (H, W); `land` is where it is above 0 m.

    elevation: m. coast: km to the nearest cell of the other kind, negative over sea. slope_east, slope_north:
    m per km. valley: m above the surroundings (a Gaussian of 0.75 degrees), negative in valleys. latitude:
    degrees. A `land` (H, W) of its own is for ground below the sea and for lakes.
    """
    north_km = KM_PER_DEGREE * float(np.diff(grid.lat.centres).mean())
    east_km = (
        KM_PER_DEGREE * float(np.diff(grid.lon.centres).mean()) * np.cos(np.radians(grid.lat.centres.mean()))
    )
    land = elevation_m > 0 if land is None else land
    sampling = (north_km, float(east_km))
    coast = _distance(land, sampling) - _distance(~land, sampling)
    north, east = np.gradient(elevation_m.astype(np.float64), *sampling)
    cells = 0.75 * KM_PER_DEGREE / north_km
    surroundings = ndimage.gaussian_filter(elevation_m.astype(np.float64), cells, mode="nearest")
    fields: dict[str, npt.NDArray[Any]] = {
        "elevation": elevation_m,
        "coast": coast,
        "slope_east": np.asarray(east),
        "slope_north": np.asarray(north),
        "valley": elevation_m - surroundings,
        "latitude": np.broadcast_to(grid.lat.centres[:, None], elevation_m.shape),
    }
    return {name: np.ascontiguousarray(field, np.float32) for name, field in fields.items()}


def _distance(inside: npt.NDArray[np.bool_], sampling: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Km to the nearest cell outside; 0 outside, and far away where there is no outside."""
    if inside.all():
        return np.full(inside.shape, 1000.0)
    return ndimage.distance_transform_edt(inside, sampling=sampling)
