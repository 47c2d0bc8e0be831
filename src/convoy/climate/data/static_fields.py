"""The ground of real grids: elevation from any orography, and the static fields of a domain."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from convoy.climate.data.conventions import ELEVATION, VariableParams, layout, require
from convoy.climate.data.domains import Axis, Fields, Grid
from convoy.climate.data.netcdf import FileFacts
from convoy.climate.data.regridding import area_mean, filled_mean, interpolation
from convoy.climate.data.sides import Read, extent, same
from convoy.climate.data.topography import terrain_fields
from convoy.core.errors import ConvoyError

# No land lies lower (the Dead Sea: -430 m): heights below tell the sea floor.
LOWEST_LAND_M = -500.0


def elevation(facts: FileFacts, variables: Mapping[str, VariableParams], read: Read, grid: Grid) -> Fields:
    """Metres above the sea on `grid`, (lat, lon), from the orography of a file; 0 where it is missing.

    A finer orography is averaged over the cells, a coarser one interpolated; the sea floor becomes 0. Raises
    ConvoyError for a file without one, or that does not reach over `grid`.
    """
    one = layout(facts, variables, (ELEVATION,))
    require([facts], [one], (ELEVATION,))
    assert one is not None
    for wide, narrow in ((one.grid.lat, grid.lat), (one.grid.lon, grid.lon)):
        if not _covers(wide, narrow):
            raise ConvoyError(
                f"{facts.path}: the orography lies at {extent(one.grid)}, the fine grid at {extent(grid)}; "
                "expected one that reaches over all of it"
            )
    height_m = np.nan_to_num(one.fields(ELEVATION, read(facts.path, one.stored[ELEVATION].name, 0, 1)))
    if height_m.min() < LOWEST_LAND_M:
        height_m = np.maximum(height_m, 0)
    if same(one.grid, grid):
        return height_m
    if _step(one.grid) < 0.9 * _step(grid):
        return filled_mean(area_mean(one.grid, grid), height_m)
    return np.asarray(interpolation(one.grid, grid, "bilinear")(height_m), np.float32)


def static_fields(
    height_m: Fields | None, present: npt.NDArray[np.bool_], coarse: Grid, fine: Grid
) -> tuple[dict[str, Fields], dict[str, Fields]]:
    """Static fields of the fine and of the coarse grid. present: cells that ever have a value, (lat, lon).

    With an orography those of `terrain_fields`; without one the height is 0 everywhere, and all that is known
    is `latitude` and `land`, 1 where there are values. Cells that are missing are sea.
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
    return static, {ELEVATION: area_mean(fine, coarse)(static[ELEVATION])}


def _covers(wide: Axis, narrow: Axis) -> bool:
    return bool(
        wide.bounds[0, 0] <= narrow.centres[0] + 1e-4 and narrow.centres[-1] - 1e-4 <= wide.bounds[-1, 1]
    )


def _step(grid: Grid) -> float:
    return float(np.diff(grid.lat.centres).mean())
