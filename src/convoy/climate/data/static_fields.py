"""The terrain: elevation from any orography, and the static fields that follow from it."""

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from convoy.climate.data.conventions import Settings, conform, path_of, require
from convoy.climate.data.datasets import fields_of, grid_of
from convoy.climate.data.domains import Fields, Grid
from convoy.climate.data.regridding import area_mean, filled_mean, interpolation
from convoy.climate.data.variables import ELEVATION, LOWEST_LAND_M
from convoy.core.errors import ConvoyError

KM_PER_DEGREE = 111.2


def heights(raw: xr.Dataset, settings: Settings) -> xr.Dataset:
    """The heights of an orography's file under the convention; ConvoyError where there are none."""
    held = conform(raw, settings, (ELEVATION,))
    require([raw], [held], (ELEVATION,))
    assert held is not None
    return held


def elevation(raw: xr.Dataset, settings: Settings, grid: Grid) -> Fields:
    """Metres above the sea on `grid`, (lat, lon), from the orography of a file; 0 where it is missing.

    A finer orography is averaged over the cells, a coarser one interpolated; the sea floor becomes 0. Raises
    ConvoyError for a file without one, or that does not cover `grid`.
    """
    held = heights(raw, settings)
    own = grid_of(held)
    for wide, narrow in ((own.lat, grid.lat), (own.lon, grid.lon)):
        low, high = wide.reach
        if low > narrow.centres[0] + 1e-4 or narrow.centres[-1] - 1e-4 > high:
            raise ConvoyError(
                f"the orography lies at {own.extent}, the grid at {grid.extent}",
                path=path_of(raw),
                expected="one that covers all of it",
            )
    height_m = above_sea_floor(fields_of(held, ELEVATION))
    if own.same(grid):
        return height_m
    if own.lat.step < 0.9 * grid.lat.step:
        return filled_mean(area_mean(own, grid), height_m)
    return np.asarray(interpolation(own, grid, "bilinear")(height_m), np.float32)


def above_sea_floor(height_m: Fields) -> Fields:
    """Heights in metres with 0 where they are missing and, for heights with the sea floor, below the sea."""
    height_m = np.nan_to_num(height_m)
    return np.maximum(height_m, 0) if height_m.min() < LOWEST_LAND_M else height_m


def static_fields(
    height_m: Fields | None, present: npt.NDArray[np.bool_], coarse: Grid, fine: Grid,
    coarse_m: Fields | None = None,
) -> tuple[dict[str, Fields], dict[str, Fields]]:  # fmt: skip
    """Static fields of the fine and of the coarse grid. present: cells that ever have a value, (lat, lon).

    With an orography those of `terrain_fields`; without one the height is 0 everywhere, and the other fields
    are only `latitude` and `land`, 1 where there are values. Missing cells are sea. coarse_m: heights of the
    coarse model; None: area means of `height_m`.
    """
    if height_m is not None:
        static = terrain_fields(height_m, fine, None if present.all() else present)
    else:
        latitude = np.broadcast_to(fine.lat.centres[:, None], fine.shape)
        static = {
            ELEVATION: np.zeros(fine.shape, np.float32),
            "latitude": np.ascontiguousarray(latitude, np.float32),
            "land": present.astype(np.float32),
        }
    means = area_mean(fine, coarse)(static[ELEVATION]) if coarse_m is None else coarse_m
    return static, {ELEVATION: means}


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
    """Km to the nearest cell outside; 0 outside, and very large where there is no outside."""
    if inside.all():
        return np.full(inside.shape, 1000.0)
    return ndimage.distance_transform_edt(inside, sampling=sampling)
