"""Baselines: multinomial logistic regression (scikit-learn) on features of a year.

`harmonics`: of each variable the mean, the first two harmonics of the yearly cycle and the logarithm of the
standard deviation around them; `monthly_means`; `quantiles` of the days of the year. These ignore the order
of nearby days. `correlations`: the harmonics, and the correlations of the anomalies from them between
variables on the same day and from one day to the next.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, softmax

from convoy.climate.series.data.site_years import (
    DAYS,
    TRAIN,
    VALIDATION,
    SiteYears,
    Values,
    require_every_category,
)
from convoy.climate.series.models.params import LinearParams

Floats: TypeAlias = npt.NDArray[np.float64]

QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_MONTHS = np.repeat(np.arange(12), [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_LEAST_SD = 1e-12


def harmonics(values: Values) -> Floats:
    """(N, V, 365) -> (N, 6 V)."""
    cycle, anomalies = _decomposed(values)
    spread = np.log(anomalies.std(axis=2, keepdims=True) + _LEAST_SD)
    return np.concatenate([cycle, spread], axis=2).reshape(len(values), -1)


def correlations(values: Values) -> Floats:
    """(N, V, 365) -> (N, 6 V + V (V - 1) / 2 + V V).

    Harmonics; correlations of the same day; of today's variable with yesterday's, row by row.
    """
    anomalies = _decomposed(values)[1]
    anomalies /= anomalies.std(axis=2, keepdims=True) + _LEAST_SD
    today, before = anomalies[:, :, 1:], anomalies[:, :, :-1]
    same_day = anomalies @ anomalies.swapaxes(1, 2) / DAYS
    next_day = today @ before.swapaxes(1, 2) / (DAYS - 1)
    pairs = np.tril_indices(values.shape[1], -1)
    return np.concatenate([harmonics(values), same_day[:, *pairs], next_day.reshape(len(values), -1)], axis=1)


def _decomposed(values: Values) -> tuple[Floats, Floats]:
    """Mean and two harmonics of each series, (N, V, 5), and the anomalies from them, (N, V, 365)."""
    angle = 2 * np.pi * np.arange(DAYS) / DAYS
    design = np.stack([np.ones(DAYS), *(f(k * angle) for k in (1, 2) for f in (np.cos, np.sin))], axis=1)
    series = values.astype(np.float64)
    cycle = series @ np.linalg.pinv(design).T
    return cycle, series - cycle @ design.T


def monthly_means(values: Values) -> Floats:
    """(N, V, 365) -> (N, 12 V)."""
    means = [values[:, :, month == _MONTHS].mean(axis=2, dtype=np.float64) for month in range(12)]
    return np.stack(means, axis=2).reshape(len(values), -1)


def quantiles(values: Values) -> Floats:
    """(N, V, 365) -> (N, 7 V)."""
    found = np.quantile(values.astype(np.float64), QUANTILES, axis=2)
    return np.moveaxis(found, 0, 2).reshape(len(values), -1)


Features: TypeAlias = Callable[[Values], Floats]
FEATURES: Mapping[str, Features] = MappingProxyType({
    "correlations": correlations, "harmonics": harmonics, "monthly_means": monthly_means,
    "quantiles": quantiles,
})  # fmt: skip
"""The features of each model."""


def feature_count(kind: str, variables: int) -> int:
    """The number of features of so many variables."""
    per_variable = {"correlations": 6, "harmonics": 6, "monthly_means": 12, "quantiles": len(QUANTILES)}
    pairs = variables * (variables - 1) // 2 + variables**2 if kind == "correlations" else 0
    return per_variable[kind] * variables + pairs


def fit(kind: str, data: SiteYears, params: LinearParams) -> dict[str, npt.NDArray[Any]]:
    """Tensors of a baseline fitted on the training split.

    coef (C, F), intercept (C,); mean and scale (F,), by which features get mean 0 and variance 1; C (1,), the
    one with the lowest log-loss on the validation split. Raises ConvoyError where a category has no training
    site-year.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    train, validation = data.of(TRAIN), data.of(VALIDATION)
    require_every_category(kind, train)
    labels = train.labels
    features = FEATURES[kind](train.values)
    mean, scale = features.mean(axis=0), features.std(axis=0) + _LEAST_SD
    inputs = (features - mean) / scale
    best: dict[str, npt.NDArray[Any]] = {}
    lowest = np.inf
    # One thread: sums of BLAS, and with them the weights, depend on the number of threads.
    with threadpool_limits(1):
        for C in params.C:
            regression = LogisticRegression(C=C, max_iter=2000, tol=1e-6).fit(inputs, labels)
            coef, intercept = regression.coef_, regression.intercept_
            if len(coef) == 1:  # for two categories scikit-learn stores the second one's log-odds only
                coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.append(0.0, intercept)
            tensors = {
                "coef": coef, "intercept": intercept, "mean": mean, "scale": scale, "C": np.array([C]),
            }  # fmt: skip
            loss = _log_loss(kind, tensors, validation)
            if loss < lowest:
                best, lowest = tensors, loss
    return best


def probabilities(kind: str, tensors: Mapping[str, npt.NDArray[Any]], values: Values) -> Floats:
    """Probability of each category, (N, C)."""
    return softmax(_logits(kind, tensors, values), axis=1)


def frequencies(categories: Sequence[str], labels: npt.NDArray[np.int64]) -> Floats:
    """Share of each category, (C,)."""
    counts = np.bincount(labels, minlength=len(categories))
    return counts / counts.sum()


def _logits(kind: str, tensors: Mapping[str, npt.NDArray[Any]], values: Values) -> Floats:
    features = (FEATURES[kind](values) - tensors["mean"]) / tensors["scale"]
    return features @ tensors["coef"].T + tensors["intercept"]


def _log_loss(kind: str, tensors: Mapping[str, npt.NDArray[Any]], data: SiteYears) -> float:
    if len(data) == 0:
        return 0.0
    logs = log_softmax(_logits(kind, tensors, data.values), axis=1)
    return float(-np.take_along_axis(logs, data.labels[:, None], axis=1).mean())
