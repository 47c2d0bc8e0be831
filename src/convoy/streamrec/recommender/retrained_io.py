"""Reads the retrainings of TextCNN, as the stage streamrec-retrain writes them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from convoy.classifiers.evaluation.io import Predictions, read_predictions
from convoy.embeddings import io as embeddings
from convoy.streamrec.recommender.params import RETRAININGS


class Retrained(NamedTuple):
    """A retraining: ids and vectors of its embeddings, and its predictions for the test items."""

    ids: npt.NDArray[np.str_]
    vectors: npt.NDArray[np.float32]
    predictions: Predictions


def read_retrained(folder: Path) -> dict[str, Retrained]:
    """The retrainings in a folder, in the order of `RETRAININGS`; none where TextCNN is not trained."""
    there = {name: folder / name for name in RETRAININGS if (folder / name).is_dir()}
    return {
        name: Retrained(*embeddings.read(one / "embeddings"), read_predictions(one / "predictions.parquet"))
        for name, one in there.items()
    }
