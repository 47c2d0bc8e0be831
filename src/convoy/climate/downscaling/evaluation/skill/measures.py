"""Measures of fine fields: errors, variability, extremes, spectra and spread.

Fields are (T, H, W), NaN where missing; a cell that is missing in the prediction or in the truth is left out
of both. Means over cells are weighted by area, the weights of those present summing to 1 each day; days have
equal weights. A measure that is undefined (no data, division by zero) is None. Weighted means and errors are
computed by the library `scores`.
"""

import itertools
import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Days, Grid
from convoy.climate.data.regridding import Regridding, filled_mean
from convoy.climate.downscaling.evaluation.skill import cells, patterns

Field: TypeAlias = npt.NDArray[Any]
Daily: TypeAlias = npt.NDArray[np.float64]

SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
# Edges of the elevation bands in metres; the lowest band is sea. An edge is in the band below it.
BAND_EDGES_M = (-math.inf, 0.0, 500.0, 1000.0, 2000.0, math.inf)


def measures(
    prediction: Field, truth: Field, grid: Grid, days: Days, *, sd: Field | None = None,
    coarse: Field | None = None, means: Regridding | None = None, kelvin: bool = True,
) -> dict[str, float | None]:  # fmt: skip
    """All measures of a prediction by name, in the units of the target where they have one.

    prediction, truth: (T, H, W) on `grid`; sd: the predicted standard deviation, likewise; coarse: the target
    variable (T, h, w) that the model was given; means: fine -> coarse area means (its rows set the coarse
    Nyquist wavenumber too); kelvin: whether the target is a temperature in kelvin.

    rmse, mae, bias; r2: 1 - mean squared error / variance of the truth over days and cells;
    anomaly_correlation, sd_ratio, p02_bias, p98_bias, txx_bias, summer_days_bias: see
    `cells.cell_measures`; log_spectral_distance (dB), high_frequency_ratio, ssim: see
    `patterns`; coarse_error: see there; crps: see `daily_crps`; spread_skill: root of the mean
    predicted variance / rmse, 1 where the spread equals the error.
    """
    areas = grid.areas
    prediction, truth = _where_both(prediction, truth)
    squared = daily_squared_error(prediction, truth, areas)
    rmse = math.sqrt(_mean(squared))
    crps = spread = math.nan
    if sd is not None:
        crps = _mean(daily_crps(prediction, sd, truth, areas))
        spread = math.sqrt(_mean(_daily_variance(sd, truth, areas)))
    found = {
        "rmse": rmse,
        "mae": _mean(daily_absolute_error(prediction, truth, areas)),
        "bias": _mean(daily_error(prediction, truth, areas)),
        "r2": _r2(_mean(squared), truth, areas),
        **cells.cell_measures(prediction, truth, areas, days, kelvin),
        **patterns.spectral_measures(prediction, truth, means),
        "ssim": patterns.ssim(prediction, truth, areas),
        "coarse_error": math.nan,
        "crps": crps,
        "spread_skill": spread / rmse if rmse > 0 else math.nan,
    }
    if coarse is not None and means is not None:
        found["coarse_error"] = coarse_error(prediction, coarse, means, areas)
    return {name: _known(value) for name, value in found.items()}


def daily_squared_error(prediction: Field, truth: Field, areas: Daily) -> Daily:
    """Area-weighted mean squared error of each day, (T,); the RMSE over days is the root of their mean."""
    import scores.continuous

    return _by_day(scores.continuous.mse, prediction, truth, areas)


def daily_absolute_error(prediction: Field, truth: Field, areas: Daily) -> Daily:
    """Area-weighted mean absolute error of each day, (T,)."""
    import scores.continuous

    return _by_day(scores.continuous.mae, prediction, truth, areas)


def daily_error(prediction: Field, truth: Field, areas: Daily) -> Daily:
    """Area-weighted mean error (prediction - truth) of each day, (T,); the bias over days is their mean."""
    import scores.continuous

    return _by_day(scores.continuous.mean_error, prediction, truth, areas)


def daily_crps(prediction: Field, sd: Field, truth: Field, areas: Daily) -> Daily:
    """Area-weighted mean CRPS of normal distributions (prediction, sd) of each day, (T,).

    sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (truth - prediction) / sd (Gneiting et al. 2005,
    equation 5); where sd is 0, the absolute error.
    """
    from scipy.special import ndtr

    daily = np.empty(len(truth))
    for part in cells.parts(len(truth)):
        error = truth[part].astype(np.float64) - prediction[part]
        width = sd[part].astype(np.float64)
        z = error / np.maximum(width, 1e-30)
        density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        crps = error * (2 * ndtr(z) - 1) + width * (2 * density - 1 / math.sqrt(math.pi))
        daily[part] = _area_mean_by_day(crps, areas)
    return daily


def coarse_error(prediction: Field, coarse: Field, means: Regridding, areas: Daily) -> float:
    """RMSE over days and coarse cells, area-weighted, of area means of the prediction minus `coarse`.

    Coarse cells of which more than half is missing do not count; NaN where none is left.
    """
    # A coarse cell's area per fine cell in it: the harmonic mean, since the means are weighted by area
    # already.
    inverse = means(1 / areas)
    coarse_areas = np.divide(1, inverse, out=np.zeros_like(inverse), where=inverse > 0)
    daily = np.empty(len(coarse))
    for part in cells.parts(len(coarse)):
        own = filled_mean(means, prediction[part].astype(np.float64))
        daily[part] = daily_squared_error(own, coarse[part], coarse_areas)
    return math.sqrt(_mean(daily))


