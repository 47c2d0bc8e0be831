"""Tables of one model's evaluation as CSV text: confusion, reliability, learning curve; first seed only."""

from convoy.classifiers.evaluation.evaluate import Evaluation, reliability
from convoy.core.plots_io import csv_text

CONFUSION, RELIABILITY, CURVE = "confusion.csv", "reliability.csv", "curve.csv"


def tables(evaluation: Evaluation, curve: str | None) -> dict[str, str]:
    """Text by file name, for DVC's plots and the report.

    `curve` is the model's learning curve as CSV text; None for a baseline, which has none.
    """
    first = next(iter(evaluation.predicted.values()))
    actual = evaluation.cases.names(evaluation.cases.labels).to_pylist()
    predicted = evaluation.cases.names(first).to_pylist()
    bins = reliability(evaluation)
    found = {
        CONFUSION: csv_text(["actual", "predicted"], zip(actual, predicted, strict=True)),
        RELIABILITY: csv_text(list(bins[0]), (list(row.values()) for row in bins)),
    }
    return found if curve is None else {**found, CURVE: curve}
