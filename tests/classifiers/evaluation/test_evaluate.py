import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from convoy.classifiers.evaluation.evaluate import (
    HEADLINES,
    EvaluateParams,
    evaluate,
    reliability,
)
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.core.statistics import wilson
from convoy.streamrec.catalogue.io import TRUTH
from convoy.streamrec.classification.evaluation.cases import bayes_accuracies, cases_of_test_split
from tests.support import scored

REAL = TRUTH.empty_table()
PARAMS = EvaluateParams(resamples=500)
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 2000)


def score(labels, tables, truth=REAL, params=PARAMS, **options):
    cases = cases_of_test_split(scored.corpus(labels, **options))
    return evaluate("bow", tables, cases, params, bayes_accuracies(truth, cases))


def test_figures_agree_with_scikit_learn():
    table = scored.guesses(LABELS)
    found = score(LABELS, {0: table}).metrics
    named = table.argmax(axis=1)
    test = found["test"]
    assert test["n"] == found["n"] == 2000
    assert test["accuracy"] == pytest.approx(sk.accuracy_score(LABELS, named), abs=1e-9)
    assert test["macro_f1"] == pytest.approx(sk.f1_score(LABELS, named, average="macro"), abs=1e-9)
    assert test["log_loss"] == pytest.approx(sk.log_loss(LABELS, table), abs=1e-9)
    expected = sk.precision_recall_fscore_support(LABELS, named)
    for name, column in zip(("precision", "recall", "f1", "n"), expected, strict=True):
        assert [row[name] for row in found["categories"]] == pytest.approx(list(column), abs=1e-9)


def test_copies_of_cases_in_the_groups_of_their_originals_add_no_certainty():
    """Each case twice and both in one group: the intervals of the cases alone."""
    labels, table = LABELS[:300], scored.guesses(LABELS[:300])
    alone = score(labels, {0: table}).metrics
    cases = cases_of_test_split(scored.corpus(np.repeat(labels, 2)))
    grouped = replace(cases, groups=np.repeat(np.arange(300), 2))
    twice = {0: np.repeat(table, 2, axis=0)}
    found = evaluate("bow", twice, grouped, PARAMS).metrics
    assert (found["n"], found["groups"]) == (600, 300)
    assert {**found["test"], "n": 300} == pytest.approx(alone["test"], abs=1e-9)
    naive = evaluate("bow", twice, cases, PARAMS).metrics
    widths = [one["test"]["accuracy_high"] - one["test"]["accuracy_low"] for one in (found, naive)]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(2), rel=0.15)


def test_calibration_error_is_the_gap_over_15_equal_bins():
    table = scored.guesses(LABELS)
    confidence, correct = table.max(axis=1), table.argmax(axis=1) == LABELS
    edges = np.linspace(0, 1, 16)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    found = score(LABELS, {0: table}).metrics
    assert found["test"]["ece"] == pytest.approx(error, abs=1e-9)
    assert found["calibration_bins"] == 15


