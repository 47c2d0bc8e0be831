"""Tables and pictures of one model's evaluation: confusion, reliability, learning curve."""

import numpy as np

from convoy.report import charts
from convoy.report.io import Columns, columns, csv_text
from convoy.report.themes import LIGHT, Theme
from convoy.streamrec.classification.evaluate import Evaluation, reliability
from convoy.streamrec.classification.models import MODELS

CONFUSION, RELIABILITY, CURVE = "confusion.csv", "reliability.csv", "curve.csv"


def plots(evaluation: Evaluation, curve: str | None) -> dict[str, str | bytes]:
    """File name -> content: CSV tables for DVC and the report, and each as a PNG. First seed only.

    `curve` is the model's learning curve as CSV text; None for a baseline, which has none.
    """
    model = evaluation.metrics["model"]
    first = next(iter(evaluation.predicted.values()))
    actual = evaluation.names(evaluation.labels).to_pylist()
    bins = reliability(evaluation)
    tables = {
        CONFUSION: csv_text(
            ["actual", "predicted"], zip(actual, evaluation.names(first).to_pylist(), strict=True)
        ),
        RELIABILITY: csv_text(list(bins[0]), (list(row.values()) for row in bins)),
    }
    if curve is not None:
        tables[CURVE] = curve
    read = {name: columns(text, name) for name, text in tables.items()}
    pictures = {
        "confusion.png": confusion_picture(read[CONFUSION], evaluation.categories, LIGHT),
        "reliability.png": charts.reliability([calibration(model, read[RELIABILITY])], LIGHT),
    }
    if curve is not None:
        pictures["curve.png"] = charts.curves([learning_curve(model, read[CURVE])], LIGHT)
    return {**tables, **pictures}


def confusion_picture(table: Columns, categories: tuple[str, ...], theme: Theme) -> bytes:
    """The confusion matrix of a table with columns actual and predicted, one row per item."""
    place = {name: index for index, name in enumerate(categories)}
    counts = np.zeros((len(categories), len(categories)), dtype=np.int64)
    actual = [place[name] for name in table["actual"]]
    predicted = [place[name] for name in table["predicted"]]
    np.add.at(counts, (actual, predicted), 1)
    return charts.confusion(counts, categories, theme)


def calibration(model: str, table: Columns) -> charts.Calibration:
    """The reliability diagram's points from the table that `plots` makes."""
    number = {name: [float(cell) for cell in cells] for name, cells in table.items()}
    return charts.Calibration(
        name=MODELS[model].label,
        confidence=number["confidence"],
        accuracy=number["accuracy"],
        low=number["accuracy_low"],
        high=number["accuracy_high"],
        n=[int(cell) for cell in table["n"]],
        colour=MODELS[model].colour,
    )


def learning_curve(model: str, table: Columns) -> charts.Curve:
    """A learning curve from its table, one row per epoch."""
    values = {name: [float(cell) for cell in cells] for name, cells in table.items()}
    return charts.Curve(MODELS[model].label, values, MODELS[model].colour)
