"""The best accuracy that any model can reach on synthetic items: the Bayes rules, exactly."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from convoy.errors import ConvoyError
from convoy.streamrec.words import N_SIGNATURE
from convoy.streamrec.world import ORDERS, OWN_WORDS, Evidence, World


def order_blind(world: World, evidence: Evidence, word_fidelity: float) -> np.ndarray:
    """(N,) categories named by the Bayes rule for a reader blind to the order of words.

    argmax over c of the sum over signature words w of
    log(word_fidelity / 50 * [w in own_c] + (1 - word_fidelity) / 800); the first of equals.
    """
    return np.argmax(_signature_score(world, evidence, word_fidelity), axis=1)


def full(world: World, evidence: Evidence, word_fidelity: float, phrase_fidelity: float) -> np.ndarray:
    """(N,) categories named by the Bayes rule for a reader who also sees the order of words.

    The order-blind sum, plus the sum over phrases of
    log(phrase_fidelity * [order = own order of c] + (1 - phrase_fidelity) / 6); the first of equals.
    """
    foreign = (1 - phrase_fidelity) / len(ORDERS)
    score = _score(evidence.sum_phrases(1 - world.agrees()), phrase_fidelity + foreign, foreign)
    return np.argmax(_signature_score(world, evidence, word_fidelity) + score, axis=1)


def accuracy_ceiling(
    truth: pa.Table, item_ids: pa.Array | pa.ChunkedArray | Sequence[str], categories: Sequence[str]
) -> dict[str, float] | None:
    """Accuracy in [0, 1] of both Bayes rules on the items named: {"order_blind": ..., "full": ...}.

    `categories` are the true ones, aligned with `item_ids`. None where the truth is not known (no rows: a
    real catalogue). Raises ConvoyError for an item that the truth does not hold.
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


def _signature_score(world: World, evidence: Evidence, word_fidelity: float) -> np.ndarray:
    foreign = (1 - word_fidelity) / N_SIGNATURE
    return _score(evidence.sum_signature(1 - world.owns()), word_fidelity / OWN_WORDS + foreign, foreign)


def _score(misses: np.ndarray, hit: float, miss: float) -> np.ndarray:
    """Log-likelihoods up to a constant of the item: each miss costs log(hit / miss), a hit nothing.

    Counting misses makes ties exact, and a miss that cannot happen (miss = 0) costs infinity.
    """
    if miss == 0:
        return np.where(misses > 0, -np.inf, 0.0)
    return misses * -np.log(hit / miss)
