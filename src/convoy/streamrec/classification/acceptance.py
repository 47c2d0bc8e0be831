"""Items embedded again with a stored model, for the acceptance checks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from convoy.core.artifact import WEIGHTS, StoredModel
from convoy.embeddings.acceptance.case import Again
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models.specs import checked


def longest_text(model: StoredModel) -> int:
    """Characters of a text that the model reads; ConvoyError where it is no sound model of texts."""
    limit: int = checked(model).config["text"]["max_characters"]
    return limit


def embedded_again(model: StoredModel, manifest: Mapping[str, Any], texts: pa.Table) -> Again:
    """Vectors of n items (item_id, title, synopsis) by the model, with the normalisation of a manifest.

    Raises ConvoyError for a model without embeddings.
    """
    params = EmbedParams(normalise=manifest.get("normalise", "none"))
    # One batch, in the order of the ids, as a version holds them.
    order = np.argsort(np.array(texts["item_id"].to_pylist(), np.str_))
    (batch,) = texts.take(pa.array(order)).combine_chunks().to_batches()
    found, *others = [
        Embedder(replace(model, seeds={seed: tensors}), params)(batch)
        for seed, tensors in model.seeds.items()
    ]
    return Again(
        weights_sha256=model.sha256[WEIGHTS],
        ids=np.array(batch["item_id"].to_pylist(), np.str_),
        vectors=found.vectors,
        status=found.status,
        of_seeds=tuple(other.vectors for other in others),
    )
