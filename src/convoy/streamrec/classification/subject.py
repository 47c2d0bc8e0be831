"""Sentences of the report on texts and the order of their words."""

from collections.abc import Mapping
from typing import Any

from convoy.classifiers.comparison.compare import TIE, verdict
from convoy.classifiers.comparison.findings import accuracy_of, capital, listed
from convoy.classifiers.comparison.subject import Comparison, Subject
from convoy.core.models import names_of
from convoy.report.numbers import percent, points
from convoy.streamrec.classification.models.specs import MODELS

# Where the Bayes accuracies differ by less than this (0.1 percentage points), word order has no value.
SAME_BAYES = 0.001


def _networks(comparison: Comparison) -> tuple[str, ...]:
    return names_of(MODELS, "network", comparison["accuracy"])


def _bayes_sentence(comparison: Comparison) -> str:
    bayes = comparison["bayes"]
    if bayes is None:
        return "On a real catalogue the Bayes accuracy is not known."
    blind, full = bayes["order_blind"], bayes["full"]
    text = f"The best possible rule classifies {percent(full)} of these items correctly"
    text += "." if blind == full else f", and the best that ignores the order of words {percent(blind)}."
    above = [
        MODELS[model].phrase
        for model in _networks(comparison)
        if MODELS[model].bayes == "full" and comparison["accuracy"][model]["low"] > blind
    ]
    if full - blind >= SAME_BAYES and above:
        does = (
            "exceeds the second figure, so it uses" if len(above) == 1 else "exceed the second, so they use"
        )
        text += f" {capital(listed(above))} {does} the order of words."
    return text


def _tie_sentence(comparison: Comparison) -> str | None:
    """Why the best networks with and without word order tie; None where they do not."""
    networks = sorted(_networks(comparison), key=lambda model: -accuracy_of(comparison, model))
    seeing = next((model for model in networks if MODELS[model].bayes == "full"), None)
    blind = next((model for model in networks if MODELS[model].bayes == "order_blind"), None)
    if seeing is None or blind is None or verdict(comparison["pairs"], seeing, blind) != TIE:
        return None
    bayes = comparison["bayes"]
    if bayes is None:
        return (
            "Why a tie: the difference is not significant for this number of items. Either the order of "
            "words has little information about these categories, or there are too few items to learn it "
            "from."
        )
    if abs(bayes["full"] - bayes["order_blind"]) < SAME_BAYES:
        why = (
            f"Why a tie: both Bayes accuracies are {percent(bayes['full'])}, so the order of words has no "
            f"information about the category here, and {MODELS[seeing].phrase} cannot gain from it"
        )
        at_top = all(accuracy_of(comparison, model) == 1 for model in (seeing, blind))
        return why + ("; both models are at 100%." if at_top else ".")
    worth = points(bayes["full"] - bayes["order_blind"])
    return (
        f"Why a tie: word order could add {worth} percentage points here, but {MODELS[seeing].phrase} has "
        "not learned enough of it for a significant difference."
    )


def _vectors_note(metrics: Mapping[str, Any]) -> str:
    vectors = metrics.get("vectors")
    if vectors is None:
        return ""
    words, tokens = percent(vectors["found"] / vectors["vocabulary"]), percent(vectors["tokens"])
    return (
        f"Its embeddings begin as vectors from elsewhere ({vectors['mode'].replace('_', '-')}), found for "
        f"{words} of the words of the vocabulary and {tokens} of those of the training texts."
    )


SUBJECT = Subject(
    models=MODELS,
    note=_vectors_note,
    cases="items",
    category="category",
    bayes={"order_blind": "order-blind Bayes accuracy", "full": "Bayes accuracy"},
    bound={name: model.bayes for name, model in MODELS.items()},
    bayes_sentence=_bayes_sentence,
    tie_sentence=_tie_sentence,
    weights_note="Curves of the first seed. The stored weights are those of the epoch with the lowest "
    "validation loss. Label smoothing and word dropout apply to the training loss only, which may therefore "
    "be higher.",
    method="All models are fitted on the same tokens.",
    bayes_method="The Bayes accuracies are those of the two Bayes rules on the same test items: one uses "
    "the order of words, the other ignores it. Both are exact, since the catalogue is synthetic.",
)
