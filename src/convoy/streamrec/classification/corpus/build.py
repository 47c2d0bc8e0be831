"""From catalogue to corpus: the split by text hash, the tokenizer of the training split, token ids."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.streamrec.classification.corpus import tokens
from convoy.streamrec.classification.corpus.data import SPLITS, TEST, TRAIN, VALIDATION, Corpus
from convoy.streamrec.classification.corpus.tokens import encode

__all__ = ["CorpusParams", "build_corpus", "encode", "fit_tokenizer", "split", "summary"]

_HASH_BITS = 32
_TRAIN_BELOW, _VALIDATION_BELOW = 0.8 * 2**_HASH_BITS, 0.9 * 2**_HASH_BITS
# With fewer distinct texts an empty tenth is not rare: 0.9 ** 50 = 0.005.
_ENOUGH_TEXTS = 50
_SMALLEST_BPE = 300  # 2 special tokens, 256 bytes, and some merges
_SHOWN = 5


class CorpusParams(Section):
    """Params of the tokenizer and its vocabulary."""

    tokenizer: tokens.Kind = Field(
        default="word", description="word: lower-cased words; bpe: pieces of words, for any script."
    )
    vocab_size: int = Field(
        default=30_000, ge=3, le=1_000_000, description="Most ids, including padding and unknown."
    )
    min_count: int = Field(
        default=2,
        ge=1,
        le=1_000_000,
        description="Fewest occurrences in the training split for an id.",
    )
    max_tokens: int = Field(default=256, ge=1, le=10_000, description="Longer texts are cut.")

    @model_validator(mode="after")
    def _room_for_bytes(self) -> "CorpusParams":
        if self.tokenizer == "bpe" and self.vocab_size < _SMALLEST_BPE:
            raise ValueError(
                f"tokenizer bpe spells any text in bytes and needs vocab_size of {_SMALLEST_BPE} or more; "
                f"found {self.vocab_size}"
            )
        return self


def fit_tokenizer(texts: tokens.Texts | Iterable[str], params: CorpusParams) -> str:
    """Tokenizer JSON fitted on `texts`, which are those of the training split."""
    return tokens.fit(texts, params.tokenizer, params.vocab_size, params.min_count)


def split(text_sha256: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Split of each text by the leading 32 bits of its hash: 80% train (0), 10% validation (1), 10% test (2).

    Equal texts are in the same split, and a text's split does not depend on other texts.
    """
    bits = np.array([int(digest[: _HASH_BITS // 4], 16) for digest in text_sha256], np.int64)
    return np.searchsorted([_TRAIN_BELOW, _VALIDATION_BELOW], bits, side="right").astype(np.uint8)


def build_corpus(table: pa.Table, facts: Mapping[str, Any], params: CorpusParams) -> Corpus:
    """Corpus of a catalogue (item_id, title, synopsis, category, text_sha256) and its `facts`.

    Items without a category are left out.

    Raises ConvoyError, with the number of items that are needed, where a split is empty or a category has no
    training item.
    """
    table = table.filter(pc.not_equal(table["category"], ""))
    texts = _texts(table)
    side = split(table["text_sha256"].to_pylist())
    tokenizer_json = fit_tokenizer(texts.filter(pa.array(side == TRAIN)), params)
    ids, offsets = encode(tokenizer_json, texts, params.max_tokens)
    categories = sorted(table["category"].unique().to_pylist())
    corpus = Corpus(
        item_ids=table["item_id"].combine_chunks(),
        tokens=ids,
        offsets=offsets,
        labels=np.array(pc.index_in(table["category"], pa.array(categories)), np.int64),
        split=side,
        text_sha256=table["text_sha256"].combine_chunks(),
        categories=tuple(categories),
        tokenizer_json=tokenizer_json,
        vocab_size=tokens.vocabulary_size(tokenizer_json),
        text={"max_characters": facts["max_characters"], "max_tokens": params.max_tokens},
    )
    _refuse_empty_split(corpus)
    _refuse_unlearnable_category(corpus)
    return corpus


def summary(corpus: Corpus) -> str:
    """One line for the log: items by split, tokens, vocabulary, texts cut and texts without a token."""
    sizes = ", ".join(f"{len(corpus.items(number))} {name}" for number, name in enumerate(SPLITS))
    unknown = float(np.mean(corpus.tokens == tokens.UNKNOWN))
    limit = corpus.text["max_tokens"]
    return (
        f"corpus: {sizes}; {len(corpus.tokens)} tokens, {unknown:.1%} unknown; vocabulary of "
        f"{corpus.vocab_size}; {np.count_nonzero(corpus.lengths >= limit)} texts reach {limit} tokens; "
        f"{np.count_nonzero(corpus.lengths == 0)} without a token are in no split"
    )


def _texts(table: pa.Table) -> pa.Array:
    """Each item's text as by `convoy.streamrec.catalogue.cleaning.text_of`, without Python strings."""
    # 64-bit offsets, since all texts together may exceed 2 GiB.
    columns = [table[name].cast(pa.large_string()).combine_chunks() for name in ("title", "synopsis")]
    joined = pc.binary_join_element_wise(*columns, pa.scalar(" ", pa.large_string()))
    return pc.utf8_trim_whitespace(joined)  # Arrow's white space is also Python's


def _refuse_empty_split(corpus: Corpus) -> None:
    for number in (TRAIN, VALIDATION, TEST):
        if len(corpus.items(number)) == 0:
            found = pc.count_distinct(corpus.text_sha256).as_py()
            raise ConvoyError(
                f"catalogue: no item falls into the {SPLITS[number]} split; found {found} distinct texts, "
                f"expected {_ENOUGH_TEXTS} or more; add items"
            )


def _refuse_unlearnable_category(corpus: Corpus) -> None:
    classes = len(corpus.categories)
    sizes = np.bincount(corpus.labels, minlength=classes)
    in_training = np.bincount(corpus.labels[corpus.items(TRAIN)], minlength=classes)
    bare = np.flatnonzero(in_training == 0)
    if len(bare):
        names = ", ".join(f"'{corpus.categories[label]}' ({sizes[label]})" for label in bare[:_SHOWN])
        more = f" and {len(bare) - _SHOWN} more" if len(bare) > _SHOWN else ""
        raise ConvoyError(
            f"catalogue, column category: no training item in {names}{more} (items in all); set "
            f"streamrec.catalogue.min_category_size to {sizes[bare].max() + 1} or more, or add items"
        )
