"""Metrics of one classifier on the test split with confidence intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field
from scipy import sparse

from convoy.classifiers.evaluation.io import Predictions
from convoy.core import statistics
from convoy.core.params import Section

HEADLINES = ("accuracy", "macro_f1", "log_loss", "ece")


class EvaluateParams(Section):
    """Params of the confidence intervals and of the calibration error."""

    resamples: int = Field(2000, ge=100, le=100_000, description="bootstrap samples of items and seeds")
    calibration_bins: int = Field(15, ge=2, le=100, description="equal-width bins of confidence")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of the bootstrap")


@dataclass(frozen=True, eq=False)
class Cases:
    """The n test cases: their ids, and the indices of their categories, (n,).

    `majority` is the index of the category that is most frequent in the training split. `groups` (n,) numbers
    what cases belong to, such as sites, from 0: the bootstrap then resamples whole groups.
    """

    ids: pa.Array
    labels: np.ndarray
    categories: tuple[str, ...]
    majority: int
    groups: np.ndarray | None = None

    def names(self, indices: np.ndarray) -> pa.Array:
        """The names of category indices."""
        return pa.array(self.categories, pa.string()).take(pa.array(indices))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics and predictions of one model: `predicted` maps seeds to category indices (n,).

    `probabilities` (n, C) are those of the first seed, whose weights are published.
    """

    metrics: dict[str, Any]
    cases: Cases
    predicted: dict[int, np.ndarray]
    probabilities: np.ndarray

    def predictions(self) -> Predictions:
        """Predicted category names per case and seed, as they are stored."""
        names = self.cases.names
        named = {seed: names(indices) for seed, indices in self.predicted.items()}
        return Predictions(self.cases.ids, names(self.cases.labels), named)


def evaluate(
    model: str,
    probabilities: Mapping[int, np.ndarray],
    cases: Cases,
    params: EvaluateParams,
    bayes: Mapping[str, float] | None = None,
) -> Evaluation:
    """Score `probabilities` (seed -> (n, C), rows summing to 1) of the cases.

    `bayes` are the accuracies of the Bayes rules on these cases, by name; None where they are not known.
    Figures are means over seeds, with 95% confidence intervals by a bootstrap of cases, or of their groups,
    and seeds. Raises ValueError where there are no cases, and for invalid probabilities.
    """
    labels, classes = cases.labels, len(cases.categories)
    if len(labels) == 0:
        raise ValueError("expected at least one case")
    for seed, table in probabilities.items():
        _check(table, (len(labels), classes), f"{model}, seed {seed}")
    counts = _Counts(labels, classes, params.calibration_bins)
    test, by_seed, rows = _figures(list(probabilities.values()), counts, params, cases.groups)
    metrics: dict[str, Any] = {
        "model": model,
        "n": len(labels),
        "seeds": list(probabilities),
        "test": {**test, "n": len(labels)},
        "by_seed": dict(zip((str(seed) for seed in probabilities), by_seed, strict=True)),
        "bayes": None if bayes is None else dict(bayes),
        "share_of_bayes": _shares(test["accuracy"], bayes),
        "majority": {
            "category": cases.categories[cases.majority],
            "accuracy": float(np.mean(labels == cases.majority)),
        },
        "categories": [{"category": name, **row} for name, row in zip(cases.categories, rows, strict=True)],
        "confidence": statistics.CONFIDENCE,
        "resamples": params.resamples,
        "calibration_bins": params.calibration_bins,
    }
    if cases.groups is not None:
        metrics["groups"] = len(np.unique(cases.groups))
    return Evaluation(
        metrics=statistics.rounded(metrics),
        cases=cases,
        predicted={seed: table.argmax(axis=1) for seed, table in probabilities.items()},
        probabilities=next(iter(probabilities.values())),
    )


def reliability(evaluation: Evaluation) -> list[dict[str, float]]:
    """Per occupied bin of confidence: its bounds, items, mean confidence, accuracy and Wilson interval."""
    bins = evaluation.metrics["calibration_bins"]
    confidence = evaluation.probabilities.max(axis=1)
    correct = evaluation.probabilities.argmax(axis=1) == evaluation.cases.labels
    place = statistics.calibration_bin(confidence, bins)
    n = np.bincount(place, minlength=bins)
    total = np.bincount(place, weights=confidence, minlength=bins)
    right = np.bincount(place, weights=correct, minlength=bins)
    rows = []
    for i in np.flatnonzero(n):
        low, high = statistics.wilson(float(right[i]), int(n[i]))
        row = {"bin_low": i / bins, "bin_high": (i + 1) / bins, "n": int(n[i])}
        row |= {"confidence": total[i] / n[i], "accuracy": right[i] / n[i]}
        rows.append(statistics.rounded({**row, "accuracy_low": low, "accuracy_high": high}))
    return rows


