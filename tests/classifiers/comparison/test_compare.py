from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from convoy.classifiers.comparison.compare import compare
from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.evaluation.evaluate import EvaluateParams
from convoy.core.errors import ConvoyError
from convoy.core.statistics import wilson
from convoy.report.numbers import points
from convoy.streamrec.classification.models.specs import MODELS
from convoy.streamrec.classification.subject import SUBJECT
from tests.support import scored

PARAMS = EvaluateParams(resamples=1000)
METRICS = {
    model: {
        "n": 1000, "seeds": [0], "test": {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6},
        "bayes": None, "share_of_bayes": None, "majority": {"category": "a", "accuracy": 0.2},
    }
    for model in ("textcnn", "bow")
}  # fmt: skip
SYNTHETIC = {"order_blind": 0.7, "full": 0.9}


def rights(n, *spans):
    """n items of which those within the spans [start, stop) are named rightly."""
    row = np.zeros(n, bool)
    for start, stop in spans:
        row[start:stop] = True
    return row


def comparison(correct, bayes=None, n=1000):
    """Compare models by their rights: a row of items each, or a list of rows for several seeds."""
    rows = {model: right if isinstance(right, list) else [right] for model, right in correct.items()}
    metrics = {}
    for model, right in rows.items():
        accuracy = float(np.mean(right))
        low, high = wilson(accuracy * n, n)
        metrics[model] = {
            "n": n,
            "seeds": list(range(len(right))),
            "test": {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high},
            "bayes": bayes,
            "share_of_bayes": bayes and {rule: accuracy / best for rule, best in bayes.items()},
            "majority": {"category": "<a>", "accuracy": 0.19},
        }
    ordered = {model: scored.predictions(*rows[model]) for model in MODELS if model in rows}
    return compare(metrics, ordered, PARAMS)


def spread(**ends):
    """Models that are right on the first so many of 1,000 items: each better one on all of a worse one's."""
    return {model: rights(1000, (0, end)) for model, end in ends.items()}


def test_every_pair_of_models_is_compared_once_the_earlier_of_the_registry_first():
    found = comparison(spread(linear=500, bow=500, textcnn=500))
    assert list(found["pairs"]) == ["textcnn-bow", "textcnn-linear", "bow-linear"]
    assert list(found["accuracy"]) == ["textcnn", "bow", "linear"]


def test_copies_of_items_in_the_groups_of_their_originals_add_no_certainty():
    single = {model: [row] for model, row in spread(textcnn=520, bow=500).items()}
    first = compare(METRICS, {model: scored.predictions(*rows) for model, rows in single.items()}, PARAMS)
    twice = {model: scored.predictions(np.repeat(rows[0], 2)) for model, rows in single.items()}
    groups = np.repeat(np.arange(1000), 2)
    pair, grouped = (
        first["pairs"]["textcnn-bow"],
        compare(METRICS, twice, PARAMS, groups)["pairs"]["textcnn-bow"],
    )
    assert [grouped[key] for key in ("difference", "low", "high")] == pytest.approx(
        [pair[key] for key in ("difference", "low", "high")]
    )
    alone = compare(METRICS, twice, PARAMS)["pairs"]["textcnn-bow"]
    assert alone["high"] - alone["low"] < 0.8 * (pair["high"] - pair["low"])


def test_a_pair_by_hand():
    # TextCNN alone is right on 60 items, bag-of-words alone on 25.
    textcnn, bow = rights(1000, (0, 500), (500, 560)), rights(1000, (0, 500), (600, 625))
    pair = comparison({"textcnn": textcnn, "bow": bow, "linear": bow, "linear_pairs": bow})["pairs"][
        "textcnn-bow"
    ]
    assert (pair["only_first"], pair["only_second"]) == (60, 25)
    assert pair["difference"] == pytest.approx(0.035)
    assert pair["mcnemar_p"] == pytest.approx(binomtest(25, 85).pvalue)
    error = np.sqrt((85 / 1000 - 0.035**2) / 1000)
    assert pair["low"] == pytest.approx(0.035 - 1.96 * error, abs=0.15 * error)
    assert pair["high"] == pytest.approx(0.035 + 1.96 * error, abs=0.15 * error)
    assert pair["verdict"] == "textcnn"


