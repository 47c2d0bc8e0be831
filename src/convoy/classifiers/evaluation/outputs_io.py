"""Outputs of the evaluation of a model: its figures, predictions, tables and pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from convoy.classifiers.evaluation.evaluate import HEADLINES
from convoy.classifiers.evaluation.io import PREDICTIONS, Predictions, read_predictions, write_predictions
from convoy.core.figures_io import FigureFiles
from convoy.core.plots_io import Columns, read_plots, write_plots

HEADLINE = (
    "bayes.*", "share_of_bayes.*",
    *(f"test.{name}{end}" for name in HEADLINES for end in ("", "_low", "_high")),
)  # fmt: skip
"""The headline figures of a classifier, as in `FigureFiles`."""
PLOTS = "plots"
"""Name in a model's folder of `FigureFiles`."""


def write_evaluation(
    files: FigureFiles,
    model: str,
    figures: Mapping[str, Any],
    predictions: Predictions,
    plots: Mapping[str, str | bytes],
) -> None:
    """Write what the evaluation of a model gave; `plots`: tables and pictures by file name."""
    folder = files.folder_of(model)
    write_predictions(folder / PREDICTIONS, predictions)
    write_plots(folder / PLOTS, plots)
    files.write(model, figures)


@dataclass(frozen=True)
class Evaluations:
    """The evaluations of several models, each by the model's name."""

    figures: Mapping[str, dict[str, Any]]
    predictions: Mapping[str, Predictions]
    tables: Mapping[str, dict[str, Columns]]


def read_evaluations(files: FigureFiles, models: Iterable[str]) -> Evaluations:
    """What `write_evaluation` wrote of the models, but the pictures; ConvoyError where some is missing."""
    folders = {model: files.folder_of(model) for model in models}
    return Evaluations(
        {model: files.read(model) for model in folders},
        {model: read_predictions(folder / PREDICTIONS) for model, folder in folders.items()},
        {model: read_plots(folder / PLOTS) for model, folder in folders.items()},
    )
