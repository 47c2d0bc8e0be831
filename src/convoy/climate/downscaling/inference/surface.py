"""The terrain of the output: the model's own, or that of a given orography."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import xarray as xr

from convoy.climate.data.conventions import Settings, check_names, path_of
from convoy.climate.data.datasets import fields_of, grid_of
from convoy.climate.data.domains import Axis, Fields, Grid, ratio
from convoy.climate.data.regridding import whole_ratio
from convoy.climate.data.sides import Side
from convoy.climate.data.static_fields import above_sea_floor, heights, static_fields
from convoy.climate.data.variables import ELEVATION
from convoy.climate.downscaling.models import surfaces
from convoy.climate.downscaling.models.stored import TRUTH
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError

HOME, ELSEWHERE = "home", "elsewhere"
# Fewer coarse cells along an axis do not resolve weather patterns.
FEWEST_CELLS = 4
# Coordinates are the same if they differ by less than this share of a cell.
_SAME = 0.01
_METRE = 1.0  # heights are rounded in files
_RATIO = 1.25  # grids count as of another resolution from this factor on


@dataclass(frozen=True, eq=False)
class Surface:
    """A fine grid with its static fields, and the part of an input's grid that covers it.

    rows, columns: of the input's grid. As in a Domain, models that know each pixel are bound to a `place`.
    with_truth: cells (H, W) with a truth in training; None where all have one, and on other terrain.
    """

    place: str
    coarse: Grid
    fine: Grid
    static: Mapping[str, Fields]
    coarse_static: Mapping[str, Fields]
    rows: slice
    columns: slice
    with_truth: npt.NDArray[np.bool_] | None = None


def heights_of(raw: xr.Dataset, settings: Settings) -> xr.Dataset:
    """The heights of an orography's file under the convention; ConvoyError where there are none.

    settings: by our names, the name and units of a variable in files, where they differ from the convention.
    """
    of_heights = {name: value for name, value in settings.items() if name == ELEVATION}
    check_names([raw], of_heights)
    return heights(raw, of_heights)


def surface_for(stored: StoredModel, inputs: Side, fine: xr.Dataset | None) -> Surface:
    """The terrain for the inputs: that of the heights `fine` (see `heights_of`), else the model's own.

    Raises ConvoyError where the input's grid is not the model's own and no heights are given, and as
    `other_surface` does.
    """
    if fine is not None:
        return other_surface(stored, inputs.grid, grid_of(fine), fields_of(fine, ELEVATION), path_of(fine))
    own = own_surface(stored, inputs.grid)
    if own is None:
        _refuse_foreign(stored, inputs.grid, inputs.path)
    return own


def grid_for(stored: StoredModel, grids: Mapping[str, Grid]) -> str:
    """The input to whose grid all are brought: one that has the model's own coarse cells, else the target.

    grids: of the inputs by name.
    """
    coarse, target = surfaces.home(stored)[0], str(stored.config["target"])
    fitting = [name for name, grid in grids.items() if _place(grid, coarse) is not None]
    return target if target in fitting or not fitting else fitting[0]


def own_surface(stored: StoredModel, grid: Grid) -> Surface | None:
    """The terrain that the model was fitted on; None where the input lacks some of its coarse cells."""
    coarse, fine, coarse_static, static = surfaces.home(stored)
    cells = _place(grid, coarse)
    if cells is None:
        return None
    place = stored.config["place"] or HOME
    known = surfaces.cells_with_truth(stored)
    return Surface(place, coarse, fine, static, coarse_static, *cells, known)


def other_surface(stored: StoredModel, grid: Grid, fine: Grid, height_m: Fields, path: str) -> Surface:
    """The terrain whose heights (H, W) on a fine grid are those of the file `path`; missing ones are sea.

    Raises ConvoyError where the fine grid is not within the input's area or not finer, for a model that
    cannot leave the terrain it was fitted on, and on a hemisphere that it was not fitted on.
    """
    config = stored.config
    if config["place"] is not None:
        raise ConvoyError(
            f"this model '{config['kind']}' knows the terrain alone that it was fitted on",
            path=path,
            hint=(
                "leave --orography out, or name a model that goes anywhere, such as a network with "
                "'per-pixel effects: none'"
            ),
        )
    rows, columns = (
        _covered(wide, narrow, path, name)
        for wide, narrow, name in ((grid.lat, fine.lat, "latitudes"), (grid.lon, fine.lon, "longitudes"))
    )
    coarse = grid.at(rows, columns)
    _refuse_other_hemisphere(config, fine, path)
    network = config.get("network", {})
    if network.get("conserve") == "softmax" and whole_ratio(coarse, fine) is None:
        raise ConvoyError(
            "the model conserves by 'softmax', which needs fine cells that divide the input's evenly",
            path=path,
        )
    everywhere = np.ones(fine.shape, bool)
    static, coarse_static = static_fields(above_sea_floor(height_m), everywhere, coarse, fine)
    needed = config.get("scaling", {}).get("static_names", ())
    if missing := [name for name in needed if name not in static]:
        raise ConvoyError(
            f"the model needs {', '.join(missing)}, which cannot be derived from heights",
            path=path,
            hint="it was trained without",
        )
    return Surface(ELSEWHERE, coarse, fine, static, coarse_static, rows, columns)


def unusual(stored: StoredModel, surface: Surface) -> Iterator[str]:
    """Warnings about terrain beyond that of the training, one line each.

    For a model folder from before these were stored the lines name what is not measured.
    """
    ranges: Mapping[str, Sequence[float]] | None = stored.config.get("surface")
    if surface.place != ELSEWHERE and TRUTH not in stored.tensors:
        yield "cells without a truth in training: not measured, the model folder does not state them"
    if ranges is None:
        if surface.place == ELSEWHERE:
            yield "terrain beyond that of the training: not measured, the model folder does not state it"
        return
    heights = surface.static[ELEVATION]
    low, high = ranges["elevation"]
    outside = (heights < low - _METRE) | (heights > high + _METRE)
    if outside.any():
        yield (
            f"heights: {_cells(outside)} are outside the {low:,.0f} to {high:,.0f} m of the training: "
            f"{np.nanmin(heights):,.0f} to {np.nanmax(heights):,.0f} m"
        )
    low, high = ranges["latitude"]
    centres = surface.fine.lat.centres
    outside = (centres < low) | (centres > high)
    if outside.any():
        cells = _cells(np.broadcast_to(outside[:, None], heights.shape))
        yield f"latitudes: {cells} are outside the {low:.5g} to {high:.5g} degrees of the training"
    finer = ratio(surface.coarse, surface.fine)
    low, high = ranges["ratio"]
    if max(finer) > _RATIO * high or min(finer) < low / _RATIO:
        trained = f"{low:.3g}" if high / low < _RATIO else f"{low:.3g} to {high:.3g}"
        yield (
            f"resolution: {max(finer):.3g} fine cells per coarse cell along an axis; {trained} in training"
        )


def _cells(chosen: npt.NDArray[np.bool_]) -> str:
    return f"{chosen.sum():,} of {chosen.size:,} cells ({chosen.mean():.1%})"


def _refuse_other_hemisphere(config: Mapping[str, Any], fine: Grid, path: str) -> None:
    """Raise ConvoyError where the fine grid is on the other side of the equator than all of the training.

    Networks know the time of the year, which is half a year off there.
    """
    if config.get("surface") is None:
        return
    low, high = config["surface"]["latitude"]
    least, greatest = fine.lat.reach
    if (low >= 0 and greatest <= 0) or (high <= 0 and least >= 0):
        raise ConvoyError(
            f"latitudes {least:.5g} to {greatest:.5g}: the model was trained on {low:.5g} to {high:.5g}, "
            "where the seasons are the opposite",
            path=path, hint="name a model that was trained on this hemisphere",
        )  # fmt: skip


def _refuse_foreign(stored: StoredModel, grid: Grid, path: str) -> NoReturn:
    coarse = surfaces.home(stored)[0]
    hint = "name the heights on the fine grid to make with --orography"
    if stored.config["place"] is not None:
        hint = f"this model '{stored.config['kind']}' knows that terrain alone"
    found = f"{grid} do not hold the grid that the model was trained on, {coarse}"
    raise ConvoyError(found, path=path, hint=hint)


def _place(wide: Grid, narrow: Grid) -> tuple[slice, slice] | None:
    """Rows and columns of `wide` that are the cells of `narrow`; None where it lacks some."""
    rows, columns = _found(wide.lat, narrow.lat), _found(wide.lon, narrow.lon)
    return None if rows is None or columns is None else (rows, columns)


def _found(wide: Axis, narrow: Axis) -> slice | None:
    """The slice of `wide` with the cells of `narrow`, or None where some are missing."""
    first = int(np.abs(wide.centres - narrow.centres[0]).argmin())
    cells = slice(first, first + len(narrow))
    return cells if wide.at(cells).same(narrow) else None


def _covered(wide: Axis, narrow: Axis, path: str, name: str) -> slice:
    """The cells of `wide` of which at least half is in `narrow`; less would not represent a cell's mean."""
    (low, high), (least, greatest), slack = narrow.reach, wide.reach, _SAME * wide.step
    if low < least - slack or high > greatest + slack:
        raise ConvoyError(
            (
                f"its {name} {low:.5g} to {high:.5g} go beyond those of the input, {least:.5g} to "
                f"{greatest:.5g}"
            ),
            path=path,
            hint="cut it there",
        )
    if narrow.step > wide.step + slack:
        raise ConvoyError(
            f"its {name} are {narrow.step:.3g} degrees apart, those of the input {wide.step:.3g}",
            path=path,
            expected="a finer grid",
        )
    cells = wide.covered(narrow, 0.5 - _SAME)
    if (count := cells.stop - cells.start) < FEWEST_CELLS:
        raise ConvoyError(
            f"its {name} {low:.5g} to {high:.5g} lie under {count} cells of the input",
            path=path,
            expected=f"at least {FEWEST_CELLS}",
        )
    return cells
