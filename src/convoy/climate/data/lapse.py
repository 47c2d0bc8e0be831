"""Temperature and height: the lapse rate of a coarse field, and fields moved to another terrain."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from convoy.climate.data.domains import Domain, Fields
from convoy.climate.data.regridding import Regridding, interpolation

STANDARD_K_PER_KM = 6.5
# Other variables are not changed: they do not decrease linearly with height.
TEMPERATURES = ("tas", "tasmax", "tasmin")


def filled(field: Fields) -> Fields:
    """The field (..., h, w) with missing cells replaced by the nearest known one, unless all are missing."""
    missing = np.isnan(field)
    if not missing.any():
        return field
    flat = field.reshape(-1, *field.shape[-2:])
    out = flat.copy()
    for hole, days in _by_mask(missing.reshape(flat.shape)):
        if hole.any() and not hole.all():
            rows, columns = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
            out[days] = flat[days][:, rows, columns]
    return out.reshape(field.shape)


def _by_mask(masks: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.bool_], list[int]]]:
    """The distinct masks of (T, ...), and the days of each."""
    days: dict[bytes, list[int]] = {}
    for day, mask in enumerate(masks):
        days.setdefault(mask.tobytes(), []).append(day)
    return ((masks[alike[0]], alike) for alike in days.values())


def daily_lapse(domain: Domain, target: str) -> npt.NDArray[np.float32]:
    """Lapse rate: decrease of the coarse field per km of height on each day, (T,).

    Least squares on height, latitude and longitude over the coarse cells that are not missing; 0 where their
    terrain is flat, and for a variable that is no temperature; NaN on a day without any.
    """
    if target not in TEMPERATURES:
        return np.zeros(len(domain.days), np.float32)
    height = domain.coarse_static["elevation"].astype(np.float64).ravel() / 1000
    lat = np.repeat(domain.coarse.lat.centres, len(domain.coarse.lon))
    lon = np.tile(domain.coarse.lon.centres, len(domain.coarse.lat))
    regressors = np.stack([height, np.ones_like(height), lat - lat.mean(), lon - lon.mean()], axis=1)
    values = domain.inputs[target].reshape(len(domain.days), -1)
    lapse = np.zeros(len(values), np.float32)
    for present, days in _by_mask(~np.isnan(values)):
        if not present.any():
            lapse[days] = np.nan
        elif height[present].std() >= 0.01:
            weights = np.linalg.pinv(regressors[present])[0]
            lapse[days] = -(values[days][:, present] @ weights)
    return lapse


def at_sea_level(domain: Domain, target: str, lapse: Any) -> Fields:
    """The coarse field reduced to sea level with `lapse` K/km, (T,) or one: (T, h, w).

    Missing cells are filled from the nearest known one after that, since their heights may differ.
    """
    lapse = np.broadcast_to(np.asarray(lapse, np.float32), len(domain.days))[:, None, None]
    return filled(domain.inputs[target] + lapse * (domain.coarse_static["elevation"] / np.float32(1000)))


def at_height(domain: Domain, target: str, lapse: Any, up: Regridding | None = None) -> Fields:
    """Bicubic at sea level, then up to the fine terrain with `lapse` K/km, (T,) or one: (T, H, W)."""
    up = up or interpolation(domain.coarse, domain.fine, "bicubic")
    level = up(at_sea_level(domain, target, lapse))
    lapse = np.broadcast_to(np.asarray(lapse, np.float32), len(domain.days))[:, None, None]
    return level - lapse * (domain.static["elevation"] / np.float32(1000))
