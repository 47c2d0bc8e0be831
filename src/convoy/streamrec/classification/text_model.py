"""A served StreamRec model: from titles and synopses to category, probability and embedding."""

from typing import Any

import numpy as np
import pandas as pd

from convoy.core.errors import ConvoyError
from convoy.embeddings.io import STATUSES
from convoy.streamrec.classification.prediction import Predictor
from convoy.tasks import Column

_PROBE = "A detective returns to the city and finds an old friend."


class TextModel:
    """Predicts tables of texts."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def columns(self) -> tuple[Column, ...]:
        """The columns of the input: title (optional) and synopsis."""
        return (Column("title", "text", required=False), Column("synopsis", "text"))

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Category (string), probability (of that category), status and embedding (float32) of each row.

        `model_input` has the string columns synopsis and, where there are titles, title; nulls are empty
        texts. A row's embedding is all zeros exactly where its status is not ok: empty_text, all_unknown (no
        word in the vocabulary) or no_signal (known words whose vector is zero). Models without embeddings
        return no such column. Raises ConvoyError for other columns and values that are not texts.
        """
        titles, synopses = _texts(model_input)
        found = self._predictor(titles, synopses)
        columns: dict[str, Any] = {
            "category": found.category,
            "probability": found.probability,
            "status": [STATUSES[number] for number in found.status],
        }
        if found.embedding is not None:
            columns["embedding"] = list(found.embedding)
        return pd.DataFrame(columns, index=model_input.index)

    def fault(self) -> str | None:
        """Description of a fault in its prediction for a text, or None."""
        answer = self.predict(pd.DataFrame({"synopsis": [_PROBE]}))
        if "embedding" not in answer:
            return "its stored model has no embeddings"
        if not np.isfinite(answer["embedding"][0]).all():
            return "the embeddings of its stored model are not finite"
        return None


def _texts(table: Any) -> tuple[list[Any], list[Any]]:
    """The titles and synopses of a table, with None for nulls of any kind; titles may be missing."""
    if not isinstance(table, pd.DataFrame):
        raise ConvoyError(
            f"input: expected a table with title and synopsis, found {type(table).__name__}; "
            'send {"dataframe_records": [{"title": ..., "synopsis": ...}]}'
        )
    names = [str(name) for name in table.columns]
    if "synopsis" not in names or len(set(names)) != len(names):
        raise ConvoyError(
            f"input: expected the columns title and synopsis, each once, found {', '.join(names) or 'none'}"
        )

    def column(name: str) -> list[Any]:
        values = table[name] if name in names else [None] * len(table)
        return [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in values]

    return column("title"), column("synopsis")
