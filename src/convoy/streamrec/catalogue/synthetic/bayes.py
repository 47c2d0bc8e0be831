"""The exact Bayes rules for synthetic items: their accuracy is the upper bound for all models."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue.synthetic.distribution import ORDERS, OWN_WORDS, Distribution, Evidence
from convoy.streamrec.catalogue.synthetic.words import N_SIGNATURE


def bayes_rules(
    distribution: Distribution, evidence: Evidence, word_fidelity: float, phrase_fidelity: float
) -> tuple[np.ndarray, np.ndarray]:
    """Categories predicted by the order-blind and by the full Bayes rule, (N,) each.

    Order-blind: argmax over c of the sum over signature words w of log(word_fidelity / 50 * [w in own_c] +
    (1 - word_fidelity) / 800). Full: that, plus the sum over phrases of log(phrase_fidelity * [order = own
    order of c] + (1 - phrase_fidelity) / 6). Ties go to the first category.
    """
    foreign = (1 - word_fidelity) / N_SIGNATURE
    own = word_fidelity / OWN_WORDS + foreign
    order_blind = _log_likelihood(evidence.sum_signature(1 - distribution.owns()), own, foreign)
    foreign = (1 - phrase_fidelity) / len(ORDERS)
    own = phrase_fidelity + foreign
    order = _log_likelihood(evidence.sum_phrases(1 - distribution.agrees()), own, foreign)
    return np.argmax(order_blind, axis=1), np.argmax(order_blind + order, axis=1)


def accuracy_bayes(
    truth: pa.Table, item_ids: pa.Array | pa.ChunkedArray | Sequence[str], categories: Sequence[str]
) -> dict[str, float] | None:
    """Accuracy in [0, 1] of both Bayes rules on the items `item_ids`: {"order_blind": ..., "full": ...}.

    `categories` are the true ones, aligned with `item_ids`. None where the truth is not known (no rows: a
    real catalogue). Raises ConvoyError for an item that is not in the truth.
    """
    if truth.num_rows == 0:
        return None
    wanted = item_ids if isinstance(item_ids, pa.Array | pa.ChunkedArray) else pa.array(item_ids, pa.string())
    rows = pc.index_in(wanted, value_set=truth["item_id"])
    if rows.null_count:
        unknown = wanted.filter(pc.is_null(rows))[0]
        raise ConvoyError(
            f"truth: item_id '{unknown}' is in the catalogue but not in its truth; make the catalogue again"
        )
    named = truth.take(rows)
    answers = np.asarray(categories, dtype=object)
    return {
        rule: float(np.mean(np.asarray(named[rule].to_pylist(), dtype=object) == answers))
        for rule in ("order_blind", "full")
    }


def _log_likelihood(misses: np.ndarray, own: float, foreign: float) -> np.ndarray:
    """Log likelihood (N, C) up to a constant of each item: -log(own / foreign) for each miss.

    `foreign` is the probability of a miss. Counting misses makes ties exact, and an impossible one
    (foreign = 0) excludes the category.
    """
    if foreign == 0:
        return np.where(misses > 0, -np.inf, 0.0)
    return misses * -np.log(own / foreign)
