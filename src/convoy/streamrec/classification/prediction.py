"""From titles and synopses to categories, probabilities and vectors, with one stored model."""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.models import model_named
from convoy.streamrec.catalogue.cleaning import clean_column, texts_and_hashes
from convoy.streamrec.classification.corpus.build import encode
from convoy.streamrec.classification.corpus.data import TEST, Corpus
from convoy.streamrec.classification.corpus.tokens import UNKNOWN, vocabulary_size
from convoy.streamrec.classification.embedding import Embedder, EmbedParams, statuses
from convoy.streamrec.classification.models import specs

_SURROGATE = re.compile("[\ud800-\udfff]")  # not valid in UTF-8, but possible in JSON
Texts: TypeAlias = pa.Array | pa.ChunkedArray | Iterable[str | None]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A model's predictions for n texts; `status` holds numbers of `embeddings.io.STATUSES`, (n,).

    A text whose status is not ok has a vector of zeros, and the category is the prediction for no words: it
    has no words (empty_text), none in the vocabulary (all_unknown), or only words for which every feature is
    zero (no_signal, only of models with embeddings).
    """

    category: list[str]
    probabilities: npt.NDArray[np.float64]
    """(n, categories), in the order of the model's categories; rows sum to 1."""
    embedding: npt.NDArray[np.float32] | None
    """(n, dimension), not normalised; None for models without embeddings."""
    status: npt.NDArray[np.uint8]

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """Probability of the predicted category, (n,)."""
        return self.probabilities.max(axis=1)


class Predictor:
    """Predicts texts, which are cleaned and tokenised as by the catalogue and corpus stages.

    Probabilities equal those of the evaluate stage, vectors those of `convoy embed`.
    """

    def __init__(self, stored: StoredModel) -> None:
        """Raise ConvoyError for an unknown kind of model, or inconsistent parts."""
        has_embedding = model_named(specs.MODELS, specs.checked(stored).config["kind"]).lookup is not None
        self._embedder = Embedder(stored, EmbedParams()) if has_embedding else None
        self._stored = stored
        self.categories: tuple[str, ...] = tuple(stored.config["categories"])
        self._text: dict[str, int] = stored.config["text"]
        self._vocab_size = vocabulary_size(stored.tokenizer_json)
        encode(stored.tokenizer_json, [], 1)  # loads and checks the tokenizer

    @property
    def dimension(self) -> int | None:
        """Dimension of the vectors; None for a model without embeddings."""
        return None if self._embedder is None else self._embedder.dimension

    def __call__(self, titles: Texts, synopses: Texts) -> Prediction:
        """Predict n items; a null is an empty text. Raises ConvoyError for other values."""
        limit = self._text["max_characters"]
        columns = (_strings("title", titles), _strings("synopsis", synopses))
        texts, _ = texts_and_hashes(*(clean_column(column, limit)[0] for column in columns))
        tokens, offsets = encode(self._stored.tokenizer_json, texts, self._text["max_tokens"])
        probabilities = self._probabilities(tokens, offsets)
        vectors, status = (
            (None, statuses(tokens, offsets))
            if self._embedder is None
            else self._embedder.embed(tokens, offsets)
        )
        return Prediction(
            category=[self.categories[place] for place in probabilities.argmax(axis=1)],
            probabilities=probabilities,
            embedding=vectors,
            status=status,
        )

    def _probabilities(
        self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """Probabilities (N, categories) of N texts given as flat token ids and N + 1 offsets."""
        count = len(offsets) - 1
        if count == 0:
            return np.empty((0, len(self.categories)))
        if len(tokens) == 0:
            # The networks need at least one token: that of an additional text, whose result is dropped.
            tokens, offsets = np.array([UNKNOWN], np.int32), np.append(offsets, 1)
        corpus = self._corpus(tokens, offsets)
        by_seed = specs.probabilities(self._leaving(), corpus, np.arange(len(offsets) - 1))
        return next(iter(by_seed.values()))[:count]

    def _leaving(self) -> StoredModel:
        """The model with only the seed whose weights are published."""
        seed, tensors = next(iter(self._stored.seeds.items()))
        return dataclasses.replace(self._stored, seeds={seed: tensors})

    def _corpus(self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> Corpus:
        """The texts as a corpus without ids and labels."""
        count = len(offsets) - 1
        return Corpus(
            item_ids=pa.nulls(count, pa.string()),
            tokens=tokens,
            offsets=offsets,
            labels=np.zeros(count, np.int64),
            split=np.full(count, TEST, np.uint8),
            text_sha256=pa.nulls(count, pa.string()),
            categories=self.categories,
            tokenizer_json=self._stored.tokenizer_json,
            vocab_size=self._vocab_size,
            text=self._text,
        )


def _strings(name: str, texts: Texts) -> pa.Array | pa.ChunkedArray:
    if isinstance(texts, (pa.Array, pa.ChunkedArray)):
        return texts
    values = list(texts)
    for row, value in enumerate(values, 1):
        if value is not None and not isinstance(value, str):
            raise ConvoyError(
                f"{name}, row {row}: expected a text or null, found {type(value).__name__} {repr(value)[:40]}"
            )
        if value is not None and _SURROGATE.search(value):
            raise ConvoyError(f"{name}, row {row}: half a character (a lone surrogate); correct or remove it")
    return pa.array(values, pa.string())
