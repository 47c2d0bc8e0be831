"""What the TaskSpecs of all classifiers share: the ranking, the comparison of versions, and words."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from convoy.classifiers.comparison import promotion
from convoy.classifiers.evaluation.io import Predictions, read_predictions
from convoy.report.numbers import percent
from convoy.tasks import Ranking, ServedModel, VersionComparison

Source = TypeVar("Source")

# Of the table of runs and of versions, for a task with a Bayes accuracy.
COLUMNS = (
    "test_accuracy", "test_accuracy_low", "test_accuracy_high", "bayes", "share_of_bayes", "test_macro_f1",
    "test_log_loss", "test_ece",
)  # fmt: skip
RANKING = Ranking("test_accuracy", lower_is_better=False, validation="validation_accuracy")


def versions(
    source: str,
    read_source: Callable[[Path], Source],
    remeasure: Callable[[Source, Predictions, ServedModel], Predictions],
    groups_of: promotion.GroupsOf | None = None,
) -> VersionComparison[Predictions, Source]:
    """Versions compared by their accuracy on the same test cases; `source` as in `VersionComparison`.

    groups_of: see `promotion.difference`.
    """
    return VersionComparison(
        file="predictions.parquet",
        read=read_predictions,
        test_split=promotion.test_split,
        checks=promotion.checks,
        margin=lambda params: params.margin,
        difference=partial(promotion.difference, groups_of=groups_of),
        describe=promotion.describe,
        estimate=promotion.estimate,
        figure=promotion.figure,
        source=source,
        read_source=read_source,
        remeasure=remeasure,
    )


def interval(test: Mapping[str, Any]) -> str:
    """The confidence interval of the accuracy in words, from the section `test` of a metrics file."""
    return f"{percent(test['accuracy_low'])} to {percent(test['accuracy_high'])}"


def sentences(test: Mapping[str, Any], cases: str, bayes: str = "") -> str:
    """The metrics of a model in sentences; `bayes`: one on its Bayes accuracy, where that is known."""
    return (
        f"95% confidence interval of the accuracy: {interval(test)}, on {test['n']:,} {cases}.{bayes} "
        f"Macro-F1 {test['macro_f1']:.3f}, log loss {test['log_loss']:.3f}, calibration error "
        f"{test['ece']:.3f}."
    )
