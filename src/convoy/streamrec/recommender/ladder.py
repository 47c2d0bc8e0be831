"""The ladder: the click model fitted and scored with each representation of the items."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from convoy.core.statistics import percentile_interval
from convoy.embeddings.alignment import align
from convoy.streamrec.recommender.data import TEST
from convoy.streamrec.recommender.evaluation.clicks import Scored
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

if TYPE_CHECKING:
    from convoy.streamrec.recommender.networks.fit import Consumer

Vectors = npt.NDArray[np.float32]
Version = tuple[npt.NDArray[np.str_], Vectors]
"""Ids and vectors of an embeddings folder."""


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


def loss_of_a_consumer(
    name: str, rung: Rung, new: Version, sources: Sources, coded: Coded, evaluation: EvaluateParams
) -> dict[str, float]:
    """Areas under the ROC curve of click models fitted on one version and fed with a new one.

    `auc_old` with the version of their training, `auc_unrotated` with the new one as it is, `auc_rotated`
    with the new one rotated onto the old one; the losses with 95% confidence intervals, paired by users and
    seeds; and how near the vectors of an item are. `auc_refitted`: a click model fitted on the new version
    with the first seed, which shows how much of a loss is due to the version itself.
    """
    version = sources.embeddings[str(MODELS[name].embedding)]
    turned = align(*new, *version)
    scaling = Scaling.of(rung.vectors, sources.warm)
    of_new = in_order(sources, *new)
    found = {"cosine": turned.cosine, "cosine_unrotated": turned.cosine_unrotated}
    assert rung.scored is not None
    old = rung.scored.auc_draws(evaluation.resamples, evaluation.seed)
    found["auc_old"] = rung.scored.metrics()["auc"]
    for how, vectors in (("unrotated", of_new), ("rotated", of_new @ turned.rotation)):
        items = inputs(name, vectors, sources, scaling)
        fed = scored([one.with_vectors(items) for one in rung.consumers], coded)
        auc = fed.metrics()["auc"]
        draws = old - fed.auc_draws(evaluation.resamples, evaluation.seed)
        low, high = percentile_interval(draws)
        found |= {f"auc_{how}": auc, f"loss_{how}": found["auc_old"] - auc}
        found |= {f"loss_{how}_low": low, f"loss_{how}_high": high}
    first = rung.consumers[0]
    again = first.refitted(inputs(name, of_new, sources), coded)
    return found | {"auc_refitted": scored([again], coded).metrics()["auc"]}
