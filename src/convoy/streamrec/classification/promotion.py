"""Predictions of a served model for the test items of a candidate."""

import pyarrow as pa
import pyarrow.compute as pc

from convoy.classifiers.evaluation.io import Predictions
from convoy.core.errors import ConvoyError
from convoy.tasks import ServedModel


def remeasure(catalogue: pa.Table, predictions: Predictions, model: ServedModel) -> Predictions:
    """Predictions of the model for the items of `predictions`, whose texts are in the catalogue."""
    ids = predictions.item_ids
    rows = pc.index_in(ids, catalogue["item_id"].combine_chunks())
    if rows.null_count:
        raise ConvoyError(
            f"the catalogue lacks {rows.null_count} of the candidate's test items; run `dvc repro`"
        )
    texts = catalogue.select(["title", "synopsis"]).take(rows).to_pandas()
    category = model.predict(texts)["category"]
    return Predictions(ids, predictions.category, {0: pa.array(category.tolist(), pa.string())})