class _Counts:
    """Per-item columns from whose sums all figures are computed, so that a resample needs only sums.

    For C categories and B bins: actual one-hot (C), then per seed predicted one-hot (C), hits one-hot (C),
    log-loss (1), confidence - correct by bin (B).
    """

    def __init__(self, labels: np.ndarray, classes: int, bins: int) -> None:
        self.labels, self.classes, self.bins = labels, classes, bins

    def columns(self, tables: list[np.ndarray]) -> sparse.csr_array:
        blocks = [_one_hot(self.labels, np.ones(len(self.labels)), self.classes)]
        for table in tables:
            named, confidence = table.argmax(axis=1), table.max(axis=1).astype(np.float64)
            correct = (named == self.labels).astype(np.float64)
            chance = np.take_along_axis(table, self.labels[:, None], axis=1).astype(np.float64)
            place = statistics.calibration_bin(confidence, self.bins)
            blocks += [
                _one_hot(named, np.ones(len(named)), self.classes),
                _one_hot(self.labels, correct, self.classes),
                # Clipped as in scikit-learn: a probability of zero must not make the mean infinite.
                sparse.csr_array(-np.log(np.maximum(chance, np.finfo(np.float64).eps))),
                _one_hot(place, confidence - correct, self.bins),
            ]
        return sparse.hstack(blocks, format="csr")

    def figures(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """(..., columns) sums -> headline figures (..., S) and per-category ones (..., S, C)."""
        c = self.classes
        n = sums[..., :c].sum(axis=-1, keepdims=True)  # differs between resamples of groups
        actual = sums[..., None, :c]
        seeds = sums[..., c:].reshape(*sums.shape[:-1], -1, 2 * c + 1 + self.bins)
        predicted, hits = seeds[..., :c], seeds[..., c : 2 * c]
        with np.errstate(invalid="ignore"):  # 0/0 is NaN: undefined for a category that does not occur
            precision, recall, f1 = hits / predicted, hits / actual, 2 * hits / (actual + predicted)
        occurs = actual + predicted > 0
        return {
            "accuracy": hits.sum(axis=-1) / n,
            "macro_f1": np.where(occurs, f1, 0).sum(axis=-1) / occurs.sum(axis=-1),
            "log_loss": seeds[..., 2 * c] / n,
            "ece": statistics.calibration_error_of_gaps(seeds[..., 2 * c + 1 :], n),
            "precision": precision,
            "recall": recall,
            "f1": f1,
        }


def _figures(
    tables: list[np.ndarray], counts: _Counts, params: EvaluateParams, groups: np.ndarray | None
) -> tuple[dict[str, float], list[dict[str, float]], list[dict[str, Any]]]:
    """Headline figures with intervals, the same by seed, and one row per category."""
    n, rng = len(counts.labels), np.random.default_rng(params.seed)
    columns = counts.columns(tables)
    measured = counts.figures(np.asarray(columns.sum(axis=0)))
    rows = columns if groups is None else statistics.grouped_sums(columns, groups)
    drawn = counts.figures(statistics.resampled_sums(rows, params.resamples, rng))
    # All figures of a resample have the same seeds.
    drawn_seeds = statistics.resampled_seed_means(np.stack([drawn[name] for name in HEADLINES], axis=-1), rng)
    test: dict[str, float] = {}
    for place, name in enumerate(HEADLINES):
        value = float(measured[name].mean())
        low, high = _interval(name, value, drawn_seeds[:, place], float(measured["accuracy"].mean()), n)
        test |= {name: value, f"{name}_low": low, f"{name}_high": high}
    by_seed = [{name: float(measured[name][seed]) for name in HEADLINES} for seed in range(len(tables))]
    return test, by_seed, _category_rows(measured, counts)


def _interval(name: str, value: float, draws: np.ndarray, accuracy: float, n: int) -> tuple[float, float]:
    """Bootstrap interval inside (0, 1); Wilson's where all items or none are correct and no resample differs.

    Macro-F1 and the calibration error are not means, so that resampling is biased; the bias is corrected.
    """
    if name in ("accuracy", "macro_f1") and accuracy in (0.0, 1.0):
        return statistics.wilson(accuracy * n, n)
    if name in ("accuracy", "log_loss"):
        return statistics.percentile_interval(draws)
    low, high = statistics.percentile_interval(draws, centre=value)
    return max(0.0, low), min(1.0, high)


def _category_rows(measured: dict[str, np.ndarray], counts: _Counts) -> list[dict[str, Any]]:
    """Precision, recall and F1 per category (means over seeds; None where undefined) and its items."""
    support = np.bincount(counts.labels, minlength=counts.classes)
    rows: list[dict[str, Any]] = []
    for category in range(counts.classes):
        row: dict[str, Any] = {"n": int(support[category])}
        for name in ("precision", "recall", "f1"):
            known = measured[name][:, category]
            known = known[np.isfinite(known)]
            row[name] = float(known.mean()) if len(known) else None
        rows.append(row)
    return rows


def _shares(accuracy: float, bayes: Mapping[str, float] | None) -> dict[str, float | None] | None:
    """The accuracy as a share of each Bayes accuracy; None where that is 0, possible for very few cases."""
    if bayes is None:
        return None
    return {rule: accuracy / best if best > 0 else None for rule, best in bayes.items()}


def _one_hot(place: np.ndarray, value: np.ndarray, width: int) -> sparse.csr_array:
    n = len(place)
    return sparse.csr_array((value, (np.arange(n), place)), shape=(n, width))


def _check(table: np.ndarray, shape: tuple[int, int], whose: str) -> None:
    if table.shape != shape:
        raise ValueError(f"{whose}: expected probabilities of shape {shape}, found {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any() or np.abs(table.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError(f"{whose}: rows must be finite, not negative and sum to 1")
