"""How the accuracy of the classifier changes in a retrained version."""

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from convoy.classifiers.evaluation.io import Predictions
from convoy.core.errors import ConvoyError
from convoy.core.statistics import (
    mcnemar,
    percentile_interval,
    resampled_means,
    resampled_seed_means,
    wilson,
)
from convoy.streamrec.recommender.params import EvaluateParams


def change_of_accuracy(new: Predictions, old: Predictions, params: EvaluateParams) -> dict[str, float]:
    """Accuracy of a version less that of another on the same items, with its 95% confidence interval.

    By a paired bootstrap of items and of each version's seeds; `mcnemar_p` is exact, for the first seeds.
    Raises ConvoyError where the items or their categories differ.
    """
    if not (new.item_ids.equals(old.item_ids) and new.category.equals(old.category)):
        raise ConvoyError(
            "the predictions of two versions are not of the same test items", hint="run `dvc repro`"
        )
    sides = [_correct(new), _correct(old)]
    rng = np.random.default_rng(params.seed)
    drawn = resampled_means(np.hstack(sides), params.resamples, rng)
    first, second = (resampled_seed_means(side, rng) for side in np.split(drawn, [sides[0].shape[1]], axis=1))
    low, high = percentile_interval(first - second)
    if not (sides[0].mean(axis=1) - sides[1].mean(axis=1)).any():
        # Resamples do not differ, but a few of n new items may: Wilson's bound on their share.
        high = wilson(0, len(sides[0]))[1]
        low = -high
    one, other = (side[:, 0] > 0 for side in sides)
    p = mcnemar(int((one & ~other).sum()), int((~one & other).sum()))
    difference = float(sides[0].mean() - sides[1].mean())
    return {"difference": difference, "low": float(low), "high": float(high), "mcnemar_p": p}


def _correct(found: Predictions) -> npt.NDArray[np.float64]:
    """Whether each seed classifies each item correctly, (n, seeds) of 0 and 1."""
    columns = [np.asarray(pc.equal(names, found.category)) for names in found.predicted.values()]
    return np.column_stack(columns).astype(np.float64)
