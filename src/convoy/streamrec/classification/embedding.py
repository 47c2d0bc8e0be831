"""From catalogue rows to item vectors, with one stored model."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from convoy.core.artifact import TOKENIZER, WEIGHTS, StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.models import model_named
from convoy.core.params import Section
from convoy.embeddings.io import ALL_UNKNOWN, EMPTY_TEXT, NO_SIGNAL, OK, Embedded
from convoy.streamrec.catalogue.cleaning import clean_column, texts_and_hashes
from convoy.streamrec.classification.corpus.build import encode
from convoy.streamrec.classification.corpus.tokens import UNKNOWN
from convoy.streamrec.classification.models.specs import MODELS, checked

Normalise = Literal["none", "l2"]


_UNKNOWN_SHARE = 0.2  # with more, the model was probably trained on texts of another kind or language


class EmbedParams(Section):
    """Params of the exported vectors."""

    normalise: Normalise = Field(
        default="none", description="l2: vectors are scaled to length 1, so that a dot product is a cosine."
    )


class Embedder:
    """Embeds catalogue batches (item_id, title, synopsis) with a stored model and its tokenizer.

    An item's vector depends neither on its batch nor on the number of threads. It is finite, and all zeros
    exactly where the status is not ok: no token at all (empty_text), none in the vocabulary (all_unknown), or
    known words for which the model's vector is zero (no_signal).
    """

    def __init__(self, model: StoredModel, params: EmbedParams) -> None:
        """Raise ConvoyError for a kind of model without embeddings, or inconsistent parts."""
        kind = model.config.get("kind")
        make_lookup = model_named(MODELS, kind).lookup
        if make_lookup is None:
            able = " or ".join(name for name, row in MODELS.items() if row.lookup is not None)
            raise ConvoyError(f"a {kind} model has no embeddings", path=model.name, expected=able)
        checked(model)
        self._lookup = make_lookup(model.tensors, model.config["network"])
        self._tokenizer_json = model.tokenizer_json
        self._max_characters: int = model.config["text"]["max_characters"]
        self._max_tokens: int = model.config["text"]["max_tokens"]
        self._normalise = params.normalise
        encode(self._tokenizer_json, [], self._max_tokens)  # loads and checks the tokenizer
        self.facts = {
            "model": kind,
            "pooling": self._lookup.pooling,
            "normalise": params.normalise,
            "max_tokens": self._max_tokens,
            "weights_sha256": model.sha256[WEIGHTS],
            "tokenizer_sha256": model.sha256[TOKENIZER],
        }

    @property
    def dimension(self) -> int:
        return self._lookup.dimension

    def __call__(self, batch: pa.RecordBatch) -> Embedded:
        """Clean, tokenise and embed n items."""
        texts, text_sha256 = self._texts_and_hashes(batch)
        vectors, status = self.embed(*encode(self._tokenizer_json, texts, self._max_tokens))
        return Embedded(vectors, text_sha256, status)

    def digests(self, batch: pa.RecordBatch) -> list[str]:
        """The hex text_sha256 of n items: with equal `facts`, equal digests have equal vectors."""
        return self._texts_and_hashes(batch)[1]

    def _texts_and_hashes(self, batch: pa.RecordBatch) -> tuple[list[str], list[str]]:
        titles, synopses = (
            clean_column(batch[name], self._max_characters)[0] for name in ("title", "synopsis")
        )
        return texts_and_hashes(titles, synopses)

    def embed(
        self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Flat token ids and N + 1 offsets -> vectors (N, dimension) float32 and statuses (N,)."""
        vectors = self._lookup(tokens, offsets)
        status = statuses(tokens, offsets)
        vectors[status != OK] = 0
        if self._normalise == "l2":
            length = np.sqrt(np.square(vectors, dtype=np.float64).sum(1, keepdims=True))
            vectors = np.divide(
                vectors, length, out=np.zeros_like(vectors), where=length > 0, casting="same_kind"
            )
        # Every filter of a valid TextCNN may be at or below zero for a short text, such as one word.
        status[(status == OK) & ~vectors.any(1)] = NO_SIGNAL
        return vectors, status


def statuses(tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Status of N texts by their tokens: empty_text (none), all_unknown (only unknown ones), else ok."""
    known_before = np.concatenate([[0], np.cumsum(tokens != UNKNOWN)])
    known = known_before[offsets[1:]] - known_before[offsets[:-1]]
    empty = offsets[1:] == offsets[:-1]
    return np.select([empty, known == 0], [EMPTY_TEXT, ALL_UNKNOWN], OK).astype(np.uint8)


def warning(manifest: Mapping[str, Any]) -> str | None:
    """A warning where more than a fifth of the items have no word in the vocabulary, else None."""
    items, unknown = manifest["items"], manifest["status"]["all_unknown"]
    if unknown <= _UNKNOWN_SHARE * items:
        return None
    return (
        f"warning: {unknown / items:.0%} of the items ({unknown:,} of {items:,}) are all_unknown: none of "
        "their words are in the model's vocabulary, and their vectors are zeros; use a model trained on such "
        "texts"
    )


def summary(manifest: Mapping[str, Any]) -> str:
    """One line for the log: items, model, and the number of items by status."""
    counts = ", ".join(f"{count:,} {status}" for status, count in manifest["status"].items())
    return (
        f"embeddings: {manifest['items']:,} items by {manifest['model']} ({counts}); "
        f"{manifest['dimension']} dimensions, normalise {manifest['normalise']}"
    )