def test_intervals_agree_with_the_normal_approximation():
    table = scored.guesses(LABELS)
    test = score(LABELS, {0: table}, params=EvaluateParams(resamples=4000)).metrics["test"]
    correct = table.argmax(axis=1) == LABELS
    losses = -np.log(table[np.arange(2000), LABELS])
    for name, values in (("accuracy", correct), ("log_loss", losses)):
        error = values.std() / np.sqrt(2000)
        assert test[f"{name}_low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
        assert test[f"{name}_high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


@pytest.mark.parametrize("accuracy", [0.0, 0.3, 0.98])
def test_each_figure_lies_in_its_interval(accuracy):
    test = score(LABELS, {0: scored.guesses(LABELS, accuracy=accuracy)}).metrics["test"]
    for name in HEADLINES:
        assert test[f"{name}_low"] < test[name] < test[f"{name}_high"]


def test_a_perfectly_calibrated_model_stays_within_bounds():
    # Says 0.5 or 0.75, and is exactly as often right: resampling alone makes an error.
    labels = np.array([0, 1] * 100 + [0, 0, 0, 1] * 50)
    table = np.array([[0.5, 0.5]] * 200 + [[0.75, 0.25]] * 200)
    test = score(labels, {0: table}, categories=("a", "b")).metrics["test"]
    assert test["ece"] == pytest.approx(0.0, abs=1e-9)
    assert 0.0 <= test["ece_low"] <= test["ece"] < test["ece_high"]


@pytest.mark.parametrize(("named", "rate"), [(LABELS, 1.0), ((LABELS + 1) % 3, 0.0)])
def test_wilson_at_the_ends(named, rate):
    test = score(LABELS, {0: scored.certain(named)}).metrics["test"]
    for name in ("accuracy", "macro_f1"):
        assert test[name] == rate
        assert (test[f"{name}_low"], test[f"{name}_high"]) == pytest.approx(wilson(2000 * rate, 2000))
    assert test["ece"] == 1 - rate
    # Zero probability for the truth: finite, as scikit-learn clips it.
    assert test["log_loss"] == pytest.approx(0.0 if rate else -np.log(np.finfo(float).eps), abs=1e-9)


def test_several_seeds_are_averaged_and_their_spread_widens_the_intervals():
    tables = {seed: scored.guesses(LABELS, accuracy=share, seed=seed) for seed, share in
              ((0, 0.5), (3, 0.7), (4, 0.9))}  # fmt: skip
    found = score(LABELS, tables).metrics
    alone = [score(LABELS, {seed: table}).metrics["test"] for seed, table in tables.items()]
    assert found["seeds"] == [0, 3, 4]
    for name in HEADLINES:
        assert found["test"][name] == pytest.approx(np.mean([test[name] for test in alone]), abs=1e-9)
    assert found["by_seed"]["3"]["accuracy"] == alone[1]["accuracy"]
    width = found["test"]["accuracy_high"] - found["test"]["accuracy_low"]
    # Three seeds about 0.13 apart: their mean has a standard error of 0.08 and more.
    assert width > 4 * (alone[0]["accuracy_high"] - alone[0]["accuracy_low"])


def test_categories_that_do_not_occur_have_no_figures():
    labels = np.array([0, 0, 1, 1] * 5)
    named = np.array([0, 0, 1, 2] * 5)
    found = score(labels, {0: scored.certain(named, 4)}, categories=tuple("abcd")).metrics
    rows = {row["category"]: row for row in found["categories"]}
    assert rows["c"] == {"category": "c", "n": 0, "precision": 0.0, "recall": None, "f1": 0.0}
    assert rows["d"] == {"category": "d", "n": 0, "precision": None, "recall": None, "f1": None}
    assert found["test"]["macro_f1"] == pytest.approx(sk.f1_score(labels, named, average="macro"), abs=1e-9)


def test_bayes_are_those_of_the_very_test_items():
    labels = [0, 1, 2, 0]
    # The three training items (a, a, b) come last, named wrongly by both rules: they must not count.
    ids = [f"item-{i}" for i in (6, 5, 4, 3, 2, 1, 0)]
    truth = scored.truth(ids, order_blind=[*"aaaa", *"ccc"], full=[*"acba", *"ccc"])
    found = score(np.array(labels), {0: scored.certain(labels)}, truth).metrics
    assert found["bayes"] == {"order_blind": 0.5, "full": 1.0}
    assert found["share_of_bayes"] == {"order_blind": 2.0, "full": 1.0}


def test_a_bayes_of_zero_has_no_share():
    truth = scored.truth([f"item-{i}" for i in range(4)], ["c"] * 4, ["a"] * 4)
    found = score(np.array([0]), {0: scored.certain([0])}, truth).metrics
    assert found["bayes"] == {"order_blind": 0.0, "full": 1.0}
    assert found["share_of_bayes"] == {"order_blind": None, "full": 1.0}


def test_a_real_catalogue_has_no_bayes_but_a_majority():
    found = score(np.array([0, 1, 1, 2]), {0: scored.certain([0, 1, 2, 2])}, train_labels=(0, 1, 0)).metrics
    assert found["bayes"] is None
    assert found["share_of_bayes"] is None
    # The most frequent category of the training split, not of the test split.
    assert found["majority"] == {"category": "a", "accuracy": 0.25}


def test_the_same_seed_gives_the_same_figures_and_plain_json():
    table = scored.guesses(LABELS)
    first, again = score(LABELS, {0: table}).metrics, score(LABELS, {0: table}).metrics
    assert json.dumps(first, allow_nan=False) == json.dumps(again, allow_nan=False)
    other = score(LABELS, {0: table}, params=EvaluateParams(resamples=500, seed=1)).metrics["test"]
    assert other["accuracy_low"] != first["test"]["accuracy_low"]


def test_predictions_are_names_by_seed():
    labels = np.array([0, 1, 2])
    found = score(labels, {5: scored.certain([0, 1, 1]), 7: scored.certain([2, 2, 2])}).predictions()
    assert found.item_ids.to_pylist() == ["item-3", "item-4", "item-5"]
    assert found.category.to_pylist() == ["a", "b", "c"]
    assert {seed: named.to_pylist() for seed, named in found.predicted.items()} == {
        5: ["a", "b", "b"],
        7: ["c", "c", "c"],
    }


def test_reliability_rows_hold_occupied_bins_of_the_first_seed():
    labels = np.array([0, 0, 1, 1])
    table = np.array([[0.62, 0.38], [0.64, 0.36], [0.64, 0.36], [0.1, 0.9]])
    rows = reliability(score(labels, {0: table, 1: scored.certain(labels, 2)}, categories=("a", "b")))
    assert [(row["n"], row["bin_low"], row["bin_high"]) for row in rows] == [
        (3, pytest.approx(9 / 15), pytest.approx(10 / 15)),
        (1, pytest.approx(13 / 15), pytest.approx(14 / 15)),
    ]
    assert rows[0]["confidence"] == pytest.approx(1.9 / 3)
    assert rows[0]["accuracy"] == pytest.approx(2 / 3)
    assert (rows[1]["accuracy_low"], rows[1]["accuracy_high"]) == pytest.approx(wilson(1, 1))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.ones((2, 3)) / 3, "shape"),
        (np.ones((3, 3)), "sum to 1"),
        (np.full((3, 3), np.nan), "finite"),
        (np.array([[1.5, -0.5, 0.0]] * 3), "not negative"),
    ],
)
def test_what_is_no_probability_is_a_bug(table, words):
    with pytest.raises(ValueError, match=f"bow, seed 0: .*{words}"):
        score(np.array([0, 1, 2]), {0: table})


def test_an_empty_test_split_is_told_to_the_user():
    with pytest.raises(ConvoyError, match="test split holds no item"):
        score(np.array([], int), {0: np.zeros((0, 3))})


@pytest.mark.parametrize("values", [{"resamples": 50}, {"calibration_bins": 1}, {"seed": -1}, {"boots": 3}])
def test_params_have_bounds(values):
    with pytest.raises(ConvoyError, match=next(iter(values))):
        parse(values, EvaluateParams, "streamrec.evaluate")