def test_verdicts_are_about_the_items_not_the_margin():
    # The same margin of 10 items: told apart where they are all the discordant ones, not among 300.
    few = comparison(spread(textcnn=510, bow=500, linear=500, linear_pairs=500))
    assert few["pairs"]["textcnn-bow"]["verdict"] == "textcnn"
    many = {"textcnn": rights(1000, (0, 155)), "bow": rights(1000, (200, 345))}
    found = comparison(many | {"linear": many["bow"], "linear_pairs": many["bow"]})
    assert found["pairs"]["textcnn-bow"]["difference"] == pytest.approx(0.01)
    assert found["pairs"]["textcnn-bow"]["verdict"] == "tie"
    assert (found["winner"], found["best"]) == ("tie", ["textcnn", "bow", "linear_pairs", "linear"])


def test_five_against_none_is_no_win():
    # The bootstrap interval excludes zero, McNemar's p is 2 / 2^5: both have to agree.
    found = comparison(spread(textcnn=505, bow=500, linear=500, linear_pairs=500))["pairs"]["textcnn-bow"]
    assert found["low"] > 0
    assert found["mcnemar_p"] == pytest.approx(0.0625)
    assert found["verdict"] == "tie"


def test_models_that_never_differ_tie_within_wilsons_bound():
    pair = comparison(spread(textcnn=600, bow=600, linear=500, linear_pairs=500))["pairs"]["textcnn-bow"]
    bound = wilson(0, 1000)[1]
    assert (pair["difference"], pair["mcnemar_p"], pair["verdict"]) == (0.0, 1.0, "tie")
    assert (pair["low"], pair["high"]) == pytest.approx((-bound, bound))


def test_the_winner_may_be_a_baseline():
    found = comparison(spread(textcnn=600, bow=500, linear=550, linear_pairs=700))
    assert (found["winner"], found["best"]) == ("linear_pairs", ["linear_pairs"])
    assert found["pairs"]["textcnn-linear_pairs"]["verdict"] == "linear_pairs"
    assert found["pairs"]["bow-linear"]["verdict"] == "linear"


def test_the_spread_of_training_widens_a_difference():
    base = spread(bow=500, linear=500, linear_pairs=500)
    seeds = [rights(1000, (0, end)) for end in (450, 540, 630)]
    alone = comparison(base | {"textcnn": seeds[1]})["pairs"]["textcnn-bow"]
    several = comparison(base | {"textcnn": seeds})["pairs"]["textcnn-bow"]
    assert several["difference"] == pytest.approx(0.04)
    assert alone["verdict"] == "textcnn"
    assert several["low"] < 0 < several["high"]
    # McNemar's counts are of the first seed.
    assert (several["only_first"], several["only_second"]) == (0, 50)
    assert several["verdict"] == "tie"


def test_other_items_are_refused():
    rows = {model: scored.predictions(rights(1000, (0, 500))) for model in MODELS}
    rows["linear"] = scored.predictions(rights(990, (0, 500)))
    with pytest.raises(ConvoyError, match=r"linear and textcnn are not of the same test items \(990 and"):
        compare({}, rows, PARAMS)


def test_the_headline_does_not_compare_with_a_control():
    found = comparison(spread(textcnn=850, bow=840, linear=620))
    assert "ahead of bag-of-words" in headline(SUBJECT, found)
    without = replace(SUBJECT, controls=frozenset({"bow"}))
    assert "ahead of the linear baseline on words" in headline(without, found)


def test_words_where_textcnn_wins():
    found = comparison(spread(textcnn=850, bow=600, linear=620, linear_pairs=780), SYNTHETIC)
    said = findings(SUBJECT, found)
    assert headline(SUBJECT, found) == (
        "TextCNN wins, 7.0 percentage points ahead of the linear baseline on words and pairs"
    )
    assert said[0].startswith(
        "TextCNN beats bag-of-words: 85.0% of 1,000 test items correct compared with 60.0%, a difference "
        "of 25.0 percentage points (95% confidence interval "
    )
    assert said[0].endswith(
        "; McNemar p < 0.0001); TextCNN reaches 94.4% of the Bayes accuracy of 90.0% and bag-of-words "
        "reaches 85.7% "
        "of the order-blind Bayes accuracy of 70.0%."
    )
    assert "TextCNN exceeds the second figure, so it uses the order of words. Always predicting" in said[1]
    assert said[2].startswith(
        "The linear baseline on words and pairs (78.0%) beats bag-of-words by 18.0 percentage points ("
    )
    assert "and is worse than TextCNN by 7.0 percentage points (" in said[2]
    assert said[4] == (
        "Bag-of-words is not the best choice here: the linear baseline on words and pairs and the linear "
        "baseline on words are more accurate."
    )
    assert not any("tie" in sentence for sentence in said)


