"""Reads the model whose weights a training begins with."""

from pathlib import Path
from typing import Any

from convoy.core.artifact import StoredModel, read
from convoy.streamrec.classification.models.params import RANDOM
from convoy.streamrec.classification.models.specs import checked


def begun_with(params: Any) -> StoredModel | None:
    """The model that `start.weights` of a model's params names, checked; None where they name none."""
    start = getattr(params, "start", None)
    return None if start is None or start.weights == RANDOM else checked(read(Path(start.weights)))
