"""Loads stored models of images to serve them. MLflow imports this module because an MLmodel names it.

Nothing else is imported before the folder has been checked: see `convoy.core.mlmodel`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core import mlmodel

if TYPE_CHECKING:
    from convoy.climate.events.images_model import ImagesModel
    from convoy.core.artifact import StoredModel

LOADER = __name__


def serve(stored: "StoredModel") -> "ImagesModel":
    """The model that predicts tables of images; ConvoyError for a kind of model that the task lacks."""
    from convoy.climate.events.images_model import ImagesModel
    from convoy.climate.events.judging import Judge

    return ImagesModel(Judge(stored))


def _load_pyfunc(path: str) -> mlmodel.Answering:
    """The loader that MLflow calls with the model folder."""
    return mlmodel.load(Path(path), LOADER, serve)
