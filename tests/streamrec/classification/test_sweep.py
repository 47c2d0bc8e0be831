import csv
import io

import numpy as np
import pytest

from convoy.core import plots_io as plots
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from convoy.streamrec.classification.corpus.data import TEST
from convoy.streamrec.classification.sweep import NO_ORDER, ORDER, PAIRS, Cell, SweepParams, fitters, sweep

SMALL = SweepParams(items=1500, phrase_fidelity=(0.0, 0.9), word_fidelity=(0.35,), synonyms=(2,))


def cell(order_blind: float, full: float, linear: float, linear_pairs: float) -> Cell:
    accuracy = {"linear": linear, "linear_pairs": linear_pairs}
    return Cell(8, 0.35, 0.9, 8000, 800, order_blind, full, accuracy)


def knowing(corpus):
    return corpus.labels[corpus.items(TEST)]


def first_category(corpus):
    return np.zeros(len(corpus.items(TEST)), int)


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((0.68, 0.68, 0.60, 0.58), NO_ORDER),
        ((0.680, 0.699, 0.60, 0.69), NO_ORDER),
        # Pairs reach 0.95 of their Bayes accuracy, words 0.90 of theirs.
        ((0.60, 0.90, 0.54, 0.855), PAIRS),
        # As far below both Bayes accuracies, for want of items.
        ((0.40, 0.80, 0.20, 0.40), PAIRS),
        ((0.60, 0.90, 0.57, 0.70), ORDER),
        ((0.40, 0.80, 0.40, 0.75), ORDER),
        ((0.40, 0.80, 0.40, 0.77), PAIRS),
    ],
)
def test_verdict_weighs_the_share_of_each_bayes(accuracies, verdict):
    assert cell(*accuracies).verdict == verdict


def test_row_is_plain_and_rounded():
    row = cell(0.6, 0.9, 1 / 3, 0.45).row()
    assert (row["linear"], row["words_share"], row["pairs_share"]) == (0.3333, 0.5556, 0.5)
    text = plots.csv_text(list(row), [list(row.values())])
    (read,) = csv.DictReader(io.StringIO(text))
    assert (read["synonyms"], read["phrase_fidelity"], read["verdict"]) == ("8", "0.9", ORDER)


def test_sweep_yields_every_combination_in_order_with_bayes_of_the_test_split():
    seen = []

    def remembering(corpus):
        seen.append(corpus)
        return first_category(corpus)

    params = SMALL.model_copy(update={"synonyms": (1, 2)})
    cells = list(sweep(params, {"linear": remembering, "linear_pairs": knowing}))
    assert len(cells) == params.cells == 4
    assert [(c.synonyms, c.phrase_fidelity) for c in cells] == [(1, 0.0), (1, 0.9), (2, 0.0), (2, 0.9)]
    for found, corpus in zip(cells, seen, strict=True):
        made = generate(
            SyntheticParams(items=1500, synonyms=found.synonyms, phrase_fidelity=found.phrase_fidelity)
        )
        tested = {corpus.item_ids[int(item)].as_py() for item in corpus.items(TEST)}
        category = dict(
            zip(*(made.catalogue[key].to_pylist() for key in ("item_id", "category")), strict=True)
        )
        right = {"order_blind": 0, "full": 0}
        for row in made.truth.to_pylist():
            for rule in right:
                right[rule] += row["item_id"] in tested and row[rule] == category[row["item_id"]]
        assert found.test_items == len(tested)
        assert found.order_blind == pytest.approx(right["order_blind"] / len(tested))
        assert found.full == pytest.approx(right["full"] / len(tested))
        assert found.accuracy["linear_pairs"] == 1.0
        assert found.accuracy["linear"] == np.mean(knowing(corpus) == 0)
    assert cells[0].order_blind == cells[0].full < cells[1].full


def test_baselines_are_below_the_bayes_and_above_chance():
    (alone,) = sweep(SMALL.model_copy(update={"phrase_fidelity": (0.9,), "items": 4000}), fitters(SMALL))
    assert 0.2 < alone.accuracy["linear"] < alone.order_blind + 0.03
    assert alone.accuracy["linear"] + 0.05 < alone.accuracy["linear_pairs"] < alone.full + 0.03


def test_networks_come_on_demand_only():
    assert list(fitters(SMALL)) == ["linear", "linear_pairs"]
    with_networks = fitters(SMALL.model_copy(update={"networks": True}))
    assert list(with_networks) == ["linear", "linear_pairs", "textcnn", "bow"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"phrase_fidelity": [0.9, 0.3]}, "phrase_fidelity must rise"),
        ({"synonyms": [2, 2]}, "synonyms must rise"),
        ({"word_fidelity": []}, "key 'word_fidelity'"),
        ({"word_fidelity": [1.5]}, "key 'word_fidelity.0'"),
        ({"synonyms": [17]}, "key 'synonyms.0'"),
        ({"items": 10}, "key 'items'"),
    ],
)
def test_impossible_sweeps_are_refused(values, expected):
    with pytest.raises(ConvoyError, match=expected):
        parse(values, SweepParams, "params.yaml: section 'streamrec.sweep'")
