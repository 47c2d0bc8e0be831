"""Where the evaluation of each model of site-years is."""

from pathlib import Path

from convoy.classifiers.evaluation.outputs_io import HEADLINE
from convoy.climate.series.models.specs import MODELS
from convoy.core.figures_io import FigureFiles

FILES = FigureFiles(
    "data/climate/metrics/series/{model}.json", Path("data/climate/series/evaluation"), MODELS, HEADLINE
)
