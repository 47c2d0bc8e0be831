"""Comparison of two versions of a classifier: accuracy on the same test cases, paired by id."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from convoy.classifiers.evaluation.evaluate import HEADLINES
from convoy.classifiers.evaluation.io import Predictions
from convoy.core.errors import ConvoyError
from convoy.core.statistics import (
    mcnemar,
    percentile_interval,
    resampled_means,
    resampled_seed_means,
    rounded,
    wilson,
)
from convoy.report.numbers import percent, points
from convoy.tasks import Difference, Estimate, Metrics, PromotionParams

GroupsOf: TypeAlias = Callable[[Sequence[str]], npt.NDArray[np.int64]]
"""Ids of n items -> the number of the group of each, (n,), from 0."""
_SAME = 1e-6  # largest difference of an accuracy from the one in the metrics file


def test_split(predictions: Predictions, data: Mapping[str, str]) -> str:  # noqa: ARG001 (truth is in the file)
    """A hash of the test items and their categories."""
    digest = hashlib.sha256()
    for column in (predictions.item_ids, predictions.category):
        digest.update("\0".join(column.to_pylist()).encode())
    return digest.hexdigest()


def checks(metrics: Mapping[str, Any], predictions: Predictions, params: PromotionParams) -> list[str]:
    """The acceptance checks that the figures of a model fail, in words."""
    test = metrics["test"]
    odd = [key for key in (*HEADLINES, "accuracy_low") if not _finite(test.get(key))]
    if odd:
        return [f"{', '.join(odd)} not finite"]
    failed = []
    accuracy = _correct(predictions).mean()
    if abs(accuracy - test["accuracy"]) > _SAME:
        failed.append(
            f"the accuracy of its predictions is {percent(accuracy)}, that of its metrics file "
            f"{percent(test['accuracy'])}"
        )
    if test["ece"] > params.max_ece:
        failed.append(f"calibration error {test['ece']:.3f}, at most {params.max_ece:g} is allowed")
    majority = metrics["majority"]
    if test["accuracy_low"] <= majority["accuracy"]:
        failed.append(
            f"accuracy {percent(test['accuracy'])} (95% confidence interval from "
            f"{percent(test['accuracy_low'])}) is not above that of always predicting "
            f"'{majority['category']}', {percent(majority['accuracy'])}"
        )
    return failed


def difference(
    candidate: Predictions, champion: Predictions, resamples: int, seed: int,
    groups_of: GroupsOf | None = None,
) -> Difference:  # fmt: skip
    """Accuracy of the candidate minus the champion's on the same n items, with its 95% confidence interval.

    Paired bootstrap: items, or the whole groups that `groups_of` numbers, are resampled together, training
    seeds of each version on their own. The p of McNemar's test is exact, for the first seeds. Raises
    ConvoyError where the items or categories differ.
    """
    pair = [_by_id(candidate), _by_id(champion)]
    if not (pair[0].item_ids.equals(pair[1].item_ids) and pair[0].category.equals(pair[1].category)):
        raise ConvoyError(
            "the predictions of the two versions are not of the same test items "
            f"({len(pair[0].item_ids)} and {len(pair[1].item_ids)}); run `dvc repro` and "
            "`convoy publish`, then promote again"
        )
    first, second = map(_correct, pair)
    rng = np.random.default_rng(seed)
    groups = None if groups_of is None else groups_of(pair[0].item_ids.to_pylist())
    drawn = resampled_means(np.hstack([first, second]), resamples, rng, groups)
    sides = np.split(drawn, [first.shape[1]], axis=1)
    means = [resampled_seed_means(side, rng) for side in sides]
    low, high = percentile_interval(means[0] - means[1])
    if not (first.mean(axis=1) - second.mean(axis=1)).any():
        # Resamples do not differ, but a few of n new items may: Wilson's bound on their share.
        high = wilson(0, len(first))[1]
        low = -high
    only = [int(np.sum(one[:, 0] > other[:, 0])) for one, other in ((first, second), (second, first))]
    return Difference(
        difference=rounded(float(first.mean() - second.mean())),
        low=rounded(float(low)),
        high=rounded(float(high)),
        n=len(first),
        details={"mcnemar_p": rounded(mcnemar(*only))},
    )


def describe(found: Difference, margin: float) -> str:
    """The difference in words, and whether the interval excludes a loss above the margin."""
    excluded = "is" if found.low >= -margin else "cannot be"
    return (
        f"{signed(found.difference)} points of accuracy on the same {found.n:,} test items (95% confidence "
        f"interval {signed(found.low)} to {signed(found.high)}), so a loss of more than {points(margin)} "
        f"points {excluded} excluded"
    )


def estimate(new: Metrics, old: Metrics) -> Estimate | None:
    """The difference from the two intervals alone (Newcombe 1998, method 10)."""
    if not all({"accuracy", "accuracy_low", "accuracy_high"} <= set(side) for side in (new, old)):
        return None
    lead = new["accuracy"] - old["accuracy"]
    spread = math.hypot(new["accuracy_high"] - new["accuracy"], old["accuracy"] - old["accuracy_low"])
    return Estimate(lead + spread, f"{signed(lead)} points of accuracy on the same test items")


def figure(metrics: Metrics) -> str | None:
    """The accuracy in words."""
    return f"accuracy {percent(metrics['accuracy'])}" if "accuracy" in metrics else None


def signed(share: float) -> str:
    """A difference in percentage points with its sign."""
    text = points(share)
    return f"+{text}" if share > 0 and text != "0.0" else text


def _by_id(found: Predictions) -> Predictions:
    order = pc.sort_indices(found.item_ids)
    predicted = {seed: names.take(order) for seed, names in found.predicted.items()}
    return Predictions(found.item_ids.take(order), found.category.take(order), predicted)


def _correct(found: Predictions) -> npt.NDArray[np.float64]:
    """Whether each seed is correct about each item, (n, seeds) of 0 and 1."""
    columns = [np.asarray(pc.equal(names, found.category)) for names in found.predicted.values()]
    return np.column_stack(columns).astype(np.float64)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
