"""Loads stored models of texts to serve them. MLflow imports this module because an MLmodel names it.

Nothing else is imported before the folder has been checked: see `convoy.core.mlmodel`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core import mlmodel

if TYPE_CHECKING:
    from convoy.core.artifact import StoredModel
    from convoy.streamrec.classification.text_model import TextModel

LOADER = __name__


def serve(stored: "StoredModel") -> "TextModel":
    """The model that predicts tables of texts; ConvoyError for a kind of model that the task lacks."""
    from convoy.streamrec.classification.prediction import Predictor
    from convoy.streamrec.classification.text_model import TextModel

    return TextModel(Predictor(stored))


def _load_pyfunc(path: str) -> mlmodel.Answering:
    """The loader that MLflow calls with the model folder."""
    return mlmodel.load(Path(path), LOADER, serve)
