"""The result in words, and the page, from figures alone."""

import copy

from convoy.report.charts import Dot, DotPanel, dot_panels
from convoy.report.themes import LIGHT
from convoy.streamrec.recommender.findings import findings
from convoy.streamrec.recommender.report import page


def rates(auc: float) -> dict[str, float]:
    return {"auc": auc, "auc_low": auc - 0.01, "auc_high": auc + 0.01, "log_loss": 0.5}


def found_items(recall: float) -> dict[str, dict[str, float]]:
    one = {
        f"{key}{end}": recall
        for key in ("recall_at_20", "ndcg_at_20", "mrr")
        for end in ("", "_low", "_high")
    }
    return {group: {**one, "users": 9, "users_left_out": 2} for group in ("cold", "warm", "overall")}


def share(value: float) -> dict[str, float]:
    return {"share": value, "share_low": value - 0.1, "share_high": value + 0.1}


CLICKS = {"category": rates(0.70), "bow": rates(0.71), "textcnn": rates(0.78), "taste": rates(0.81)}
DETAILS = {
    "clicks": {
        name: {**one, "calibration_error": 0.02, "auc_cold": 0.7, "auc_warm": 0.8}
        for name, one in CLICKS.items()
    },
    "retrieval": {"popularity": found_items(0.01), "textcnn": found_items(0.04)},
    "test_events": 100, "cold_test_events": 40, "test_users": 11, "unknown_test_users": 1,
    "sampled_negatives": 0,
}  # fmt: skip
DETAILS["clicks"]["textcnn"] |= share(0.73)
DETAILS["clicks"]["bow"] |= share(0.1)
COMPATIBLE = {
    "cosine": 0.9, "cosine_unrotated": 0.6, "churn": 0.125, "auc_unrotated": 0.6, "loss_unrotated": 0.18,
    "loss_unrotated_low": 0.17, "loss_unrotated_high": 0.19, "auc_rotated": 0.777, "loss_rotated": 0.003,
    "loss_rotated_low": 0.001, "loss_rotated_high": 0.005, "auc_refitted": 0.779,
}  # fmt: skip
CHANGE = {"difference": -0.001, "low": -0.004, "high": 0.002, "mcnemar_p": 0.31}


def consumer(accuracy=CHANGE, **changes):
    return {
        "auc_old": 0.78,
        "versions": {"compatible": COMPATIBLE | changes | {"accuracy": accuracy}},
    }


CONSUMER = consumer()
DATA = {
    "source": "clicks<1>.csv", "events": 1000, "users": 20, "items": 30, "click_rate": 0.4,
    "sampled_negatives": 7, "splits": {"train": 700, "validation": 200, "test": 100},
}  # fmt: skip


def words(details=DETAILS, of=CONSUMER) -> str:
    return " ".join(findings(details, of))


def test_the_order_the_intervals_and_the_goals_are_stated():
    text = words()
    assert "best first: True taste 0.810, TextCNN 0.780, Bag of words 0.710, Category 0.700." in text
    assert "Bag of words and Category: their 95% confidence intervals overlap." in text
    assert "TextCNN and Bag of words: the first is higher" in text
    assert "covers 73.0% (95% confidence interval 63.0% to 83.0%)" in text
    assert "at least the 60.0%" in text
    assert "TextCNN covers at least 1.5 times as much" in text
    assert "at most the 0.005 that were aimed at" in text
    assert "TextCNN finds 4.0%" in text
    assert "reaches 0.779, compared with 0.780 before; that part of the loss is due to the version" in text
    assert words(of=consumer(auc_refitted=0.79)).endswith("reaches 0.790, compared with 0.780 before.")


def test_each_retraining_and_its_accuracy_are_stated():
    assert "TextCNN retrained (from the accepted weights, compatible): a click model" in words()
    text = words(of=consumer(loss_rotated_low=-0.00004))
    assert "0.0030 (0.0000 to 0.0050) with the rotation: at most the 0.005" in text
    assert "does not change significantly (−0.4 to 0.2 points), and 12.5% of an item's nearest" in words()
    fallen = {"difference": -0.02, "low": -0.03, "high": -0.01, "mcnemar_p": 0.001}
    assert "classifier falls by 2.0 points (−3.0 to −1.0 points)" in words(of=consumer(fallen))
    risen = {"difference": 0.02, "low": 0.01, "high": 0.03, "mcnemar_p": 0.001}
    assert "classifier rises by 2.0 points (1.0 to 3.0 points)" in words(of=consumer(risen))


def test_missed_goals_are_stated_too():
    details = copy.deepcopy(DETAILS)
    details["clicks"]["textcnn"] |= share(0.3) | rates(0.65)
    details["clicks"]["bow"] |= share(0.25)
    details["sampled_negatives"] = 40
    text = words(details, consumer(loss_rotated=0.04))
    assert "less than the 60.0%" in text
    assert "less than 1.5 times as much" in text
    assert "the order is not the expected one" in text
    assert "more than the 0.005" in text
    assert "40 impressions without a click were drawn at random" in text


def test_a_real_catalogue_has_no_share_and_may_have_no_new_items():
    clicks = {name: {**rates(0.7), "calibration_error": 0.02} for name in ("category", "textcnn")}
    details = {**DETAILS, "clicks": clicks, "retrieval": {}, "cold_test_events": 0}
    text = words(details, None)
    assert "of the way" not in text
    assert "new items" not in text
    assert "Retrieval" in page(details, None, [text], DATA, 5)


def test_the_page_escapes_names_and_has_every_figure():
    html = page(DETAILS, CONSUMER, ["in short"], DATA, 5)
    assert "clicks&lt;1&gt;.csv" in html
    for figure in (
        "0.780",
        "0.0400",
        "0.0030",
        "0.0010 to 0.0050",
        "0.7790",
        "0.31",
        "12.5%",
        "73.0%",
        "7 events without a click",
    ):
        assert figure in html
    assert html.count("<img") == 1


def test_dots_with_one_and_the_same_input_give_the_same_picture():
    panels = [DotPanel("one", [Dot("a", 0.5, 0.4, 0.6, 0)]), DotPanel("two", [Dot("b", 1, 1, 2, 1)])]
    assert dot_panels(panels, LIGHT) == dot_panels(panels, LIGHT)
    assert dot_panels(panels, LIGHT) != dot_panels(panels[:1], LIGHT)
