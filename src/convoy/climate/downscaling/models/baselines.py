"""The baselines: interpolation, lapse rates and per-pixel statistics, each as a fit and a prediction.

A fit takes training domains and the target and returns tensors; a prediction takes these, a domain and the
target and returns the fine field (T, H, W).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from convoy.climate.data.domains import Domain, Fields
from convoy.climate.data.lapse import (
    STANDARD_K_PER_KM,
    TEMPERATURES,
    at_height,
    daily_lapse,
    filled,
)
from convoy.climate.data.regridding import Method, interpolation
from convoy.core.models import Tensors

QUANTILES = np.linspace(0.01, 0.99, 50)
RIDGE_PENALTIES = (1.0, 10.0, 100.0, 1000.0)
SEASONS = 4
_MONTHS = range(1, 13)


def fit_nothing(_domains: Sequence[Domain], _target: str) -> Tensors:
    """Tensors of a baseline that has nothing to fit."""
    return {"nothing": np.zeros(1, np.float32)}


def interpolated(method: Method) -> Callable[[Mapping[str, Any], Domain, str], Fields]:
    """A prediction by interpolation of the coarse field."""

    def predict(_tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
        return interpolation(domain.coarse, domain.fine, method)(filled(domain.inputs[target]))

    return predict


def with_fixed_lapse(_tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
    """Bicubic interpolation, moved to the height of each fine cell with 6.5 K/km."""
    return at_height(domain, target, STANDARD_K_PER_KM if target in TEMPERATURES else 0.0)


def with_daily_lapse(_tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
    """Bicubic interpolation, moved to the height of each fine cell with the day's lapse rate."""
    return at_height(domain, target, daily_lapse(domain, target))


def fit_monthly_lapse(domains: Sequence[Domain], target: str) -> Tensors:
    """Mean of the daily lapse rates per month (12,), in K/km."""
    lapse = np.concatenate([daily_lapse(domain, target) for domain in domains])
    month = np.concatenate([domain.days.month for domain in domains])
    lapse, month = lapse[~np.isnan(lapse)], month[~np.isnan(lapse)]
    means = [lapse[month == number].mean() if (month == number).any() else lapse.mean() for number in _MONTHS]
    return {"lapse": np.array(means, np.float32)}


