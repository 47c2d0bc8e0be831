"""Figures of all representations: the details, and the headline figures of the metrics file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from convoy.core.statistics import percentile_interval
from convoy.streamrec.recommender.data.io import TEST
from convoy.streamrec.recommender.evaluation.clicks import interval_of, share_draws, share_of_way
from convoy.streamrec.recommender.impressions import Coded
from convoy.streamrec.recommender.ladder import Rung
from convoy.streamrec.recommender.models.specs import MODELS
from convoy.streamrec.recommender.params import EvaluateParams

LOWER, UPPER = "category", "taste"
"""The ends of the way whose share a representation covers."""


def details(rungs: Mapping[str, Rung], coded: Coded, evaluation: EvaluateParams) -> dict[str, Any]:
    """All figures by representation, and the counts of what was tested.

    clicks: log loss, calibration error, areas under the ROC curve of all, cold and warm items, share of the
    way from the category alone to the true taste. retrieval: recall, gain, mean reciprocal rank, intervals,
    users left out, of cold, warm and all items.
    """
    rows = coded.rows(TEST)
    cold = ~coded.warm[coded.item[rows]]
    draws = {
        name: rung.scored.auc_draws(evaluation.resamples, evaluation.seed)
        for name, rung in rungs.items()
        if rung.scored is not None
    }
    clicks: dict[str, Any] = {}
    for name, rung in rungs.items():
        if rung.scored is None:
            continue
        low, high = interval_of(draws[name])
        clicks[name] = {
            **rung.scored.metrics(),
            "auc_low": low,
            "auc_high": high,
            "calibration_error": rung.scored.calibration_error(),
        }
        for group, chosen in (("cold", cold), ("warm", ~cold)):
            if len(np.unique(rung.scored.click[chosen])) == 2:
                clicks[name][f"auc_{group}"] = rung.scored.of(chosen).auc
    for name, share in _shares(rungs, draws).items():
        clicks[name] |= share
    return {
        "clicks": clicks,
        "retrieval": {
            name: {group: _retrieval(one, evaluation) for group, one in rung.retrieved.items()}
            for name, rung in rungs.items()
            if rung.retrieved
        },
        "test_events": len(rows),
        "cold_test_events": int(cold.sum()),
        "test_users": len(np.unique(coded.user[rows])),
        "unknown_test_users": len(np.unique(coded.user[rows][coded.trained_user[coded.user[rows]] == 0])),
        "sampled_negatives": int(coded.sampled.sum()),
    }


def headline(details: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics file: areas under the ROC curve of clicks, and recall of new items, by representation."""
    return {
        "clicks": {
            name: {key: one[key] for key in ("auc", "auc_low", "auc_high")}
            for name, one in details["clicks"].items()
        },
        "cold": {
            name: {"recall_at_20": one["cold"]["recall_at_20"]}
            for name, one in details["retrieval"].items()
            if "cold" in one
        },
    }


def _shares(rungs: Mapping[str, Rung], draws: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Share of the way from the category alone to the true taste; none where the taste is not known."""
    if LOWER not in draws or UPPER not in draws:
        return {}
    auc = {name: rung.scored.auc for name, rung in rungs.items() if rung.scored is not None}
    found = {}
    for name in draws.keys() - {LOWER, UPPER}:
        if not MODELS[name].with_category:  # below the beginning of the way
            continue
        share = share_of_way(auc[name], auc[LOWER], auc[UPPER])
        drawn = share_draws(draws, name, LOWER, UPPER)
        if share is not None and np.isfinite(drawn).all():
            low, high = percentile_interval(drawn)
            found[name] = {"share": share, "share_low": low, "share_high": high}
    return found


def _retrieval(one: Any, evaluation: EvaluateParams) -> dict[str, Any]:
    intervals = one.intervals(evaluation.resamples, evaluation.seed)
    ends = {
        f"{key}_{end}": value[at]
        for key, value in intervals.items()
        for at, end in enumerate(("low", "high"))
    }
    return {**one.metrics(), **ends, "users": len(one.recall), "users_left_out": one.left_out}
