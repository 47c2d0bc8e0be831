"""A corpus folder: token ids without padding, labels, the split and the tokenizer that made the ids."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import (
    atomic_directory,
    check_manifest,
    read_json,
    write_json,
    write_manifest,
    write_text,
)

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS = ("train", "validation", "test")

ITEMS, TOKENS, OFFSETS = "items.parquet", "tokens.npy", "offsets.npy"
FACTS, TOKENIZER = "corpus.json", "tokenizer.json"


@dataclass(frozen=True, eq=False)
class Corpus:
    """N items in catalogue order; the tokens of item i are `tokens[offsets[i]:offsets[i + 1]]`.

    Token ids lie in 0..vocab_size-1, where 0 is padding (never stored) and 1 the unknown token; labels
    index `categories`, which are sorted; `split` holds 0 train, 1 validation, 2 test.
    """

    item_ids: pa.Array
    tokens: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    split: npt.NDArray[np.uint8]
    text_sha256: pa.Array
    categories: tuple[str, ...]
    tokenizer_json: str
    vocab_size: int
    text: dict[str, int]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each item, (N,); zero for an empty text."""
        return np.diff(self.offsets)

    def items(self, split_id: int) -> npt.NDArray[np.int64]:
        """Indices of the items of one split that have a token, ascending.

        An item without a token has no information about its category: no model is fitted or tested on it.
        """
        return np.flatnonzero((self.split == split_id) & (self.lengths > 0))


def write(folder: Path, corpus: Corpus) -> None:
    """Write the folder as a whole, its manifest last; the same corpus gives the same bytes."""
    with atomic_directory(folder) as partial:
        table = pa.table(
            {
                "item_id": corpus.item_ids,
                "text_sha256": corpus.text_sha256,
                "label": pa.array(corpus.labels, pa.int64()),
                "split": pa.array(corpus.split, pa.uint8()),
            }
        )
        pq.write_table(table, partial / ITEMS, compression="zstd", write_page_checksum=True)
        np.save(partial / TOKENS, corpus.tokens.astype(np.int32, copy=False), allow_pickle=False)
        np.save(partial / OFFSETS, corpus.offsets.astype(np.int64, copy=False), allow_pickle=False)
        write_text(partial / TOKENIZER, corpus.tokenizer_json)
        facts = {
            "schema": 1,
            "categories": list(corpus.categories),
            "vocab_size": corpus.vocab_size,
            "text": corpus.text,
        }
        write_json(partial / FACTS, facts)
        write_manifest(partial)


def read(folder: Path) -> Corpus:
    """Read a corpus folder after checking every checksum; ConvoyError names what is missing or changed."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ConvoyError(
            "no such corpus folder", path=folder, hint="run `dvc repro streamrec-corpus` to make it"
        )
    files = check_manifest(folder)["files"]
    for name in (ITEMS, TOKENS, OFFSETS, FACTS, TOKENIZER):
        if name not in files:
            raise ConvoyError(f"no {name}, so this is not a corpus folder", path=folder)
    facts = read_json(folder / FACTS)
    table = pq.read_table(folder / ITEMS)
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    return Corpus(
        item_ids=columns["item_id"],
        tokens=np.load(folder / TOKENS, allow_pickle=False),
        offsets=np.load(folder / OFFSETS, allow_pickle=False),
        labels=np.array(columns["label"]),  # copies: torch warns about Arrow's read-only memory
        split=np.array(columns["split"]),
        text_sha256=columns["text_sha256"],
        categories=tuple(facts["categories"]),
        tokenizer_json=(folder / TOKENIZER).read_text(encoding="utf-8"),
        vocab_size=facts["vocab_size"],
        text=facts["text"],
    )
