"""What a stored model keeps of its training: grids, static fields, cells with a truth, ranges."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Axis, Domain, Fields, Grid, ratio
from convoy.climate.data.variables import ELEVATION
from convoy.climate.downscaling.models.stored import GRID, STATIC, TRUTH
from convoy.core.artifact import StoredModel
from convoy.core.models import Tensors


def surface_of(domain: Domain) -> Tensors:
    """The grids and static fields of a domain as tensors, which are stored with the weights."""
    grids = {"fine": domain.fine, "coarse": domain.coarse}
    tensors: Tensors = {
        f"{GRID}{which}.{axis}.{part}": getattr(getattr(grid, axis), part)
        for which, grid in grids.items()
        for axis in ("lat", "lon")
        for part in ("centres", "bounds")
    }
    tensors |= {f"{STATIC}fine.{name}": field for name, field in domain.static.items()}
    return tensors | {f"{STATIC}coarse.{name}": field for name, field in domain.coarse_static.items()}


def home(stored: StoredModel) -> tuple[Grid, Grid, dict[str, Fields], dict[str, Fields]]:
    """The coarse and fine grid that a model was fitted on, and the static fields of both."""
    tensors = stored.tensors
    coarse, fine = (
        Grid(*(
            Axis(*(tensors[f"{GRID}{which}.{axis}.{part}"] for part in ("centres", "bounds")))
            for axis in ("lat", "lon")
        ))
        for which in ("coarse", "fine")
    )  # fmt: skip
    static = [
        {
            key.removeprefix(f"{STATIC}{which}."): value
            for key, value in tensors.items()
            if key.startswith(f"{STATIC}{which}.")
        }
        for which in ("coarse", "fine")
    ]
    return coarse, fine, static[0], static[1]


def cells_with_truth(stored: StoredModel) -> npt.NDArray[np.bool_] | None:
    """Cells (H, W) of the model's own grid with a truth on some training day; None if all have one.

    None too for a model folder from before this was stored.
    """
    known = stored.tensors.get(TRUTH)
    return None if known is None or known.all() else known.astype(bool)


def with_truth(domains: Sequence[Domain]) -> npt.NDArray[np.bool_]:
    """Cells (H, W) with a truth on some day of domains with one grid."""
    known = [~np.isnan(domain.target).all(axis=0) for domain in domains if domain.target is not None]
    return np.logical_or.reduce(known)


def ranges(domains: Sequence[Domain], inputs: Sequence[str]) -> dict[str, list[float]]:
    """The smallest and largest value of each input in training, to warn of days beyond it."""
    return {name: _reach([domain.inputs[name] for domain in domains]) for name in inputs}


def surface_ranges(domains: Sequence[Domain]) -> dict[str, list[float]]:
    """The heights, latitudes and fine cells per coarse cell of training, to warn of terrain beyond them."""
    return {
        "elevation": _reach([domain.static[ELEVATION] for domain in domains]),
        "latitude": _reach([domain.fine.lat.bounds for domain in domains]),
        "ratio": _reach([np.array(ratio(domain.coarse, domain.fine)) for domain in domains]),
    }


def _reach(parts: Sequence[npt.NDArray[Any]]) -> list[float]:
    """The smallest and the largest value, missing ones left out."""
    return [float(min(np.nanmin(part) for part in parts)), float(max(np.nanmax(part) for part in parts))]
