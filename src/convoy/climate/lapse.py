"""Temperature and height: the lapse rate in a coarse field, and fields brought to another ground."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from convoy.climate.regridding import Regridding, interpolation
from convoy.storage.grids import Domain, Fields

STANDARD_K_PER_KM = 6.5


def filled(field: Fields) -> Fields:
    """The field (..., h, w) with each missing cell as the nearest one that is not; all missing stays so."""
    missing = np.isnan(field)
    if not missing.any():
        return field
    flat, holes = field.reshape(-1, *field.shape[-2:]), missing.reshape(-1, *field.shape[-2:])
    out = flat.copy()
    masks, kind = np.unique(holes.reshape(len(holes), -1), axis=0, return_inverse=True)
    for number, mask in enumerate(masks):
        hole = mask.reshape(field.shape[-2:])
        if hole.any() and not hole.all():
            rows, columns = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
            days = np.flatnonzero(kind == number)
            out[days] = flat[days][:, rows, columns]
    return out.reshape(field.shape)


def daily_lapse(domain: Domain, target: str) -> npt.NDArray[np.float32]:
    """How much the coarse field falls per km of height on each day, (T,).

    Least squares on height, latitude and longitude over the coarse cells; 0 where the ground is flat.
    """
    height = domain.coarse_static["elevation"].astype(np.float64).ravel() / 1000
    if height.std() < 0.01:
        return np.zeros(len(domain.days), np.float32)
    lat = np.repeat(domain.coarse.lat.centres, len(domain.coarse.lon))
    lon = np.tile(domain.coarse.lon.centres, len(domain.coarse.lat))
    regressors = np.stack([height, np.ones_like(height), lat - lat.mean(), lon - lon.mean()], axis=1)
    values = filled(domain.inputs[target]).reshape(len(domain.days), -1)
    return -(np.linalg.pinv(regressors)[0] @ values.T.astype(np.float64)).astype(np.float32)


def at_height(domain: Domain, target: str, lapse: Any, up: Regridding | None = None) -> Fields:
    """Bicubic at sea level, then up to the fine ground with `lapse` K/km, (T,) or one: (T, H, W)."""
    lapse = np.broadcast_to(np.asarray(lapse, np.float32), len(domain.days))[:, None, None]
    up = up or interpolation(domain.coarse, domain.fine, "bicubic")
    level = filled(domain.inputs[target]) + lapse * (domain.coarse_static["elevation"] / np.float32(1000))
    return up(level) - lapse * (domain.static["elevation"] / np.float32(1000))
