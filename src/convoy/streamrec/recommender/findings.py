"""The result of the recommender in words."""

from collections.abc import Mapping
from typing import Any

from convoy.report.numbers import fixed, percent, points
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import RETRAININGS

Figures = Mapping[str, Any]
GOAL_SHARE, GOAL_RATIO, GOAL_LOSS = 0.6, 1.5, 0.005


def findings(details: Figures, consumer: Figures | None) -> list[str]:
    """Sentences on the ladder, the share of the way, retrieval, and a consumer of retrained versions."""
    if not details["clicks"] and not details["retrieval"]:
        absent = (
            "There are no interactions: the taste vectors of a real catalogue are not known, and "
            "streamrec.recommender.interactions.source names no file."
        )
        return [absent]
    clicks = details["clicks"]
    found = [_ladder(clicks), *_separated(clicks), *_share(clicks), *_cold(details["retrieval"])]
    if consumer is not None:
        found += _consumer(consumer)
    if details["sampled_negatives"]:
        found.append(
            f"The file holds clicks only: {details['sampled_negatives']:,} impressions without a click were "
            "drawn at random, so the areas under the ROC curve are those of real clicks among random items."
        )
    return found


def _ladder(clicks: Figures) -> str:
    order = sorted(clicks, key=lambda name: -clicks[name]["auc"])
    listed = ", ".join(f"{MODELS[name].label} {clicks[name]['auc']:.3f}" for name in order)
    return f"Area under the ROC curve of clicks in the test period, best first: {listed}."


def _separated(clicks: Figures) -> list[str]:
    """Whether the neighbouring rungs that matter have intervals that do not overlap."""
    pairs = [("category", "bow"), ("bow", "textcnn"), ("textcnn", "taste")]
    sentences = []
    for lower, higher in pairs:
        if lower not in clicks or higher not in clicks:
            continue
        names = f"{MODELS[higher].label} and {MODELS[lower].label}"
        if clicks[higher]["auc_low"] > clicks[lower]["auc_high"]:
            sentences.append(f"{names}: the first is higher, and their 95% confidence intervals are apart.")
        elif clicks[higher]["auc_high"] < clicks[lower]["auc_low"]:
            sentences.append(f"{names}: the order is not the expected one, the second is clearly higher.")
        else:
            sentences.append(f"{names}: their 95% confidence intervals overlap.")
    return sentences


def _share(clicks: Figures) -> list[str]:
    known = {name: one for name, one in clicks.items() if "share" in one}
    if "textcnn" not in known:
        return []
    own = known["textcnn"]
    reached = "at least" if own["share"] >= GOAL_SHARE else "less than"
    text = (
        f"TextCNN covers {percent(own['share'])} (95% confidence interval {percent(own['share_low'])} to "
        f"{percent(own['share_high'])}) of the way from the category alone to the true taste, {reached} the "
        f"{percent(GOAL_SHARE)} that were aimed at."
    )
    if "bow" in known:
        bow = known["bow"]["share"]
        enough = own["share"] >= GOAL_RATIO * bow
        text += (
            f" The bag of words covers {percent(bow)}; TextCNN covers "
            f"{'at least' if enough else 'less than'} {GOAL_RATIO:g} times as much."
        )
    return [text]


def _cold(retrieval: Figures) -> list[str]:
    cold = {name: one["cold"] for name, one in retrieval.items() if "cold" in one}
    content = {name: one for name, one in cold.items() if name not in ("popularity", "random", "taste")}
    if not content:
        return []
    best = max(content, key=lambda name: content[name]["recall_at_20"])
    one = content[best]
    text = (
        f"Of the new items that a user clicked, {MODELS[best].phrase} finds {percent(one['recall_at_20'])} "
        f"({percent(one['recall_at_20_low'])} to {percent(one['recall_at_20_high'])}) among the first 20"
    )
    others = [name for name in ("category", "bow", "popularity", "taste") if name in cold and name != best]
    listed = ", ".join(f"{MODELS[name].phrase} {percent(cold[name]['recall_at_20'])}" for name in others)
    return [f"{text}; {listed}." if listed else f"{text}."]


def _consumer(consumer: Figures) -> list[str]:
    """One sentence per retraining, and what a click model reaches that is fitted on it."""
    sentences = []
    for name, one in consumer["versions"].items():
        goal = (
            f"at most the {GOAL_LOSS:g}"
            if one["loss_rotated"] <= GOAL_LOSS
            else f"more than the {GOAL_LOSS:g}"
        )
        own = consumer["auc_old"] - one["auc_refitted"]
        due = "; that part of the loss is due to the version itself" if own > 0 else ""
        sentences.append(
            f"TextCNN retrained ({RETRAININGS[name]}): a click model fitted on the version before loses "
            f"{fixed(one['loss_unrotated'], 4)} in area under the ROC curve with the new vectors as they are "
            f"({fixed(one['loss_unrotated_low'], 4)} to {fixed(one['loss_unrotated_high'], 4)}), and "
            f"{fixed(one['loss_rotated'], 4)} ({fixed(one['loss_rotated_low'], 4)} to "
            f"{fixed(one['loss_rotated_high'], 4)}) with the rotation: {goal} that were aimed at. "
            f"The accuracy of the classifier {_change(one['accuracy'])}, and {percent(one['churn'])} of an "
            f"item's nearest neighbours are others. A click model fitted again on it reaches "
            f"{one['auc_refitted']:.3f}, compared with {consumer['auc_old']:.3f} before{due}."
        )
    return sentences


def _change(accuracy: Figures) -> str:
    """How the accuracy of a retrained classifier changes, in words."""
    interval = f"{points(accuracy['low'])} to {points(accuracy['high'])} points"
    if accuracy["low"] > 0:
        return f"rises by {points(accuracy['difference'])} points ({interval})"
    if accuracy["high"] < 0:
        return f"falls by {points(-accuracy['difference'])} points ({interval})"
    return f"does not change significantly ({interval})"
