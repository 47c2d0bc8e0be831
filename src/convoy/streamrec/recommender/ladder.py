"""The ladder: the click model fitted and scored with each representation of the items."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convoy.classifiers.evaluation.io import Predictions
from convoy.embeddings.alignment import align, churn
from convoy.streamrec.recommender.data.io import TEST
from convoy.streamrec.recommender.evaluation.accuracy import change_of_accuracy
from convoy.streamrec.recommender.evaluation.clicks import Scored, interval_of
from convoy.streamrec.recommender.evaluation.retrieval import (
    GROUPS,
    Retrieved,
    content_scores,
    popularity_scores,
    retrieve,
)
from convoy.streamrec.recommender.impressions import Coded
from convoy.streamrec.recommender.inputs import Scaling, inputs
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import ClickParams, EvaluateParams
from convoy.streamrec.recommender.representations import Sources, in_order
from convoy.streamrec.recommender.retrained_io import Retrained

if TYPE_CHECKING:
    from convoy.streamrec.recommender.networks.fit import Consumer

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Rung:
    """A representation: its vectors, the click models of all seeds with their scores, and what is retrieved.

    Each part is None or empty where the representation has none.
    """

    vectors: Vectors
    consumers: "list[Consumer]"
    scored: Scored | None
    retrieved: dict[str, Retrieved]


def climb(name: str, sources: Sources, of_row: Any, coded: Coded, params: ClickParams) -> Rung:
    """Make the vectors of a representation, fit and score the click model once per seed, and retrieve."""
    row = MODELS[name]
    vectors = row.fit(sources, of_row)
    fitted: list[Consumer] = []
    if row.clicks:
        from convoy.streamrec.recommender.networks.fit import train

        items = inputs(name, vectors, sources)
        fitted = [train(name, items, row.delta, coded, params, seed) for seed in params.seeds]
    retrieved = {}
    if row.predict is not None:
        popular = row.predict == "popularity"
        scores = popularity_scores(coded) if popular else content_scores(vectors, coded)
        found = {group: retrieve(scores, coded, group) for group in GROUPS}
        # Without a relevant item, as in a file without new items, a group has no figures.
        retrieved = {group: one for group, one in found.items() if len(one.recall)}
    return Rung(vectors, fitted, scored(fitted, coded) if fitted else None, retrieved)


def scored(fitted: "list[Consumer]", coded: Coded) -> Scored:
    """The test events scored by the click models of all seeds."""
    rows = coded.rows(TEST)
    log_odds = np.stack([one.log_odds(coded, rows) for one in fitted])
    return Scored(log_odds, coded.click[rows], coded.user[rows])


def losses_of_a_consumer(
    name: str, rung: Rung, versions: Mapping[str, Retrained], before: Predictions, sources: Sources,
    coded: Coded, evaluation: EvaluateParams,
) -> dict[str, Any]:  # fmt: skip
    """Areas under the ROC curve of click models fitted on one version and fed with others.

    `auc_old`: with the version of their training. For each of `versions`, by name: `auc_unrotated` with the
    version as it is, `auc_rotated` with it rotated onto the old one; the losses with 95% confidence
    intervals, paired by users and seeds; the mean cosine of an item's two vectors, and the share of its
    nearest neighbours that are others; the change of the classifier's accuracy from the predictions `before`.
    `auc_refitted`: a click model fitted on the version with the first seed, which shows how much of a loss is
    due to the version itself.
    """
    assert rung.scored is not None
    auc, old = rung.scored.auc, rung.scored.auc_draws(evaluation.resamples, evaluation.seed)
    version = sources.embeddings[str(MODELS[name].embedding)]
    scaling = Scaling.of(rung.vectors, sources.warm)
    found: dict[str, Any] = {}
    for label, again in versions.items():
        new = again.ids, again.vectors
        turned = align(*new, *version)
        of_new = in_order(sources, *new)
        accuracy = change_of_accuracy(again.predictions, before, evaluation)
        one: dict[str, Any] = {"accuracy": accuracy}
        one |= {"cosine": turned.cosine, "cosine_unrotated": turned.cosine_unrotated}
        one["churn"] = churn(*new, *version)
        for how, vectors in (("unrotated", of_new), ("rotated", of_new @ turned.rotation)):
            items = inputs(name, vectors, sources, scaling)
            fed = scored([each.with_vectors(items) for each in rung.consumers], coded)
            one[f"auc_{how}"] = fed.auc
            one[f"loss_{how}"] = auc - one[f"auc_{how}"]
            low, high = interval_of(old - fed.auc_draws(evaluation.resamples, evaluation.seed))
            one |= {f"loss_{how}_low": low, f"loss_{how}_high": high}
        fitted = rung.consumers[0].refitted(inputs(name, of_new, sources), coded)
        found[label] = one | {"auc_refitted": scored([fitted], coded).auc}
    return {"auc_old": auc, "versions": found}
