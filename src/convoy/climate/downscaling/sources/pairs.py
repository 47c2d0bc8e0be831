"""Real grids as one domain: fine truth and coarse inputs from files, under the convention."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from convoy.climate.data.conventions import check_mean, check_names
from convoy.climate.data.domains import Axis, Days, Domain, Fields, Grid
from convoy.climate.data.regridding import Regridding, area_mean, filled_mean, whole_ratio
from convoy.climate.data.sides import SOURCE, Side, common_days, side
from convoy.climate.data.splits import split
from convoy.climate.data.static_fields import elevation, static_fields
from convoy.climate.data.variables import DAILY, VARIABLES, row_of
from convoy.climate.downscaling.sources.grids import FilesParams, GridsParams, target_first
from convoy.core.errors import ConvoyError, Param

HOME = "home"
FEWEST_CELLS = 4
FILES_NAMED = 3


def home(params: GridsParams, files: Mapping[str, xr.Dataset]) -> tuple[Domain, dict[str, Any]]:
    """The one domain of real grids, and the facts for `climate.data.io.write`.

    files: each of `params.paths()` as `netcdf.Reader.open` gives it. Raises ConvoyError for what the
    convention does not understand, grids that do not overlap or are too small, and no common day.
    """
    source = params.source
    assert isinstance(source, FilesParams)
    check_names(list(files.values()), params.variables)
    sides, coarse_grid, cut = (_by_factor if source.coarse is None else _by_coarse)(params, source, files)
    fine = sides[0]
    days, uncommon = common_days(sides)
    # With a factor the inputs are means over the coarse cells.
    down = area_mean(fine.grid, coarse_grid) if source.coarse is None else None
    target, inputs, at_zero = _fields(params.target, days, sides, down)
    whole = _with_values(target, inputs)
    height_m, coarse_m = (
        None if path is None else elevation(files[path], params.variables, grid)
        for path, grid in ((source.orography, fine.grid), (source.coarse_orography, coarse_grid))
    )
    present = np.asarray(np.isfinite(target).any(axis=0))
    domain = Domain(
        HOME, HOME, coarse_grid, fine.grid, days, inputs, target,
        *static_fields(height_m, present, coarse_grid, fine.grid, coarse_m),
    ).at(slice(None) if whole.all() else whole)  # fmt: skip
    parts, split_by = split(domain.days, HOME, params.split)
    left_out = {**uncommon, "days without values": int((~whole).sum()), **cut}
    units = {name: sides[-1].parts[name][0][name].attrs["units"] for name in inputs if name not in VARIABLES}
    return domain, {
        "source": _in_words(source), "target": params.target, "inputs": list(inputs), "splits": parts,
        "split_by": split_by, "factor": whole_ratio(coarse_grid, fine.grid), "perfect": down is not None,
        "noise_floor": None, "left_out": {name: count for name, count in left_out.items() if count},
        "at_zero": at_zero, "units": units, "days_left_out": _left_out(sides, domain.days),
        "coarse_grid": source.coarse_grid or params.target,
        "interpolated": {name: str(grid) for name, grid in sides[-1].others.items()},
    }  # fmt: skip


def _left_out(sides: Sequence[Side], kept: Days) -> list[str]:
    """Days between the first and the last kept that some variable has, but that are left out."""
    ordinal = np.unique(np.concatenate([one.days(name).ordinal for one in sides for name in one.parts]))
    between = ordinal[(ordinal > kept.ordinal[0]) & (ordinal < kept.ordinal[-1])]
    return Days(kept.calendar, np.setdiff1d(between, kept.ordinal)).labels


def _by_factor(
    params: GridsParams, source: FilesParams, files: Mapping[str, xr.Dataset]
) -> tuple[list[Side], Grid, dict[str, int]]:
    """The fine side with all variables, the grid of its blocks, and rows and columns left out."""
    factor = source.factor or 1
    fine = side("fine", [files[path] for path in source.fine], params.variables, *_variables(params))
    rows, columns = (len(axis) // factor * factor for axis in (fine.grid.lat, fine.grid.lon))
    _refuse_small(rows // factor, columns // factor, source)
    cut = _cut(fine.grid, rows, columns)
    fine = fine.window(slice(0, rows), slice(0, columns))
    return [fine], Grid(_blocks(fine.grid.lat, factor), _blocks(fine.grid.lon, factor)), cut


def _by_coarse(
    params: GridsParams, source: FilesParams, files: Mapping[str, xr.Dataset]
) -> tuple[list[Side], Grid, dict[str, int]]:
    """The fine side with the target and the coarse side, both where they overlap; fine rows left out."""
    only = (params.target,)
    paths = source.coarse or ()
    fine = side("fine", [files[path] for path in source.fine], params.variables, only, only)
    coarse = side(
        "coarse", [files[path] for path in paths], params.variables, *_variables(params),
        grids=lambda found: _onto(found, source.coarse_grid, params.target),
    )  # fmt: skip
    axes = [(wide, fine.grid.axes[name]) for name, wide in coarse.grid.axes.items()]
    for wide, narrow in axes:
        if wide.step <= narrow.step:
            raise ConvoyError(
                f"cells of {wide.step:.4g} degrees",
                path=paths[0],
                expected=f"larger ones than those of {source.fine[0]} ({narrow.step:.4g})",
            )
    # Coarse cells of which the fine axis covers half or more, and fine cells with their centre in those.
    cells = [wide.covered(narrow, 0.499) for wide, narrow in axes]
    if not all(span.stop for span in cells):
        raise ConvoyError(
            f"lies at {coarse.grid.extent}, {source.fine[0]} at {fine.grid.extent}",
            path=paths[0],
            expected="grids of the same place",
        )
    cut = coarse.window(*cells)
    _refuse_small(*cut.grid.shape, source)
    inside = [_inside(fine.grid.axes[name], wide) for name, wide in cut.grid.axes.items()]
    sides = [fine.window(*inside), cut]
    return sides, cut.grid, _cut(fine.grid, *sides[0].grid.shape)


def _onto(grids: Mapping[str, Grid], chosen: str | None, target: str) -> str:
    """The variable to whose coarse grid all others are brought."""
    if chosen is not None and chosen not in grids:
        raise ConvoyError(
            key=Param("climate.grids.source", ("coarse_grid",)), found=f"'{chosen}'",
            expected=f"one of the inputs, {', '.join(grids)}",
        )  # fmt: skip
    return chosen or target


def _variables(params: GridsParams) -> tuple[Sequence[str], Sequence[str]]:
    """The inputs wanted, if the files have them, and those that they must have."""
    if params.inputs is None:
        others = [name for name in params.variables if name not in VARIABLES]
        return (*DAILY, *others), (params.target, *others)
    return params.inputs, params.inputs


def _fields(
    target: str, days: Days, sides: Sequence[Side], down: Regridding | None
) -> tuple[Fields, dict[str, Fields], dict[str, int]]:
    """The fine target (T, H, W) and the coarse inputs, the target first: their own, or means by `down`.

    With them, by variable, how many values were below the least possible one by rounding alone.
    """
    fine, coarse = sides[0], sides[-1]
    truth = np.full((len(days), *fine.grid.shape), np.nan, np.float32)
    inputs: dict[str, Fields] = {}
    at_zero: dict[str, int] = {}
    shape = coarse.grid.shape if down is None else (len(down.lat), len(down.lon))
    for name in target_first(target, coarse.parts):
        inputs[name] = np.full((len(days), *shape), np.nan, np.float32)
        for at, field in coarse.slices(name, days):
            field, count = row_of(name).without_round_off(field)
            at_zero[name] = at_zero.get(name, 0) + count
            inputs[name][at] = field if down is None else filled_mean(down, field)
            if down is not None and name == target:
                truth[at] = field
        _check_mean(coarse, name, inputs[name])
    if down is None:
        for at, field in fine.slices(target, days):
            truth[at], count = row_of(target).without_round_off(field)
            at_zero[target] += count
        _check_mean(fine, target, truth)
    return truth, inputs, {name: count for name, count in at_zero.items() if count}


def _check_mean(one: Side, name: str, field: Fields) -> None:
    present = np.isfinite(field)
    if present.any():
        mean = float(np.mean(field, dtype=np.float64, where=present))
        check_mean(one.parts[name][0], name, mean)


def _with_values(target: Fields, inputs: Mapping[str, Fields]) -> Any:
    """Days on which neither the target nor an input is missing everywhere, (T,)."""
    whole = np.isfinite(target).any(axis=(1, 2))
    for field in inputs.values():
        whole &= np.isfinite(field).any(axis=(1, 2))
    if not whole.any():
        raise ConvoyError("on each common day the target or an input is missing everywhere", key=SOURCE)
    return whole


def _inside(narrow: Axis, wide: Axis) -> slice:
    """The cells of `narrow` whose centres lie in `wide`."""
    low, high = wide.reach
    cells = np.flatnonzero((narrow.centres >= low) & (narrow.centres <= high))
    return slice(int(cells[0]), int(cells[-1]) + 1)


def _blocks(axis: Axis, factor: int) -> Axis:
    """Cells of `factor` cells each."""
    bounds = np.stack([axis.bounds[::factor, 0], axis.bounds[factor - 1 :: factor, 1]], axis=1)
    return Axis(bounds.mean(axis=1), bounds)


def _cut(fine: Grid, rows: int, columns: int) -> dict[str, int]:
    return {"fine rows": len(fine.lat) - rows, "fine columns": len(fine.lon) - columns}


def _refuse_small(rows: int, columns: int, source: FilesParams) -> None:
    if min(rows, columns) < FEWEST_CELLS:
        raise ConvoyError(
            f"covers {rows} x {columns} coarse cells",
            path=source.fine[0],
            expected=f"{FEWEST_CELLS} x {FEWEST_CELLS} or more: take a larger region, or a smaller factor",
        )


def _in_words(source: FilesParams) -> str:
    """The names of the files, without the folders of one machine."""
    coarse = f"means of {source.factor} x {source.factor} cells" if source.coarse is None else None
    words = f"{_names(source.fine)}; coarse: {coarse or _names(source.coarse or ())}"
    for name, path in (("", source.orography), ("coarse ", source.coarse_orography)):
        words += f"; {name}orography: {_names((path,))}" if path else ""
    return words


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - FILES_NAMED} more" if len(paths) > FILES_NAMED else ""
    return ", ".join(PurePath(path).name for path in paths[:FILES_NAMED]) + more