def change_error(
    model_future: Field, model_today: Field, truth_future: Field, truth_today: Field, areas: Daily
) -> float | None:
    """Error of the climate signal: RMSE over cells of modelled minus true change of the mean over days.

    Model and truth are of the same days, (T, H, W); the future may have other days than today.
    """
    future = _mean_difference(model_future, truth_future)
    today = _mean_difference(model_today, truth_today)
    return _known(math.sqrt(cells.area_mean((future - today) ** 2, areas)))


def by_season(
    squared: Daily, error: Daily, month: npt.NDArray[np.int64]
) -> dict[str, dict[str, float | None]]:
    """RMSE and bias of each meteorological season that has days: {"DJF": {"rmse", "bias"}, ...}.

    squared, error: the daily squared errors and errors of T days, of one domain or of several; month: 1 to
    12, (T,).
    """
    chosen = {name: np.isin(month, months) for name, months in SEASONS.items()}
    return {name: _summary(squared[part], error[part]) for name, part in chosen.items() if part.any()}


def has_relief(elevation: Field) -> bool:
    """Whether elevations (H, W) are known: grids without an orography have one value everywhere."""
    return bool(np.nanmax(elevation) > np.nanmin(elevation))


def by_elevation(
    domains: Iterable[tuple[Field, Field, Grid, Field]],
) -> list[dict[str, float | None]]:
    """RMSE and bias of each elevation band that has cells, lowest (sea) first.

    domains: prediction and truth (T, H, W), grid, and elevation (H, W) in metres of each. A band's daily
    errors are means over its cells in a domain, and days of all domains have equal weights. The cells of a
    band are above "from_m" (None for sea) and at or below "to_m" (None for the highest).
    """
    found: dict[tuple[float, float], list[tuple[Daily, Daily]]] = {}
    for prediction, truth, grid, elevation in domains:
        prediction, truth = _where_both(prediction, truth)
        present = ~np.isnan(truth).all(axis=0)
        for low, high in itertools.pairwise(BAND_EDGES_M):
            inside = (elevation > low) & (elevation <= high) & present
            if inside.any():
                part = prediction[:, None, inside], truth[:, None, inside], grid.areas[None, inside]
                errors = daily_squared_error(*part), daily_error(*part)
                found.setdefault((low, high), []).append(errors)
    bands = []
    for low, high in sorted(found):
        squared, error = (np.concatenate(parts) for parts in zip(*found[low, high], strict=True))
        bands.append({"from_m": _known(low), "to_m": _known(high), **_summary(squared, error)})
    return bands


def _summary(squared: Daily, error: Daily) -> dict[str, float | None]:
    return {"rmse": _known(math.sqrt(_mean(squared))), "bias": _known(_mean(error))}


def _r2(squared_error: float, truth: Field, areas: Daily) -> float:
    mean = _mean(_area_mean_by_day(truth, areas))
    variance = _mean(daily_squared_error(truth, np.broadcast_to(mean, truth.shape), areas))
    return 1 - squared_error / variance if variance > cells.NEGLIGIBLE * mean**2 else math.nan


def _daily_variance(sd: Field, truth: Field, areas: Daily) -> Daily:
    variance = np.where(np.isnan(truth), np.nan, np.square(sd))
    return _area_mean_by_day(variance, areas)


def _mean_difference(model: Field, truth: Field) -> Daily:
    """Mean over days of model - truth, (H, W); NaN where a cell has no day."""
    total = np.zeros(truth.shape[1:])
    count = np.zeros(truth.shape[1:])
    for part in cells.parts(len(truth)):
        difference = model[part].astype(np.float64) - truth[part]
        total += np.nansum(difference, axis=0)
        count += np.isfinite(difference).sum(axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _by_day(measure: Any, prediction: Field, truth: Field, areas: Daily) -> Daily:
    """A measure of `scores` for each day, in double precision from the weighting on."""
    import xarray

    fields = [xarray.DataArray(field, dims=("time", "lat", "lon")) for field in (prediction, truth)]
    weights = xarray.DataArray(np.asarray(areas, np.float64), dims=("lat", "lon"))
    return np.asarray(measure(*fields, preserve_dims="time", weights=weights), np.float64)


def _area_mean_by_day(values: Field, areas: Daily) -> Daily:
    import xarray
    from scores.processing import aggregate

    fields = xarray.DataArray(values, dims=("time", "lat", "lon"))
    weights = xarray.DataArray(areas, dims=("lat", "lon"))
    return np.asarray(aggregate(fields, reduce_dims=("lat", "lon"), weights=weights), np.float64)


def _where_both(prediction: Field, truth: Field) -> tuple[Field, Field]:
    """Both fields, missing wherever one of them is."""
    missing = np.isnan(prediction) | np.isnan(truth)
    if not missing.any():
        return prediction, truth
    return np.where(missing, np.nan, prediction), np.where(missing, np.nan, truth)


def _mean(daily: Daily) -> float:
    """Mean over the known days; NaN without any."""
    known = daily[np.isfinite(daily)]
    return float(known.mean()) if len(known) else math.nan


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
