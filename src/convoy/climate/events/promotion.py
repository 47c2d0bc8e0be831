"""Predictions of a served model for the test images of a candidate."""

import pyarrow as pa
import pyarrow.compute as pc

from convoy.classifiers.evaluation.io import Predictions
from convoy.climate.events.data.io import Images
from convoy.climate.events.tables import table_of
from convoy.core.errors import ConvoyError
from convoy.tasks import ServedModel


def remeasure(images: Images, predictions: Predictions, model: ServedModel) -> Predictions:
    """Predictions of the model for the images of `predictions`."""
    rows = pc.index_in(predictions.item_ids, images.ids)
    if rows.null_count:
        raise ConvoyError(
            f"the images lack {rows.null_count} of the candidate's test images; run `dvc repro`"
        )
    named = model.predict(table_of(images, rows.to_numpy()))["class"]
    return Predictions(predictions.item_ids, predictions.category, {0: pa.array(named.tolist(), pa.string())})