def test_words_where_bag_of_words_wins():
    found = comparison(spread(textcnn=600, bow=700, linear=500, linear_pairs=500), SYNTHETIC)
    pair = found["pairs"]["textcnn-bow"]
    assert headline(SUBJECT, found) == "Bag-of-words wins, 10.0 percentage points ahead of TextCNN"
    assert findings(SUBJECT, found)[0].startswith("Bag-of-words beats TextCNN: 70.0% of 1,000 test items")
    # The difference is that of the winner.
    interval = f"{points(-pair['high'])} to {points(-pair['low'])}"
    assert (
        f"a difference of 10.0 percentage points (95% confidence interval {interval};"
        in findings(SUBJECT, found)[0]
    )
    assert not any("best choice" in sentence for sentence in findings(SUBJECT, found))


def test_words_where_the_baselines_win():
    found = comparison(spread(textcnn=600, bow=500, linear=650, linear_pairs=700))
    assert headline(SUBJECT, found) == (
        "No network wins: the linear baseline on words and pairs is 10.0 percentage points ahead of TextCNN"
    )
    assert findings(SUBJECT, found)[-1] == (
        "So no network is the best choice here: a baseline is more accurate than each of them."
    )


def test_words_of_the_chapters_tie():
    both = {"order_blind": 1.0, "full": 1.0}
    found = comparison(spread(textcnn=1000, bow=1000, linear=1000, linear_pairs=1000), both)
    said = findings(SUBJECT, found)
    assert headline(SUBJECT, found) == "A tie at 100%: all 4 models"
    assert said[0].startswith(
        "TextCNN and bag-of-words tie: both classify 100% of 1,000 test items correctly, a difference of 0.0 "
    )
    assert said[0].endswith(
        "TextCNN reaches 100% of the Bayes accuracy of 100% and bag-of-words reaches 100% of the Bayes "
        "accuracy of 100%."
    )
    assert said[1].startswith("The best possible rule classifies 100% of these items correctly. Always")
    assert "Why a tie: both Bayes accuracies are 100%, so the order of words has no" in said[2]
    assert said[2].endswith("; both models are at 100%.")
    assert said[3] == "The linear baseline on words and pairs (100%) ties with TextCNN and bag-of-words."


def test_words_of_other_ties():
    rows = spread(textcnn=501, bow=500, linear=400, linear_pairs=400)
    assert headline(SUBJECT, comparison(rows)) == "A tie: TextCNN (50.1%) and bag-of-words (50.0%)"
    baselines = spread(textcnn=400, bow=390, linear=501, linear_pairs=500)
    assert headline(SUBJECT, comparison(baselines)) == (
        "No network wins: ahead of them is a tie: the linear baseline on words (50.1%) and the "
        "linear baseline on words and pairs (50.0%)"
    )
    missed = findings(SUBJECT, comparison(rows, SYNTHETIC))[2]
    assert missed.startswith("Why a tie: word order could add 20.0 percentage points here, but TextCNN")
    level = findings(SUBJECT, comparison(rows, {"order_blind": 0.8, "full": 0.8004}))[2]
    assert level.startswith("Why a tie: both Bayes accuracies are 80.0%")
    assert "100%" not in level
    assert "the difference is not significant" in findings(SUBJECT, comparison(rows))[2]


def test_words_of_a_real_catalogue_state_the_majority_and_no_bayes():
    said = findings(SUBJECT, comparison(spread(textcnn=600, bow=500, linear=400, linear_pairs=400)))
    assert said[1].endswith("predicting the most frequent category, “<a>”, would be correct for 19.0%.")
    assert said[1].startswith("On a real catalogue the Bayes accuracy is not known.")
    assert "bayes" not in said[0]
