import math

import numpy as np
import pyarrow as pa
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue.synthetic.bayes import accuracy_bayes
from convoy.streamrec.catalogue.synthetic.distribution import Distribution, draw_distribution
from convoy.streamrec.catalogue.synthetic.items import Synthetic, SyntheticParams, generate
from tests.support.reading import ids_of, read_part


def log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -math.inf


def sums_from_text(
    title: str, synopsis: str, ids: dict[str, int], distribution: Distribution, params: SyntheticParams
):
    """(C,) order-blind and full log-likelihoods of one item, term by term as the design writes them."""
    recipe = params.recipe()
    blind, order = [], []
    parts = [read_part(title, ids), read_part(synopsis, ids)]
    for c in range(len(distribution.categories)):
        own = set(distribution.owned[c].tolist())
        signature = [w for _, found, _ in parts for w in found]
        terms = (recipe.word_fidelity / 50 * (w in own) + (1 - recipe.word_fidelity) / 800 for w in signature)
        blind.append(sum(log(term) for term in terms))
        phrases = [p for _, _, found in parts for p in found]
        terms = (
            recipe.phrase_fidelity * (distribution.orders[c, triple] == o) + (1 - recipe.phrase_fidelity) / 6
            for triple, o in phrases
        )
        order.append(sum(log(term) for term in terms))
    return np.array(blind), np.array(blind) + np.array(order)


def first_best(sums: np.ndarray) -> int:
    """The first of the best; sums in another order differ by rounding."""
    return int(np.flatnonzero(sums >= sums.max() - 1e-9)[0])


def texts(made: Synthetic) -> zip:
    return zip(made.catalogue["title"].to_pylist(), made.catalogue["synopsis"].to_pylist(), strict=True)


@pytest.mark.parametrize(
    "params",
    [
        SyntheticParams(items=50),
        SyntheticParams(items=50, preset="chapter"),
        SyntheticParams(items=50, seed=3, word_fidelity=0.0, phrase_fidelity=0.4, synonyms=1),
        SyntheticParams(items=50, word_fidelity=1.0, phrase_fidelity=1.0, signature_share=0.05),
        SyntheticParams(items=50, phrase_fidelity=0.0, categories=33),
        SyntheticParams(items=50, signature_share=0.0, phrase_share=1.0),
    ],
    ids=["default", "chapter", "order only", "certain", "words only", "phrases only"],
)
def test_bayes_rules_equal_a_loop_over_the_words_of_each_text(params):
    made, distribution = generate(params), draw_distribution(params.seed, params.recipe().categories)
    ids = ids_of(distribution)
    blind, full = [], []
    for title, synopsis in texts(made):
        sums = sums_from_text(title, synopsis, ids, distribution, params)
        blind.append(distribution.categories[first_best(sums[0])])
        full.append(distribution.categories[first_best(sums[1])])
    assert made.truth["order_blind"].to_pylist() == blind
    assert made.truth["full"].to_pylist() == full


def test_accuracy_is_what_the_posteriors_promise():
    """Were a likelihood not that of the texts, accuracy and mean best posterior would part."""
    params = SyntheticParams(items=3000, seed=5, phrase_fidelity=0.6)
    made, distribution = generate(params), draw_distribution(params.seed, 20)
    ids = ids_of(distribution)
    sums = np.array([sums_from_text(*pair, ids, distribution, params) for pair in texts(made)])
    posterior = np.exp(sums - sums.max(axis=2, keepdims=True))
    promised = (1 / posterior.sum(axis=2)).mean(axis=0)
    reached = accuracy_bayes(made.truth, made.catalogue["item_id"], made.catalogue["category"].to_pylist())
    # Three standard errors of 3,000 items are below 0.03.
    assert reached["order_blind"] == pytest.approx(promised[0], abs=0.03)
    assert reached["full"] == pytest.approx(promised[1], abs=0.03)


def test_without_evidence_the_first_category_is_named():
    made = generate(SyntheticParams(items=1000, word_fidelity=0.0, phrase_fidelity=0.0))
    assert set(made.truth["full"].to_pylist()) == set(made.truth["order_blind"].to_pylist()) == {"action"}


@pytest.mark.parametrize(("preset", "order_blind", "full"), [("default", 0.68, 0.94), ("chapter", 1.0, 1.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_presets_have_the_bayes_of_the_design(preset, order_blind, full, seed):
    made = generate(SyntheticParams(preset=preset, items=10_000, seed=seed))
    found = accuracy_bayes(made.truth, made.catalogue["item_id"], made.catalogue["category"].to_pylist())
    assert found["order_blind"] == pytest.approx(order_blind, abs=0.015)
    assert found["full"] == pytest.approx(full, abs=0.01)


TRUTH = pa.table(
    {
        "item_id": ["a", "b", "c", "d"],
        "order_blind": ["war", "war", "noir", "war"],
        "full": ["war", "noir", "noir", "war"],
    }
)


def test_accuracy_is_counted_on_the_items_named_in_their_order():
    found = accuracy_bayes(TRUTH, ["c", "b", "a"], ["noir", "noir", "drama"])
    assert found == {"order_blind": pytest.approx(1 / 3), "full": pytest.approx(2 / 3)}
    assert accuracy_bayes(TRUTH, pa.array(["d"]), ["war"]) == {"order_blind": 1.0, "full": 1.0}


def test_no_bayes_where_the_truth_is_not_known():
    assert accuracy_bayes(TRUTH.slice(0, 0), ["a"], ["war"]) is None


def test_item_without_truth_is_refused():
    with pytest.raises(ConvoyError, match="item_id 'z'"):
        accuracy_bayes(TRUTH, ["a", "z"], ["war", "war"])
