"""From one rectilinear grid to another: every method is a matrix per axis, out = A_lat @ field @ A_lon.T."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Axis, Grid

Method: TypeAlias = Literal["nearest", "bilinear", "bicubic"]
METHODS: tuple[Method, ...] = ("nearest", "bilinear", "bicubic")


@dataclass(frozen=True, eq=False)
class Regridding:
    """Matrices (H, h) and (W, w); `field` (..., h, w) becomes (..., H, W)."""

    lat: npt.NDArray[np.float64]
    lon: npt.NDArray[np.float64]

    def __call__(self, field: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The field on the new grid, in its precision; a missing cell makes its row and column missing."""
        dtype = field.dtype
        return self.lat.astype(dtype) @ field @ self.lon.T.astype(dtype)


def interpolation(source: Grid, target: Grid, method: Method) -> Regridding:
    """Values at the centres of `target` from those at the centres of `source`.

    bicubic: cubic convolution (Keys 1981, a = -1/2). Beyond the outermost centres values are extrapolated
    linearly; nearest takes the outermost cell.
    """
    return Regridding(_weights(source.lat, target.lat, method), _weights(source.lon, target.lon, method))


def area_mean(source: Grid, target: Grid) -> Regridding:
    """Area-weighted means over the cells of the coarser `target`, by the shares of overlap on the sphere.

    Weights are zero for cells that `source` does not overlap; elsewhere they sum to 1, also where a cell of
    `target` is only partly covered.
    """
    return Regridding(
        _overlaps(np.sin(np.radians(source.lat.bounds)), np.sin(np.radians(target.lat.bounds))),
        _overlaps(source.lon.bounds, target.lon.bounds),
    )


def filled_mean(means: Regridding, field: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Area means (..., h, w) over the cells that are not missing; NaN where more than half of a cell is."""
    present = ~np.isnan(field)
    covered = means(present.astype(field.dtype))
    sums = means(np.where(present, field, 0).astype(field.dtype))
    # With a tolerance: in single precision half a cell may be slightly less than a half.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(covered > 0.4999, sums / covered, np.nan).astype(field.dtype)


def whole_ratio(coarse: Grid, fine: Grid) -> int | None:
    """The factor by which `fine` divides the cells of `coarse` evenly along both axes, or None."""
    factors = set()
    for wide, narrow in ((coarse.lat, fine.lat), (coarse.lon, fine.lon)):
        factor, rest = divmod(len(narrow), len(wide))
        if rest or factor == 0:
            return None
        parts = np.arange(factor) / factor
        edges = (wide.bounds[:, :1] + parts * np.diff(wide.bounds, axis=1)).ravel()
        if not np.allclose(narrow.bounds[:, 0], edges, atol=1e-4):
            return None
        factors.add(factor)
    return factors.pop() if len(factors) == 1 else None


def _weights(source: Axis, target: Axis, method: Method) -> npt.NDArray[np.float64]:
    centres = source.centres
    if len(centres) == 1:
        return np.ones((len(target), 1))
    # Position of each target centre in units of source cells; the outermost intervals are extended.
    left = np.clip(np.searchsorted(centres, target.centres) - 1, 0, len(centres) - 2)
    place = left + (target.centres - centres[left]) / np.diff(centres)[left]
    weights = np.zeros((len(target), len(centres)))
    rows = np.arange(len(target))
    if method == "nearest":
        weights[rows, np.clip(np.floor(place + 0.5).astype(int), 0, len(centres) - 1)] = 1
        return weights
    if method == "bilinear" or len(centres) < 4:
        share = place - left
        weights[rows, left], weights[rows, left + 1] = 1 - share, share
        return weights
    base = np.floor(place).astype(int)
    for offset in (-1, 0, 1, 2):
        share = _keys(place - (base + offset))
        _add_extended(weights, rows, base + offset, share)
    return weights


def _add_extended(
    weights: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], at: npt.NDArray[np.int64],
    share: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Add weights for cells that may be beyond the grid, where values are extrapolated linearly."""
    last = weights.shape[1] - 1
    edge = np.clip(at, 0, last)
    inner = np.where(at < 0, 1, np.where(at > last, last - 1, edge))
    beyond = np.abs(at - edge)
    np.add.at(weights, (rows, edge), share * (1 + beyond))
    np.add.at(weights, (rows, inner), -share * beyond)


def _keys(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _overlaps(narrow: npt.NDArray[np.float64], wide: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    low = np.maximum(narrow[None, :, 0], wide[:, None, 0])
    high = np.minimum(narrow[None, :, 1], wide[:, None, 1])
    length = np.clip(high - low, 0, None)
    # Edges that differ only by rounding do not overlap.
    length[length < 1e-9] = 0
    total = length.sum(axis=1, keepdims=True)
    return np.divide(length, total, out=np.zeros_like(length), where=total > 0)
