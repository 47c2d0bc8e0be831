"""Metrics of predicted clicks, with confidence intervals by a bootstrap of users."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.special import expit

from convoy.core.statistics import (
    expected_calibration_error,
    percentile_interval,
    resampled_seed_means,
    resampled_sums,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
CALIBRATION_BINS = 15
# Scores are compared by their rank among so many bins of equal size; the exact area is used for the value.
SCORE_BINS = 500


@dataclass(frozen=True, eq=False)
class Scored:
    """Log-odds of one representation for n test events, by seed (S, n), of clicks (n,) by users (n,)."""

    log_odds: Floats
    click: npt.NDArray[np.bool_]
    user: Ints

    def of(self, chosen: npt.NDArray[np.bool_]) -> "Scored":
        """The events of a mask (n,)."""
        return Scored(self.log_odds[:, chosen], self.click[chosen], self.user[chosen])

    @cached_property
    def auc(self) -> float:
        """Mean over seeds of the area under the ROC curve."""
        from sklearn.metrics import roc_auc_score

        return float(np.mean([roc_auc_score(self.click, one) for one in self.log_odds]))

    def metrics(self) -> dict[str, float]:
        """Means over seeds: area under the ROC curve and log loss."""
        from sklearn.metrics import log_loss

        losses = [log_loss(self.click, one, labels=[False, True]) for one in expit(self.log_odds)]
        return {"auc": self.auc, "log_loss": float(np.mean(losses))}

    def calibration_error(self) -> float:
        """Mean over seeds of the expected calibration error."""
        errors = [
            expected_calibration_error(one, self.click, CALIBRATION_BINS) for one in expit(self.log_odds)
        ]
        return float(np.mean(errors))

    def auc_draws(self, resamples: int, seed: int) -> Floats:
        """Areas under the ROC curve over bootstrap samples of users and of seeds, (resamples,).

        With one `seed` the draws of all representations share their users and seeds, and are paired.
        """
        rng = np.random.default_rng(seed)
        users, row = np.unique(self.user, return_inverse=True)
        by_seed = []
        for scores in self.log_odds:
            column = _bins(scores) * 2 + self.click
            counts = csr_matrix(
                (np.ones(len(row)), (row, column)), shape=(len(users), 2 * SCORE_BINS), dtype=np.float64
            )
            sums = resampled_sums(counts, resamples, np.random.default_rng(seed))
            by_seed.append(auc_of_counts(sums[:, 0::2], sums[:, 1::2]))
        return resampled_seed_means(np.stack(by_seed, axis=1), rng)


def interval_of(draws: Floats) -> tuple[float, float]:
    """The 95% confidence interval from bootstrap draws; NaN, of resamples with one class, is left out."""
    return percentile_interval(draws[np.isfinite(draws)])


def _bins(scores: Floats) -> Ints:
    """Bin of each score, of SCORE_BINS of equal size; equal scores are in one bin."""
    ordered = np.sort(scores)
    return np.searchsorted(ordered, scores) * SCORE_BINS // len(scores)


def auc_of_counts(negatives: Floats, positives: Floats) -> Floats:
    """Areas under the ROC curve from counts by ascending score, (..., bins) each; equal bins count half."""
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    pairs = negatives.sum(axis=-1) * positives.sum(axis=-1)
    wins = (positives * below).sum(axis=-1)
    return np.divide(wins, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)


def share_of_way(auc: float, lower: float, upper: float) -> float | None:
    """(auc - lower) / (upper - lower); None unless upper exceeds lower."""
    return (auc - lower) / (upper - lower) if upper > lower else None


def share_draws(draws: Mapping[str, Floats], name: str, lower: str, upper: str) -> Floats:
    """`share_of_way` over paired bootstrap draws; NaN where upper does not exceed lower."""
    way = np.where(draws[upper] > draws[lower], draws[upper] - draws[lower], np.nan)
    return (draws[name] - draws[lower]) / way
