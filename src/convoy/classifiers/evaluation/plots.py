"""Pictures of one model's evaluation: confusion, reliability, learning curve."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from convoy.classifiers.evaluation.tables import CONFUSION, CURVE, RELIABILITY
from convoy.core.models import ModelSpec
from convoy.core.plots_io import Columns, columns
from convoy.report import charts
from convoy.report.themes import LIGHT, Theme

Spec: TypeAlias = ModelSpec[Any, Any]


def pictures(model: Spec, tables: Mapping[str, str], categories: tuple[str, ...]) -> dict[str, bytes]:
    """PNG of each table of a model's evaluation, by file name."""
    read = {name: columns(text, name) for name, text in tables.items()}
    found = {
        "confusion.png": confusion_picture(read[CONFUSION], categories, LIGHT),
        "reliability.png": charts.reliability([calibration(model, read[RELIABILITY])], LIGHT),
    }
    if CURVE in read:
        found["curve.png"] = charts.curves([learning_curve(model, read[CURVE])], LIGHT)
    return found


def confusion_picture(table: Columns, categories: tuple[str, ...], theme: Theme) -> bytes:
    """The confusion matrix of a table with columns actual and predicted, one row per item."""
    place = {name: index for index, name in enumerate(categories)}
    counts = np.zeros((len(categories), len(categories)), dtype=np.int64)
    actual = [place[name] for name in table["actual"]]
    predicted = [place[name] for name in table["predicted"]]
    np.add.at(counts, (actual, predicted), 1)
    return charts.confusion(counts, categories, theme)


def calibration(model: Spec, table: Columns) -> charts.Calibration:
    """The reliability diagram's points from a table of `tables`."""
    number = {name: [float(cell) for cell in cells] for name, cells in table.items()}
    return charts.Calibration(
        name=model.label,
        confidence=number["confidence"],
        accuracy=number["accuracy"],
        low=number["accuracy_low"],
        high=number["accuracy_high"],
        n=[int(cell) for cell in table["n"]],
        colour=model.colour,
    )


def learning_curve(model: Spec, table: Columns) -> charts.Curve:
    """A learning curve from its table, one row per epoch."""
    values = {name: [float(cell) for cell in cells] for name, cells in table.items()}
    return charts.Curve(model.label, values, model.colour)
