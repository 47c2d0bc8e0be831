"""Comparison of classifiers: paired differences on the same test cases."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from convoy.classifiers.evaluation.evaluate import EvaluateParams
from convoy.classifiers.evaluation.io import Predictions
from convoy.core import statistics
from convoy.core.errors import ConvoyError

TIE = "tie"
SIGNIFICANT = 1 - statistics.CONFIDENCE


def compare(
    metrics: Mapping[str, Mapping[str, Any]],
    predictions: Mapping[str, Predictions],
    params: EvaluateParams,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """Paired accuracy differences with intervals and exact McNemar p, the Bayes accuracies, and the winner.

    A model is better than another only where the 95% confidence interval of the difference (paired bootstrap
    of cases and seeds) excludes zero and McNemar's p, for the first seeds, is below 0.05; else the pair is a
    tie. `groups` (n,) numbers what cases belong to, such as sites, which the bootstrap then resamples whole.
    The winner is the most accurate model where it ties with no other, else "tie" between `best`.
    Models are listed in the order of `predictions`; of each pair the later is subtracted from the earlier.
    Raises ConvoyError where two models were scored on different cases.
    """
    models = list(predictions)
    correct = _correct(predictions)
    drawn = _resampled_accuracies(correct, params, groups)
    pairs = {
        f"{first}-{second}": _pair(first, second, correct, drawn[first] - drawn[second])
        for first, second in combinations(models, 2)
    }
    accuracy = {model: metrics[model]["test"]["accuracy"] for model in models}
    leader = max(models, key=lambda model: accuracy[model])
    best = [model for model in models if model == leader or verdict(pairs, leader, model) == TIE]
    shared = metrics[leader]
    return statistics.rounded(
        {
            "n": shared["n"],
            "winner": leader if len(best) == 1 else TIE,
            "best": best,
            "accuracy": {
                model: {
                    "value": accuracy[model],
                    "low": metrics[model]["test"]["accuracy_low"],
                    "high": metrics[model]["test"]["accuracy_high"],
                }
                for model in models
            },
            "share_of_bayes": {model: metrics[model]["share_of_bayes"] for model in models},
            "bayes": shared["bayes"],
            "majority": shared["majority"],
            "seeds": {model: metrics[model]["seeds"] for model in models},
            "pairs": pairs,
            "confidence": statistics.CONFIDENCE,
        }
    )


def verdict(pairs: Mapping[str, Mapping[str, Any]], first: str, second: str) -> str:
    """The name of the better of two models, or "tie", whichever way round the pair is listed."""
    return str((pairs.get(f"{first}-{second}") or pairs[f"{second}-{first}"])["verdict"])


def _correct(predictions: Mapping[str, Predictions]) -> dict[str, np.ndarray]:
    """Whether each seed of each model classifies each item correctly: model -> (n, seeds) of 0 and 1."""
    first, reference = next(iter(predictions.items()))
    correct = {}
    for model, own in predictions.items():
        if not (own.item_ids.equals(reference.item_ids) and own.category.equals(reference.category)):
            raise ConvoyError(
                f"predictions of {model} and {first} are not of the same test items "
                f"({len(own.item_ids)} and {len(reference.item_ids)}); run `dvc repro` to make both again"
            )
        correct[model] = np.column_stack(
            [_bools(pc.equal(named, own.category)) for named in own.predicted.values()]
        ).astype(np.float64)
    return correct


def _bools(values: pa.BooleanArray) -> np.ndarray:
    return values.to_numpy(zero_copy_only=False)


def _resampled_accuracies(
    correct: Mapping[str, np.ndarray], params: EvaluateParams, groups: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Per model (resamples,) accuracies; the resampled items are the same for all, the seeds are not."""
    rng = np.random.default_rng(params.seed)
    columns = np.hstack(list(correct.values()))
    drawn = statistics.resampled_means(columns, params.resamples, rng, groups)
    starts = np.cumsum([rows.shape[1] for rows in correct.values()])[:-1]
    parts = zip(correct, np.split(drawn, starts, axis=1), strict=True)
    return {model: statistics.resampled_seed_means(part, rng) for model, part in parts}


def _pair(first: str, second: str, correct: Mapping[str, np.ndarray], drawn: np.ndarray) -> dict[str, Any]:
    right, other = correct[first][:, 0] > 0, correct[second][:, 0] > 0
    only_first, only_second = int(np.sum(right & ~other)), int(np.sum(~right & other))
    means = correct[first].mean(axis=1) - correct[second].mean(axis=1)
    difference = float(means.mean())
    if means.any():
        low, high = statistics.percentile_interval(drawn)
    else:
        # Resamples do not differ, but a few of n new items may: Wilson's bound on their share.
        high = statistics.wilson(0, len(means))[1]
        low = -high
    p = statistics.mcnemar(only_first, only_second)
    # An interval that ends at zero includes it.
    told_apart = p < SIGNIFICANT and (low > 0 or high < 0)
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "mcnemar_p": p,
        "only_first": only_first,
        "only_second": only_second,
        "verdict": TIE if not told_apart else first if difference > 0 else second,
    }
