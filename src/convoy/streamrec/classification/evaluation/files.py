"""Where the evaluation of each model of texts is."""

from pathlib import Path

from convoy.classifiers.evaluation.outputs_io import HEADLINE
from convoy.core.figures_io import FigureFiles
from convoy.streamrec.classification.models.specs import MODELS

FILES = FigureFiles(
    "data/streamrec/metrics/{model}.json", Path("data/streamrec/evaluation"), MODELS, HEADLINE
)
