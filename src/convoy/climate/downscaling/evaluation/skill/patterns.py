"""Measures of each day's map: its power spectrum and structural similarity.

The fields are (T, H, W), missing (NaN) in the same places.
"""

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from convoy.climate.data.regridding import Regridding
from convoy.climate.downscaling.evaluation.skill.cells import parts

Field: TypeAlias = npt.NDArray[Any]

# Wang et al. (2004): a Gaussian window of 11 x 11 cells, and the constants that stabilise quotients.
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
SSIM_K1, SSIM_K2 = 0.01, 0.03
SSIM_DAYS = 200


def spectral_measures(prediction: Field, truth: Field, means: Regridding | None) -> dict[str, float]:
    """log_spectral_distance and high_frequency_ratio; NaN where one is undefined.

    log_spectral_distance, dB: the root of the mean over wavenumbers of (10 log10 of the ratio of the two mean
    spectra) squared. high_frequency_ratio: power beyond the coarse grid's Nyquist wavenumber, prediction /
    truth; NaN without `means` (fine -> coarse area means). Both are of `spectrum`.
    """
    wavenumber, own = spectrum(prediction)
    _, true = spectrum(truth)
    distance = ratio = math.nan
    if len(own) and (own > 0).all() and (true > 0).all():
        distance = math.sqrt(np.mean((10 * np.log10(own / true)) ** 2))
    if means is not None:
        # Rows of equal degrees differ a little in area, by which the coarse rows are defined.
        beyond = wavenumber > 1.01 * coarse_nyquist(means)
        ratio = own[beyond].sum() / true[beyond].sum() if true[beyond].sum() > 0 else math.nan
    return {"log_spectral_distance": distance, "high_frequency_ratio": ratio}


def spectrum(field: Field) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean isotropic power spectrum of maps (T, H, W): wavenumbers (K,) and power (K,).

    Wavenumbers are in cycles a cell, n / N for n = 1 .. N // 2 with N the shorter side; divided by a cell's
    width in degrees they are cycles a degree. The power is summed over the shell of a wavenumber (circles of
    cells, not of kilometres) and averaged over days, in the field's units squared: a wave of amplitude a has
    a**2 / 2 in total. Each day's mean is subtracted, missing cells are set to 0, and a Hann window, whose
    loss of power is corrected, makes the field periodic. Days without a value are left out.
    """
    rows, columns = field.shape[1:]
    size = min(rows, columns)
    window = np.outer(_hann(rows), _hann(columns))
    total = np.zeros((rows, columns // 2 + 1))
    count = 0
    for part in parts(len(field)):
        maps = field[part].astype(np.float64)
        maps = maps[~np.isnan(maps).all(axis=(1, 2))]
        count += len(maps)
        if len(maps):
            maps -= np.nanmean(maps, axis=(1, 2), keepdims=True)
            np.nan_to_num(maps, copy=False)
            modes = fft.rfft2(maps * window)
            total += (modes.real**2 + modes.imag**2).sum(axis=0)
    # A real transform omits the conjugates, except in the first and, for an even length, the last column.
    total[:, 1 : (columns + 1) // 2] *= 2
    shell = np.rint(np.hypot(fft.fftfreq(rows)[:, None], fft.rfftfreq(columns)) * size).astype(int)
    power = np.bincount(shell.ravel(), weights=total.ravel())[1 : size // 2 + 1]
    wavenumber = np.arange(1, size // 2 + 1) / size
    if count == 0:
        return wavenumber, np.full(len(wavenumber), np.nan)
    return wavenumber, power / (count * (window**2).sum() * rows * columns)


def coarse_nyquist(means: Regridding) -> float:
    """The Nyquist wavenumber of the coarse grid, in cycles per fine cell; for two sides the larger one."""
    # A column's sum is the share of a fine cell in its coarse cell.
    return 0.5 * max(float(np.median(matrix.sum(axis=0))) for matrix in (means.lat, means.lon))


def ssim(prediction: Field, truth: Field, areas: npt.NDArray[np.float64]) -> float:
    """Mean structural similarity (Wang et al. 2004), 1 for equal maps; NaN where it is undefined.

    Fields count from the truth's lowest value on and the data range is the truth's highest minus lowest, over
    all days and cells: as for pictures, whose values lie in 0 .. range. Local moments are of the cells in the
    window that are not missing; cells nearer than 5 to the border are left out. The mean is weighted by area
    and taken over at most 200 days, evenly spaced from first to last.
    """
    days = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), SSIM_DAYS)).round().astype(int))
    rows, columns = truth.shape[1:]
    present = ~np.isnan(truth)
    if min(rows, columns) <= 2 * SSIM_RADIUS or not present.any():
        return math.nan
    lowest, highest = float(np.nanmin(truth)), float(np.nanmax(truth))
    if highest == lowest:
        return math.nan
    inner = (slice(None), slice(SSIM_RADIUS, rows - SSIM_RADIUS), slice(SSIM_RADIUS, columns - SSIM_RADIUS))
    x, y = (field[days].astype(np.float64) - lowest for field in (prediction, truth))
    similarity = _similarity(x, y, present[days], highest - lowest)[inner]
    weights = np.where(present[days][inner], areas[inner[1:]], 0)
    known = weights.sum(axis=(1, 2))
    if not known.any():
        return math.nan
    daily = (similarity * weights).sum(axis=(1, 2))[known > 0] / known[known > 0]
    return float(daily.mean())


def _similarity(x: Field, y: Field, present: npt.NDArray[np.bool_], data_range: float) -> Field:
    """Structural similarity of each cell, (T, H, W)."""
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    x, y = (np.where(present, field, 0) for field in (x, y))
    share = np.maximum(_gaussian(present.astype(np.float64)), 1e-12)
    mean_x, mean_y, xx, yy, xy = (_gaussian(part) / share for part in (x, y, x * x, y * y, x * y))
    covariance = xy - mean_x * mean_y
    variances = xx - mean_x**2 + yy - mean_y**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def _gaussian(field: Field) -> Field:
    return ndimage.gaussian_filter(field, SSIM_SIGMA, radius=SSIM_RADIUS, mode="constant", axes=(1, 2))


def _hann(cells: int) -> npt.NDArray[np.float64]:
    """The periodic Hann window."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(cells) / cells)