def with_monthly_lapse(tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
    """Bicubic interpolation, moved to the height of each fine cell with the lapse rate of the month."""
    return at_height(domain, target, tensors["lapse"][domain.days.month - 1])


def _bicubic(domain: Domain, target: str) -> Fields:
    return interpolated("bicubic")({}, domain, target)


def _truth(domain: Domain) -> Fields:
    assert domain.target is not None
    return domain.target


def fit_climatology(domains: Sequence[Domain], _target: str) -> Tensors:
    """Mean of the truth per pixel and month."""
    return {"climatology": _monthly_mean([_truth(domain) for domain in domains], domains)}


def with_climatology(tensors: Mapping[str, Any], domain: Domain, _target: str) -> Fields:
    """The mean of the pixel and month, whatever the coarse field."""
    return np.asarray(tensors["climatology"][domain.days.month - 1])


def fit_monthly_residual(domains: Sequence[Domain], target: str) -> Tensors:
    """Mean of truth minus bicubic per pixel and month."""
    residual = [_truth(domain) - _bicubic(domain, target) for domain in domains]
    return {"residual": _monthly_mean(residual, domains)}


def _monthly_mean(fields: Sequence[Fields], domains: Sequence[Domain]) -> Fields:
    """Mean per month and pixel (12, H, W); a month without any day takes the mean of all days."""
    field = np.concatenate(fields)
    month = np.concatenate([domain.days.month for domain in domains])
    every = _mean(field)
    means = [_mean(field[month == number]) if (month == number).any() else every for number in _MONTHS]
    return np.stack(means).astype(np.float32)


def with_monthly_residual(tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
    """Bicubic interpolation plus the mean residual of the pixel and month."""
    return _bicubic(domain, target) + tensors["residual"][domain.days.month - 1]


def _mean(field: Fields) -> npt.NDArray[np.float64]:
    """Mean over days, NaN where a cell is always missing."""
    count = (~np.isnan(field)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.nansum(field, axis=0, dtype=np.float64) / np.where(count, count, np.nan)


def fit_quantiles(domains: Sequence[Domain], target: str) -> Tensors:
    """Quantiles of bicubic and truth per season and pixel, each (4, 50, H, W)."""
    season = np.concatenate([domain.days.month % 12 // 3 for domain in domains])
    guess = np.concatenate([_bicubic(domain, target) for domain in domains])
    truth = np.concatenate([_truth(domain) for domain in domains])
    guess[np.isnan(truth)] = np.nan
    tensors = {}
    for name, field in (("guess", guess), ("truth", truth)):
        parts = [field[season == number] for number in range(SEASONS)]
        # A season without training days is mapped with the quantiles of the year.
        parts = [part if len(part) else field for part in parts]
        tensors[name] = np.stack([_quantiles(part) for part in parts])
    return tensors


def _quantiles(field: Fields) -> Fields:
    """Quantiles (50, H, W) over known days, by linear interpolation; NaN where there is none."""
    ordered = np.sort(field, axis=0)  # missing values come last
    last = np.maximum((~np.isnan(field)).sum(axis=0) - 1, 0)
    place = QUANTILES[:, None, None] * last
    low = np.floor(place).astype(int)
    share = (place - low).astype(np.float32)
    below, above = (np.take_along_axis(ordered, at, axis=0) for at in (low, np.minimum(low + 1, last)))
    return below * (1 - share) + above * share


def with_quantiles(tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
    """Each value is shifted by the difference of its quantiles, beyond the outermost ones by theirs."""
    guess = _bicubic(domain, target)
    season = domain.days.month % 12 // 3
    out = guess.reshape(len(guess), -1).copy()
    for number in range(SEASONS):
        days = np.flatnonzero(season == number)
        source = tensors["guess"][number].reshape(len(QUANTILES), -1)
        moved = tensors["truth"][number].reshape(len(QUANTILES), -1) - source
        for pixel in range(out.shape[1] if len(days) else 0):
            out[days, pixel] += np.interp(out[days, pixel], source[:, pixel], moved[:, pixel])
    return out.reshape(guess.shape)


def fit_ridge(domains: Sequence[Domain], target: str) -> Tensors:
    """Ridge regression of truth minus daily lapse, per pixel on all inputs around it and the season.

    The pixels of one coarse cell share their predictors, and one factorisation where they lack the same days.
    The penalty is the one of `RIDGE_PENALTIES` that best predicts the last fifth of the days from the others.
    """
    predictors = np.concatenate([_predictors(domain) for domain in domains])
    residual = np.concatenate(
        [_truth(domain) - at_height(domain, target, daily_lapse(domain, target)) for domain in domains]
    )
    mean, scale = np.nanmean(predictors, axis=(0, 1, 2)), np.nanstd(predictors, axis=(0, 1, 2))
    scale[scale == 0] = 1
    # Missing values are replaced by the mean.
    predictors = np.nan_to_num((predictors - mean) / scale, copy=False)
    rows, columns = _cells(domains[0])
    first = len(residual) * 4 // 5
    errors = np.zeros(len(RIDGE_PENALTIES))
    weights = np.zeros((predictors.shape[-1] + 1, *residual.shape[1:]), np.float32)
    # One thread: systems this small gain nothing from two, which wait for each other on a busy machine.
    with threadpool_limits(1):
        for row, column, pixels in _blocks(rows, columns):
            x, y = predictors[:, row, column], residual[(slice(None), *pixels)].reshape(len(residual), -1)
            for number, fitted in enumerate(_ridge(x[:first], y[:first], RIDGE_PENALTIES)):
                errors[number] += np.nansum((_with_one(x[first:]) @ fitted - y[first:]) ** 2)
        best = RIDGE_PENALTIES[int(errors.argmin())]
        for row, column, pixels in _blocks(rows, columns):
            y = residual[(slice(None), *pixels)]
            (fitted,) = _ridge(predictors[:, row, column], y.reshape(len(y), -1), (best,))
            weights[(slice(None), *pixels)] = fitted.reshape(-1, *y.shape[1:])
    return {
        "weights": weights, "mean": mean.astype(np.float32), "scale": scale.astype(np.float32),
        "penalty": np.array([best], np.float32),
    }  # fmt: skip


def with_ridge(tensors: Mapping[str, Any], domain: Domain, target: str) -> Fields:
    """Bicubic with the daily lapse rate, plus the residual that ridge regression predicts."""
    out = at_height(domain, target, daily_lapse(domain, target))
    predictors = np.nan_to_num((_predictors(domain) - tensors["mean"]) / tensors["scale"], copy=False)
    for row, column, pixels in _blocks(*_cells(domain)):
        weights = tensors["weights"][(slice(None), *pixels)]
        change = _with_one(predictors[:, row, column]) @ weights.reshape(len(weights), -1)
        out[(slice(None), *pixels)] += change.reshape(-1, *weights.shape[1:])
    return out


def _ridge(x: npt.NDArray[Any], y: npt.NDArray[Any], penalties: Sequence[float]) -> list[npt.NDArray[Any]]:
    """Weights (predictors + 1, pixels) per penalty, from the days on which a pixel is known; NaN without any.

    The constant is not penalised.
    """
    design = _with_one(x).astype(np.float64)
    penalised = np.diag([1.0] * x.shape[1] + [0.0])
    weights = [np.full((design.shape[1], y.shape[1]), np.nan) for _ in penalties]
    present = ~np.isnan(y)
    alike: dict[bytes, list[int]] = {}
    for pixel, days in enumerate(present.T):
        alike.setdefault(days.tobytes(), []).append(pixel)
    for pixels in alike.values():
        days = present[:, pixels[0]]
        if days.any():
            seen = design[days]
            square, product = seen.T @ seen, seen.T @ y[np.ix_(days, pixels)].astype(np.float64)
            for of_penalty, penalty in zip(weights, penalties, strict=True):
                of_penalty[:, pixels] = np.linalg.solve(square + penalty * penalised, product)
    return weights


def _with_one(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([x, np.ones((len(x), 1), x.dtype)], axis=1)


def _predictors(domain: Domain) -> Fields:
    """All inputs in the 3 x 3 cells around each coarse cell, and two harmonics of the year, (T, h, w, P).

    NaN on the days on which an input is missing in all cells.
    """
    height, width = domain.coarse.shape
    parts = []
    for field in domain.inputs.values():
        wide = np.pad(filled(field), ((0, 0), (1, 1), (1, 1)), mode="edge")
        parts += [wide[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    angle = domain.days.season[:, None, None] * np.ones((1, height, width))
    parts += [wave(n * angle).astype(np.float32) for n in (1, 2) for wave in (np.cos, np.sin)]
    return np.stack(parts, axis=-1)


def _cells(domain: Domain) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The coarse row and column nearest to each fine one."""
    nearest = interpolation(domain.coarse, domain.fine, "nearest")
    return nearest.lat.argmax(axis=1), nearest.lon.argmax(axis=1)


def _blocks(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> list[tuple[int, int, Any]]:
    """Coarse row, coarse column, and the index of the fine cells nearest to it."""
    return [
        (int(row), int(column), np.ix_(rows == row, columns == column))
        for row in np.unique(rows)
        for column in np.unique(columns)
    ]


def main_place(domains: Sequence[Domain]) -> str:
    """The place with the most days."""
    days: dict[str, int] = {}
    for domain in domains:
        days[domain.place] = days.get(domain.place, 0) + len(domain.days)
    return max(days, key=lambda name: days[name])
