"""A StreamRec model as it is served: titles and synopses in, category, probability and embedding out."""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from convoy.core.errors import ConvoyError
from convoy.embeddings.io import STATUSES
from convoy.streamrec.classification.prediction import Predictor
from convoy.tracking.pyfunc import InputError

if TYPE_CHECKING:
    from mlflow.types import Schema

_PROBE = "A detective returns to the city and finds an old friend."


class TextModel:
    """Predicts tables; several threads may call it, one at a time computes."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = threading.Lock()

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Category (string), probability (of that category), status and embedding (float32) of each row.

        `model_input` has the string columns synopsis and, where there are titles, title; nulls are empty
        texts. A row's embedding is all zeros exactly where its status is not ok: empty_text, all_unknown (no
        word that the model knows) or no_signal (known words, to which the model gives zeros). Models without
        embeddings return no such column. Raises InputError for other columns and values that are no texts.
        """
        titles, synopses = _texts(model_input)
        with self._turn:
            try:
                found = self._predictor(titles, synopses)
            except ConvoyError as error:
                raise InputError(str(error)) from None
        columns: dict[str, Any] = {
            "category": found.category,
            "probability": found.probability,
            "status": [STATUSES[number] for number in found.status],
        }
        if found.embedding is not None:
            columns["embedding"] = list(found.embedding)
        return pd.DataFrame(columns, index=model_input.index)

    def schema(self) -> "Schema":
        """Many catalogues have no titles, none has no synopses."""
        from mlflow.types import ColSpec, Schema

        return Schema([ColSpec("string", "title", required=False), ColSpec("string", "synopsis")])

    def fault(self) -> str | None:
        """What is wrong with its answer to a text, or None."""
        answer = self.predict(pd.DataFrame({"synopsis": [_PROBE]}))
        if "embedding" not in answer:
            return "its stored model has no embeddings"
        if not np.isfinite(answer["embedding"][0]).all():
            return "its stored model gives embeddings that are not finite"
        return None


def _texts(table: Any) -> tuple[list[Any], list[Any]]:
    """The titles and synopses of a table, whatever pandas writes for nulls as None; titles may be missing."""
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            f"input: expected a table with title and synopsis, found {type(table).__name__}; "
            'send {"dataframe_records": [{"title": ..., "synopsis": ...}]}'
        )
    names = [str(name) for name in table.columns]
    if "synopsis" not in names or len(set(names)) != len(names):
        raise InputError(
            f"input: expected the columns title and synopsis, each once, found {', '.join(names) or 'none'}"
        )

    def column(name: str) -> list[Any]:
        values = table[name] if name in names else [None] * len(table)
        return [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in values]

    return column("title"), column("synopsis")
