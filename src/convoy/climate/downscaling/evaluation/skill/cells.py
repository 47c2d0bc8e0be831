"""Measures of the time series at each cell: anomalies, quantiles, annual extremes.

The fields are (T, H, W), missing (NaN) in the same places.
"""

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Days

Field: TypeAlias = npt.NDArray[Any]
SUMMER_DAY_K = 298.15
QUANTILES = {"p02_bias": 0.02, "p98_bias": 0.98}
# Variances below this share of the mean square are rounding errors of single precision.
NEGLIGIBLE = 1e-13
_DAYS_AT_ONCE = 256


def cell_measures(
    prediction: Field, truth: Field, areas: npt.NDArray[np.float64], days: Days, kelvin: bool
) -> dict[str, float]:
    """Measures by name; NaN where one is undefined.

    anomaly_correlation, sd_ratio: of deseasonalised anomalies, pooled over days and cells with the areas as
    weights: sum(w p t) / sqrt(sum(w p p) sum(w t t)) and sqrt(sum(w p p) / sum(w t t)). Each cell's season is
    a mean and two harmonics of the year by least squares, the prediction's own for the prediction.
    p02_bias, p98_bias: area mean of the difference of each cell's quantiles.
    txx_bias: mean difference of the largest value of each cell and calendar year (ETCCDI's TXx).
    summer_days_bias: mean difference of the number of days above 25 degrees C per calendar year (ETCCDI's
    SU); NaN unless `kelvin`. Both include incomplete years.
    """
    basis = harmonics(days.season)
    moments = np.zeros(3)
    scale = 0.0
    shifts = {name: np.full(areas.shape, np.nan) for name in QUANTILES}
    for row, weights in enumerate(areas):
        p, t = (np.ascontiguousarray(field[:, row]) for field in (prediction, truth))
        own, true = anomalies(p, basis), anomalies(t, basis)
        moments += [(product.sum(axis=0) @ weights) for product in (own * true, own * own, true * true)]
        scale += float(np.nansum(np.square(t, dtype=np.float64), axis=0) @ weights)
        sorted_p, sorted_t = np.sort(p.T, axis=1), np.sort(t.T, axis=1)
        for name, share in QUANTILES.items():
            shifts[name][row] = _quantile(sorted_p, share) - _quantile(sorted_t, share)
    return {
        **_anomaly_measures(moments, NEGLIGIBLE * scale),
        **{name: area_mean(shift, areas) for name, shift in shifts.items()},
        "txx_bias": _txx_bias(prediction, truth, areas, days),
        "summer_days_bias": _summer_days_bias(prediction, truth, areas, days) if kelvin else math.nan,
    }


def harmonics(season: npt.NDArray[np.float64], count: int = 2) -> npt.NDArray[np.float64]:
    """Orthonormal columns (T, n) that span a mean and `count` harmonics of the season angle (T,).

    n is 1 + 2 count, or less where these columns are linearly dependent on the given days.
    """
    columns = [np.ones_like(season)]
    for order in range(1, count + 1):
        columns += [np.cos(order * season), np.sin(order * season)]
    left, size, _ = np.linalg.svd(np.stack(columns, axis=1), full_matrices=False)
    return left[:, size > 1e-9 * size[0]]


def anomalies(series: Field, basis: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Residuals (T, n) of least squares fits of series (T, n) on `basis` (T, k); 0 where missing.

    The columns of `basis` are orthonormal, as those of `harmonics`.
    """
    present = ~np.isnan(series)
    if present.all():
        whole = series.astype(np.float64)
        return whole - basis @ (basis.T @ whole)
    values = np.where(present, series, 0).astype(np.float64)
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    gram = (present.T.astype(np.float64) @ products).reshape(-1, basis.shape[1], basis.shape[1])
    weights = np.linalg.pinv(gram, rcond=1e-9, hermitian=True) @ (values.T @ basis)[:, :, None]
    return np.where(present, values - basis @ weights[:, :, 0].T, 0)


def parts(days: int) -> list[slice]:
    """Slices of days, short enough that copies in double precision take little memory."""
    return [slice(start, start + _DAYS_AT_ONCE) for start in range(0, days, _DAYS_AT_ONCE)]


def area_mean(values: Field, areas: npt.NDArray[np.float64]) -> float:
    """Area-weighted mean of the cells (H, W) that are not missing; NaN without any."""
    present = np.isfinite(values)
    if not present.any():
        return math.nan
    return float((values[present] @ areas[present]) / areas[present].sum())


def _anomaly_measures(moments: npt.NDArray[np.float64], negligible: float) -> dict[str, float]:
    cross, own, true = (float(moment) for moment in moments)
    varies = true > negligible
    return {
        "anomaly_correlation": cross / math.sqrt(own * true) if varies and own > negligible else math.nan,
        "sd_ratio": math.sqrt(own / true) if varies else math.nan,
    }


def _quantile(rising: Field, share: float) -> npt.NDArray[np.float64]:
    """Quantile of each row of (n, T), by linear interpolation of its ascending values, missing ones last.

    NaN for a row without values.
    """
    count = (~np.isnan(rising)).sum(axis=1)
    place = share * np.maximum(count - 1, 0)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(rising))
    low, high = (rising[rows, at].astype(np.float64) for at in (below, above))
    return low + (place - below) * (high - low)


def _txx_bias(prediction: Field, truth: Field, areas: npt.NDArray[np.float64], days: Days) -> float:
    total = np.zeros(areas.shape)
    count = np.zeros(areas.shape)
    for year in np.unique(days.year):
        chosen = days.year == year
        highest, true = (np.fmax.reduce(field[chosen], axis=0) for field in (prediction, truth))
        difference = highest.astype(np.float64) - true
        total += np.nan_to_num(difference)
        count += np.isfinite(difference)
    return area_mean(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0), areas)


def _summer_days_bias(prediction: Field, truth: Field, areas: npt.NDArray[np.float64], days: Days) -> float:
    above, true = ((field > SUMMER_DAY_K).sum(axis=0, dtype=np.float64) for field in (prediction, truth))
    years = len(np.unique(days.year))
    empty = np.isnan(truth).all(axis=0)
    return area_mean(np.where(empty, np.nan, (above - true) / years), areas)
