"""Intervals and tests for rates, differences and calibration, used by both projects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import bdtr, ndtri

CONFIDENCE = 0.95
# Weights of so many (resample, item) pairs are held at a time: 16 MB, near the processor's cache.
_WEIGHTS_AT_ONCE = 2_000_000


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Score interval of a rate of `successes` in `n` trials (Wilson 1927), exact 0 and 1 at its ends.

    Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not 0 <= successes <= n or n <= 0:
        raise ValueError(f"expected 0 <= successes <= n and n > 0; found {successes} of {n}")
    z2 = float(ndtri((1 + confidence) / 2)) ** 2
    rate = successes / n
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (rate * (1 - rate) + z2 / (4 * n)) / n) / (1 + z2 / n)
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == n else float(centre + half)
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test (1947) from the two counts of discordant pairs.

    Under the null hypothesis the smaller count is binomial(total, 1/2); with no discordant pair p is 1.
    """
    total = only_first + only_second
    if total == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(only_first, only_second), total, 0.5)))


def resampled_sums(values: Any, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sums of the rows of `values` over bootstrap samples of its rows: (n, k) -> (resamples, k).

    `values` is a dense array or a scipy sparse matrix with one row per item; whatever is a function of
    sums over items (a rate, F1 through counts, a calibration error through bins) follows from these.
    """
    n, columns = values.shape
    sums = np.empty((resamples, columns))
    step = max(1, _WEIGHTS_AT_ONCE // n)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = rng.integers(0, n, size=(count, n))
        drawn += n * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)
        sums[start : start + count] = (values.T @ weights.T).T
    return sums


def grouped_sums(values: Any, groups: np.ndarray) -> np.ndarray:
    """Sums of the rows of `values` (n, k) over each group, (groups, k); `groups` (n,) numbers them from 0.

    A bootstrap of these resamples whole groups, whose members may depend on each other.
    """
    rows = np.arange(len(groups))
    member = sparse.csr_array((np.ones(len(groups)), (groups, rows)), (int(groups.max()) + 1, len(groups)))
    sums = member @ values
    return sums.toarray() if sparse.issparse(sums) else sums


def resampled_means(
    values: np.ndarray, resamples: int, rng: np.random.Generator, groups: np.ndarray | None = None
) -> np.ndarray:
    """Means of the columns over bootstrap samples of rows, or of whole groups: (n, k) -> (resamples, k).

    `groups` (n,): see `grouped_sums`. As groups differ in size, so do the rows of a resample.
    """
    if groups is None:
        return resampled_sums(values, resamples, rng) / len(values)
    counted = np.column_stack([values, np.ones(len(values))])
    sums = resampled_sums(grouped_sums(counted, groups), resamples, rng)
    return sums[:, :-1] / sums[:, -1:]


def resampled_seed_means(draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means over resampled training seeds: (resamples, seeds, ...) -> (resamples, ...).

    Of S seeds S-1 are drawn with replacement: then the variance of the mean is the unbiased s2/S even
    for two or three seeds, where S draws would give (S-1)/S of it (McCarthy and Snowden 1985).
    """
    resamples, seeds = draws.shape[:2]
    chosen = rng.integers(0, seeds, size=(resamples, max(1, seeds - 1)))
    return draws[np.arange(resamples)[:, None], chosen].mean(axis=1)


def percentile_interval(
    draws: np.ndarray, centre: float | None = None, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Central interval of bootstrap `draws` (Efron 1979).

    With `centre` the draws are moved so that their mean is the measured value: for statistics such as a
    calibration error, which resampling shifts away from what was measured.
    """
    shift = 0.0 if centre is None else centre - float(draws.mean())
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low) + shift, float(high) + shift


def blocks(ordinal: np.ndarray, series: np.ndarray | None = None, block_days: int = 30) -> np.ndarray:
    """Numbers 0, 1, ... of the blocks that days belong to, (T,): `block_days` consecutive days each.

    ordinal (T,) counts days, rising within a series; series (T,) numbers the series, such as one per domain.
    Blocks are cut from the start; a gap or another series starts a new one, so that the one before it may be
    shorter.
    """
    index = np.arange(len(ordinal))
    starts = np.ones(len(ordinal), bool)
    starts[1:] = np.diff(ordinal) != 1
    if series is not None:
        starts[1:] |= series[1:] != series[:-1]
    since_start = index - np.maximum.accumulate(np.where(starts, index, 0))
    return np.cumsum(since_start % block_days == 0) - 1


def block_bootstrap(
    daily: np.ndarray, blocks: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Means of daily values over bootstrap samples of whole blocks of days: (T, k) -> (resamples, k).

    `blocks` (T,) is made by the function of that name; days of one block may depend on each other (Carlstein
    1986). The columns share their resamples; a day on which one of them is NaN is left out for all. All NaN
    where fewer than two blocks have days: the spread between blocks is then unknown.
    """
    known = np.isfinite(daily).all(axis=1)
    found, block = np.unique(blocks[known], return_inverse=True)
    if len(found) < 2:
        return np.full((resamples, daily.shape[1]), np.nan)
    columns = [*daily[known].T, np.ones(len(block))]
    sums = np.stack([np.bincount(block, weights=column) for column in columns], axis=1)
    drawn = resampled_sums(sums, resamples, rng)
    return drawn[:, :-1] / drawn[:, -1:]


def skill(model_rmse: Any, baseline_rmse: Any) -> np.ndarray:
    """1 - RMSE of the model / RMSE of the baseline, (...); NaN where the baseline makes no error."""
    return 1 - model_rmse / np.where(np.greater(baseline_rmse, 0), baseline_rmse, np.nan)


def noise_floor_share(model_rmse: Any, baseline_rmse: Any, noise_floor: float) -> np.ndarray:
    """(baseline RMSE - model RMSE) / (baseline RMSE - `noise_floor`), (...): 1 is at the noise floor.

    Negative where the model is worse than the baseline; NaN where the baseline is at the noise floor or
    below.
    """
    way = np.where(np.greater(baseline_rmse, noise_floor), np.subtract(baseline_rmse, noise_floor), np.nan)
    return np.subtract(baseline_rmse, model_rmse) / way


def rmse_interval(
    squared_error: np.ndarray, blocks: np.ndarray, resamples: int, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Interval of the RMSE from daily squared errors, by `rmse_draws`; None from a single block."""
    return _interval_if_known(rmse_draws([squared_error], blocks, resamples, rng)[:, 0])


def skill_interval(
    model: np.ndarray, baseline: np.ndarray, blocks: np.ndarray, resamples: int, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Interval of `skill` from the daily squared errors of both on the same days.

    Paired, by `rmse_draws`; None from a single block.
    """
    model_rmse, baseline_rmse = rmse_draws([model, baseline], blocks, resamples, rng).T
    return _interval_if_known(skill(model_rmse, baseline_rmse))


def noise_floor_share_interval(
    model: np.ndarray, baseline: np.ndarray, noise_floor: float, blocks: np.ndarray, resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float] | None:  # fmt: skip
    """Interval of `noise_floor_share` from the daily squared errors of both on the same days.

    Paired, by `rmse_draws`, `noise_floor` taken as known. None from a single block, and where in any resample
    the baseline is at the noise floor or below.
    """
    model_rmse, baseline_rmse = rmse_draws([model, baseline], blocks, resamples, rng).T
    return _interval_if_known(noise_floor_share(model_rmse, baseline_rmse, noise_floor))


def rmse_draws(
    models: Sequence[np.ndarray], blocks: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """RMSEs over bootstrap samples of blocks of days and of trainings, (resamples, models).

    Each model's daily squared errors are (T,), or (T, S) of S trainings with other seeds, whose mean RMSE
    counts. Days are resampled by `block_bootstrap`, the same for all models; then each model's trainings by
    `resampled_seed_means`, so that the draws hold the spread of both. A single training is kept as it is.
    """
    columns = [errors.reshape(len(errors), -1) for errors in models]
    drawn = np.sqrt(block_bootstrap(np.concatenate(columns, axis=1), blocks, resamples, rng))
    sides = np.split(drawn, np.cumsum([part.shape[1] for part in columns])[:-1], axis=1)
    return np.stack([resampled_seed_means(side, rng) for side in sides], axis=1)


def _interval_if_known(draws: np.ndarray) -> tuple[float, float] | None:
    return percentile_interval(draws) if np.isfinite(draws).all() else None


def calibration_bin(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Index of the equal-width bin ((i)/bins, (i+1)/bins] that holds each confidence in [0, 1]."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int) -> float:
    """Mean over items of |accuracy - mean confidence| of their bin, in [0, 1] (Guo et al. 2017).

    `confidence` (n,) is the probability of the predicted class, `correct` (n,) whether it is the true one.
    """
    gaps = np.bincount(calibration_bin(confidence, bins), weights=confidence - correct, minlength=bins)
    return float(calibration_error_of_gaps(gaps, len(confidence)))


def calibration_error_of_gaps(gaps: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Expected calibration error from sums of (confidence - correct) per bin, (..., bins), of n items."""
    return np.abs(gaps).sum(axis=-1) / n


def rounded(value: Any, digits: int = 10) -> Any:
    """`value` with every float in it, also in dicts and lists, rounded to `digits` significant digits.

    The last digits of a sum depend on the order in which a processor adds; the files made from it must not.
    """
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
