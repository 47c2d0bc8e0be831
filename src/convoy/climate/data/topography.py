"""Fields that follow from the elevation: slopes, valleys, distance to the coast."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from convoy.climate.data.domains import Fields, Grid

KM_PER_DEGREE = 111.2


def terrain_fields(
    elevation_m: Fields, grid: Grid, land: npt.NDArray[np.bool_] | None = None
) -> dict[str, Fields]:
    """Static fields derived from the elevation (H, W) of a fine grid, each (H, W).

    elevation: m. coast: km to the nearest cell of the other kind, negative over sea. slope_east, slope_north:
    m per km. valley: m above the surroundings (a Gaussian of 0.75 degrees), negative in valleys. latitude:
    degrees. `land` (H, W): true over land, by default where the elevation is above 0 m; give it for land
    below sea level and for lakes.
    """
    north_km = KM_PER_DEGREE * grid.lat.step
    east_km = KM_PER_DEGREE * grid.lon.step * np.cos(np.radians(grid.lat.centres.mean()))
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
