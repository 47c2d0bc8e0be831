"""The noise floor: the lowest expected error of any method that uses only the coarse fields of the same day.

tasmax = D + g. D is a function of the inputs of the models, and can be learnt exactly. Then the coarse means
of tasmax determine those of g, m = P g, with P the area-weighted block means. g is Gaussian with mean 0 and
covariance C, so that its best estimate by least squares is the conditional mean

    E[g | m] = C P' (P C P')^-1 m,   with   Cov[g | m] = C - C P' (P C P')^-1 P C,

for linear and other estimates, and the expected area-weighted squared error is the weighted mean of that
covariance's diagonal. Humidity depends on g only through m, and pressure not at all, so that they add no
information. Other days would (g is autocorrelated), but no model here uses them.
"""

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Grid
from convoy.climate.data.regridding import Regridding, area_mean
from convoy.climate.synthetic.spectra import Modes


def conditional_variance(modes: Modes, coarse: Grid, fine: Grid) -> npt.NDArray[np.float64]:
    """Diagonal of Cov[g | block means] on the fine grid, (H, W), in K^2; the grids must nest."""
    means = area_mean(fine, coarse)
    shape, blocks = fine.shape, coarse.shape
    lag = modes.covariance()
    rows, columns = np.indices(shape).reshape(2, -1)
    # C P', (H W, h w), row by row: the covariance of one cell with all others is a shifted copy of `lag`.
    cross = np.empty((shape[0] * shape[1], blocks[0] * blocks[1]))
    for cell, (row, column) in enumerate(zip(rows, columns, strict=True)):
        shifted = lag[np.ix_(np.arange(shape[0]) - row, np.arange(shape[1]) - column)]
        cross[cell] = means(shifted).ravel()
    within = _flat(means, cross, blocks)
    solved = np.linalg.solve(within, cross.T)
    # Where the means determine g, rounding errors could make the variance negative.
    return np.maximum(lag[0, 0] - np.einsum("cb,bc->c", cross, solved), 0).reshape(shape)


def noise_floor_rmse(modes: Modes, coarse: Grid, fine: Grid) -> float:
    """Area-weighted root of the conditional variance, K."""
    return float(np.sqrt((conditional_variance(modes, coarse, fine) * fine.areas).sum()))


def _flat(
    means: Regridding, cross: npt.NDArray[np.float64], blocks: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """P C P', (h w, h w), from C P'."""
    fine = (means.lat.shape[1], means.lon.shape[1])
    columns = cross.T.reshape(-1, *fine)
    return means(columns).reshape(-1, blocks[0] * blocks[1]).T
