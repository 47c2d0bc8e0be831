"""Loads stored models of site-years to serve them. MLflow imports this module because an MLmodel names it.

Nothing else is imported before the folder has been checked: see `convoy.core.mlmodel`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from convoy.core import mlmodel

if TYPE_CHECKING:
    from convoy.climate.series.series_model import SeriesModel
    from convoy.core.artifact import StoredModel

LOADER = __name__


def serve(stored: "StoredModel") -> "SeriesModel":
    """The model that predicts tables of site-years; ConvoyError for a kind of model that the task lacks."""
    from convoy.climate.series.series_model import SeriesModel

    return SeriesModel(stored)


def _load_pyfunc(path: str) -> mlmodel.Answering:
    """The loader that MLflow calls with the model folder."""
    return mlmodel.load(Path(path), LOADER, serve)
