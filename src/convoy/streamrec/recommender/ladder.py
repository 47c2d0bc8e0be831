"""The ladder: the click model fitted and scored with each representation of the items."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convoy.streamrec.recommender.data import TEST
from convoy.streamrec.recommender.evaluation.clicks import Scored
from convoy.streamrec.recommender.impressions import Coded
from convoy.streamrec.recommender.inputs import inputs
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import ClickParams, EvaluateParams
from convoy.streamrec.recommender.representations import Sources

if TYPE_CHECKING:
    from convoy.streamrec.recommender.networks.fit import Consumer

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Climbed:
    """One rung: the vectors of the items, and the test events scored by the click models of all seeds."""

    vectors: Vectors
    consumers: "list[Consumer]"
    scored: Scored


def climb(name: str, sources: Sources, of_row: Any, coded: Coded, params: ClickParams) -> Climbed:
    """Make the vectors of a representation, fit the click model with them once per seed, and score it."""
    from convoy.streamrec.recommender.networks.fit import train

    vectors = MODELS[name].fit(sources, of_row)
    items = inputs(name, vectors, sources)
    fitted = [train(name, items, MODELS[name].delta, coded, params, seed) for seed in params.seeds]
    return Climbed(vectors, fitted, scored(fitted, coded))


def scored(fitted: "list[Consumer]", coded: Coded) -> Scored:
    """The test events scored by the click models of all seeds."""
    rows = coded.rows(TEST)
    log_odds = np.stack([one.log_odds(coded, rows) for one in fitted])
    return Scored(log_odds, coded.click[rows], coded.user[rows])


def click_metrics(result: Scored, evaluation: EvaluateParams) -> dict[str, float]:
    """Area under the ROC curve with its 95% confidence interval, and log loss."""
    return result.metrics() | result.auc_interval(evaluation.resamples, evaluation.seed)
