"""The loops of `lookup` in NumPy: the same sums in the same order, several times slower.

Each function fills the rows `low` to `high` of its last array argument.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def maxima(
    table: Array, shift: Array, kernel: int, tokens: Array, offsets: Array, _longest: int, low: int,
    high: int, vectors: Array, column: int,
) -> None:  # fmt: skip
    """Largest window of each text per filter of one kernel size, shifted and rectified; no token: zeros.

    table: (V * taps * filters,), zero for token 0.
    """
    filters, taps, padding = len(shift), max(kernel, 3), kernel // 2
    table_VTF = table.reshape(-1, taps, filters)
    length_N = np.diff(offsets[low : high + 1])
    windows = int(length_N.max(initial=0)) + 2 * padding - kernel + 1
    place_NL = np.arange(windows + taps - 1) - padding
    inside_NL = (place_NL >= 0) & (place_NL < length_N[:, None])
    at_NL = np.where(inside_NL, offsets[low:high, None] + place_NL, 0)
    token_NL = np.where(inside_NL, tokens[at_NL] if len(tokens) else 0, 0)
    window_NJF = table_VTF[token_NL[:, :windows], 0]
    for tap in range(1, taps):
        window_NJF += table_VTF[token_NL[:, tap : tap + windows], tap]
    own_NJ = np.arange(windows) < (length_N + 2 * padding - kernel + 1)[:, None]
    largest_NF = np.where(own_NJ[:, :, None], window_NJF, -np.inf).max(1, initial=-np.inf)
    largest_NF[length_N == 0] = -np.inf
    vectors[low:high, column : column + filters] = np.maximum(largest_NF + shift, 0)


def means(embedding: Array, tokens: Array, offsets: Array, low: int, high: int, vectors: Array) -> None:
    """Mean of the embeddings of each text's tokens, summed in float64; no token: zeros."""
    for text in range(low, high):
        rows = embedding[tokens[offsets[text] : offsets[text + 1]]]
        vectors[text] = rows.sum(0, dtype=np.float64) / max(len(rows), 1)


def project(embedding: Array, weights: Array, low: int, high: int, table: Array) -> None:
    """The product of embeddings and weights, in float64."""
    table[low:high] = embedding[low:high].astype(np.float64) @ weights
