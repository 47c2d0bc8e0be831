"""Which items of a batch are embedded: all, or those whose text is another one than in a former version."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from convoy.embeddings.io import Embedded
from convoy.embeddings.row_groups import SHA256_BYTES, numbers, state_rows
from convoy.embeddings.rows import RowFile

Embed = Callable[[pa.RecordBatch], Embedded]
Digests = Callable[[pa.RecordBatch], list[str]]


@dataclass(frozen=True)
class Changes:
    """Numbers of items compared with a former version: `kept` have their bytes from there."""

    new: int
    changed: int
    kept: int
    removed: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Items of a batch: `places` of those that were embedded, and the statuses of those that were kept."""

    places: npt.NDArray[np.int64]
    embedded: Embedded | None
    kept: npt.NDArray[np.uint8]


Work = Callable[[pa.RecordBatch, npt.NDArray[np.int64]], Rows]


def embed_all(embed: Embed) -> Work:
    """Work on a batch: all of its items are embedded."""
    return lambda batch, places: Rows(places, embed(batch), np.empty(0, np.uint8))


def embed_changed(embed: Embed, digests: Digests, states: RowFile) -> Work:
    """Work on a batch: items whose digest is the one that stands in `states` are kept."""

    def work(batch: pa.RecordBatch, places: npt.NDArray[np.int64]) -> Rows:
        before = states.gather(places)
        now = state_rows(digests(batch), before[:, SHA256_BYTES])
        same = (now == before).all(1)
        if same.all():
            return Rows(places[:0], None, before[:, SHA256_BYTES])
        changed = batch.take(numbers(np.flatnonzero(~same), pa.int64()))
        return Rows(places[~same], embed(changed), before[same, SHA256_BYTES])

    return work
