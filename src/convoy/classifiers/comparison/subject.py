"""A task of classification for its report: models, names, and the sentences that it alone needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from convoy.core.models import ModelSpec

Comparison: TypeAlias = Mapping[str, Any]
"""The content of a comparison file, as `convoy.classifiers.comparison.compare.compare` returns it."""


def _nothing(_comparison: Comparison) -> str | None:
    return None


def _no_note(_metrics: Mapping[str, Any]) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A task of classification in the words of its report."""

    models: Mapping[str, ModelSpec[Any, Any]]
    """The registry; its order is that of tables."""
    cases: str
    """Plural of what is classified, such as `items`."""
    category: str
    """What a category is called, such as `category` or `regime`."""
    bayes: Mapping[str, str] = field(default_factory=dict)
    """The label of each Bayes accuracy that the metrics may hold, by its key there."""
    bound: Mapping[str, str] = field(default_factory=dict)
    """The key of the Bayes accuracy that is an upper bound for a model, by the model's name."""
    bayes_sentence: Callable[[Comparison], str | None] = _nothing
    """The meaning of the Bayes accuracies of a comparison; None: no sentence."""
    tie_sentence: Callable[[Comparison], str | None] = _nothing
    """Why the networks tie; None where they do not."""
    controls: frozenset[str] = frozenset()
    """Models that are wrong on purpose, which the headline does not compare with."""
    note: Callable[[Mapping[str, Any]], str] = _no_note
    """A sentence that follows the summary of a model, from its metrics; empty: none."""
    weights_note: str = ""
    """Which weights are stored and which figures the learning curves show."""
    method: str = ""
    """Facts of the task for the section on the method."""
    bayes_method: str = ""
    """How the Bayes accuracies are computed."""
