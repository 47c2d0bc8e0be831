"""What the acceptance checks of item embeddings are given, read from disk."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from convoy.acceptance.case import Again, Case, Version, sampled_ids
from convoy.acceptance.io import read_clicks, sound
from convoy.core.artifact import WEIGHTS, StoredModel
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.listing_io import listing


def gathered(
    version: Version, catalogue: Items | None = None, model: StoredModel | None = None,
    accepted: Path | None = None, bag_of_words: Path | None = None, metrics: Path | None = None,
) -> Case:  # fmt: skip
    """A version with its catalogue, the sample that a model embedded again, and what to compare with.

    A model needs the catalogue, which holds the texts. Raises ConvoyError for what cannot be read; faults of
    the version itself are for the checks.
    """
    found, again = None, None
    if catalogue is not None:
        digests = None if model is None else Embedder(model, EmbedParams()).digests
        found, texts = listing(catalogue, sampled_ids(version), digests)
        again = None if model is None else embedded_again(model, version.manifest, texts)
    return Case(
        version,
        found,
        accepted=None if accepted is None else sound(accepted),
        bag_of_words=None if bag_of_words is None else sound(bag_of_words),
        again=again,
        clicks=None if metrics is None else read_clicks(metrics),
    )


def embedded_again(model: StoredModel, manifest: Mapping[str, Any], texts: pa.Table) -> Again:
    """Vectors of n items (item_id, title, synopsis) by the model, with the normalisation of a manifest.

    Raises ConvoyError for a model without embeddings.
    """
    params = EmbedParams(normalise="l2" if manifest.get("normalise") == "l2" else "none")
    # One batch, in the order of the ids, as a version holds them.
    order = np.argsort(np.array(texts["item_id"].to_pylist(), np.str_))
    batch = pa.RecordBatch.from_pydict(
        {name: texts[name].take(order).combine_chunks() for name in texts.column_names}
    )
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
