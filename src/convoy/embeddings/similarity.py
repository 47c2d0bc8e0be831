"""Exact nearest neighbours by cosine, in blocks of bounded memory.

No index: a search among 1,000,000 x 300 reads 1.2 GB once, whatever the number of queries.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BLOCK_ROWS = 2_048
_QUERIES = 1_024  # keys of a block take 16 MB
_STEPS = 1_000_000  # cosines are compared to six decimals: sums in another order differ in the seventh
_PLACES = 1 << 32
_NONE = np.iinfo(np.int64).min  # below the key of every neighbour


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each of Q queries the rows of its k nearest vectors, nearest first, and their cosines, (Q, k)."""

    rows: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float64]


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors (N, D) scaled to length 1; zeros stay zeros."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.square(wide).sum(1, keepdims=True))
    return np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0).astype(np.float32)


def nearest(
    vectors: npt.NDArray[np.float32],
    queries: npt.NDArray[np.float32],
    k: int,
    own: npt.NDArray[np.int64] | None = None,
) -> Nearest:
    """The k nearest of N vectors (N, D) to each query (Q, D) by cosine; fewer where there are fewer.

    Rows of zeros are no neighbours, and no query should be one. own: for each query the row that is the
    query itself and is left out. Of equal cosines (to six decimals) the lower row comes first. All values
    have to be finite. The vectors may be mapped into memory: they are
    read in blocks, once for every 1,024 queries.
    """
    most = max(0, min(k, len(vectors) - (own is not None)))
    found = [
        _nearest(
            vectors, unit(queries[at : at + _QUERIES]), most, None if own is None else own[at : at + _QUERIES]
        )
        for at in range(0, len(queries), _QUERIES)
    ]
    keys = np.concatenate([np.empty((0, most), np.int64), *found])
    keys = keys[:, (keys > _NONE).any(0)] if len(keys) else keys
    return Nearest(_PLACES - 1 - keys % _PLACES, (keys // _PLACES) / _STEPS)


def _nearest(
    vectors: npt.NDArray[np.float32],
    queries: npt.NDArray[np.float32],
    k: int,
    own: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.int64]:
    """Keys (Q, k) of the nearest, in falling order: cosine in steps, then the row from the end."""
    best = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = unit(vectors[start : start + _BLOCK_ROWS])
        keys = np.rint(queries @ block.T * np.float32(_STEPS)).astype(np.int64) * _PLACES
        keys += _PLACES - 1 - np.arange(start, start + len(block))
        keys[:, ~block.any(1)] = _NONE
        if own is not None:
            at = np.flatnonzero((own >= start) & (own < start + len(block)))
            keys[at, own[at] - start] = _NONE
        best = _largest(np.concatenate([best, _largest(keys, k)], axis=1), k)
    return np.sort(best, axis=1)[:, ::-1]


def _largest(keys: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    width = keys.shape[1]
    return np.partition(keys, width - k, axis=1)[:, width - k :] if 0 < k < width else keys[:, :k]
