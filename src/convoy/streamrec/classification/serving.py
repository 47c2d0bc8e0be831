"""Loads stored models of texts to serve them. MLflow imports this module because an MLmodel names it.

Nothing else is imported before the folder was checked: see `convoy.core.mlmodel`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core import mlmodel

if TYPE_CHECKING:
    from convoy.core.artifact import StoredModel
    from convoy.streamrec.classification.text_model import TextModel

LOADER = __name__


def serve(stored: "StoredModel") -> "TextModel":
    """The model that answers tables of texts; ConvoyError for a kind of model that is none of the task's."""
    from convoy.streamrec.classification.prediction import Predictor
    from convoy.streamrec.classification.text_model import TextModel

    return TextModel(Predictor(stored))


def _load_pyfunc(path: str) -> mlmodel.Answering:
    """What MLflow calls with the model folder."""
    return mlmodel.load(Path(path), LOADER, serve)
