"""Compiled loops of `token_convolution`: over texts or over distinct tokens, each with its own sums.

Tables, windows and their gradients are float32, or bfloat16 stored as the uint16 of its bits, which halves
the memory traffic. Sums and maxima are float32 either way.
"""
# ruff: noqa: ARG001, ARG005
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import njit, types
from numba.extending import overload


def widened(number):
    """A table's number (float32, or the bits of a bfloat16) as float32."""
    raise NotImplementedError("for compiled code alone")


@overload(widened)
def _widened(number):
    if isinstance(number, types.Integer):
        return lambda number: np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)
    return lambda number: number


def rounded(value, like):
    """A float32 in the type of the table that `like` is taken from, rounded to nearest even."""
    raise NotImplementedError("for compiled code alone")


@overload(rounded)
def _rounded(value, like):
    if not isinstance(like, types.Integer):
        return lambda value, like: value

    def to_bfloat16(value, like):
        bits = np.float32(value).view(np.uint32)
        half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        return np.uint16((bits + half) >> np.uint32(16))

    return to_bfloat16


@njit(cache=True, nogil=True)
def index(
    tokens_NL: np.ndarray, lengths: np.ndarray, starts: np.ndarray, vocab_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distinct tokens, each window row's local id (-1: spare), and the rows sorted by token."""
    local = np.full(vocab_size, -1, dtype=np.int64)
    counts = np.zeros(vocab_size, dtype=np.int64)
    for i in range(len(lengths)):
        for j in range(lengths[i]):
            counts[tokens_NL[i, j]] += 1
    size = np.count_nonzero(counts)
    distinct = np.empty(size, dtype=np.int64)
    first = np.zeros(size + 1, dtype=np.int64)
    u = 0
    for token in range(vocab_size):
        if counts[token] > 0:
            distinct[u] = token
            local[token] = u
            first[u + 1] = first[u] + counts[token]
            u += 1
    ids = np.full(starts[-1], -1, dtype=np.int32)
    # occurrence: row, tokens before it in its text, tokens after it.
    occurrences = np.empty((first[-1], 3), dtype=np.int32)
    filled = first[:-1].copy()
    for i in range(len(lengths)):
        for j in range(lengths[i]):
            u = local[tokens_NL[i, j]]
            ids[starts[i] + j] = u
            occurrences[filled[u], 0] = starts[i] + j
            occurrences[filled[u], 1] = j
            occurrences[filled[u], 2] = lengths[i] - 1 - j
            filled[u] += 1
    return distinct, ids, occurrences, first


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, boundscheck=False)
def maxima(
    table: np.ndarray, ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, kernels: np.ndarray,
    low: int, high: int, best: np.ndarray, place: np.ndarray, sums: np.ndarray, squares: np.ndarray,
    windows: np.ndarray,
) -> None:  # fmt: skip
    """See `token_convolution.Texts.maxima`, for texts `low` to `high`; no row of `windows`: none is kept."""
    filters = best.shape[1] // len(kernels)
    outside = table.shape[0] - 1
    keep = windows.shape[0] > 0
    window = np.empty(filters, dtype=np.float32)
    for i in range(low, high):
        n = lengths[i]
        sums[i] = 0
        squares[i] = 0
        best[i] = -np.inf if n > 0 else 0
        place[i] = 0
        column = 0
        for size in range(len(kernels)):
            k = kernels[size]
            padding = k // 2
            total, square = sums[i, size * filters :], squares[i, size * filters :]
            top, where = best[i, size * filters :], place[i, size * filters :]
            for j in range(n + 2 * padding - k + 1 if n > 0 else 0):
                window[:] = 0
                for t in range(k):
                    at = j - padding + t
                    row = table[ids[starts[i] + at] if 0 <= at < n else outside, column + t * filters :]
                    for f in range(filters):
                        window[f] += widened(row[f])
                for f in range(filters):
                    value = window[f]
                    total[f] += value
                    square[f] += value * value
                    higher = value > top[f]
                    where[f] = j if higher else where[f]
                    top[f] = value if higher else top[f]
                if keep:
                    kept = windows[starts[i] + j, size * filters :]
                    for f in range(filters):
                        kept[f] = rounded(window[f], kept[f])
            column += k * filters


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, boundscheck=False)
def window_gradients(
    windows: np.ndarray, starts: np.ndarray, lengths: np.ndarray, kernels: np.ndarray, place: np.ndarray,
    grad: np.ndarray, constant: np.ndarray, slope: np.ndarray, low: int, high: int,
) -> None:  # fmt: skip
    """Turn the windows of texts `low` to `high` into their gradients, in place."""
    filters = grad.shape[1] // len(kernels)
    for i in range(low, high):
        if lengths[i] == 0:
            continue
        for size in range(len(kernels)):
            k = kernels[size]
            # Slices, so that indices start at 0: other loops are not vectorised.
            constants, slopes = constant[size * filters :], slope[size * filters :]
            for j in range(lengths[i] + 2 * (k // 2) - k + 1):
                row = windows[starts[i] + j, size * filters :]
                for f in range(filters):
                    row[f] = rounded(constants[f] + slopes[f] * widened(row[f]), row[f])
        for d in range(grad.shape[1]):
            row = windows[starts[i] + place[i, d]]
            row[d] = rounded(widened(row[d]) + grad[i, d], row[d])


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, boundscheck=False)
def table_gradients(
    windows: np.ndarray, occurrences: np.ndarray, first: np.ndarray, kernels: np.ndarray, low: int, high: int,
    gradient: np.ndarray,
) -> None:  # fmt: skip
    """Each distinct token's row of the table's gradient, for tokens `low` to `high`."""
    filters = windows.shape[1] // len(kernels)
    total = np.empty(gradient.shape[1], dtype=np.float32)
    for u in range(low, high):
        total[:] = 0
        for o in range(first[u], first[u + 1]):
            row, before, behind = occurrences[o, 0], occurrences[o, 1], occurrences[o, 2]
            column = 0
            for size in range(len(kernels)):
                k = kernels[size]
                for t in range(k):
                    # Tap t of window j reads the token at j - padding + t.
                    shift = k // 2 - t
                    if -before <= shift <= behind + 2 * (k // 2) - k + 1:
                        source = windows[row + shift, size * filters :]
                        target = total[column + t * filters :]
                        for f in range(filters):
                            target[f] += widened(source[f])
                column += k * filters
        out = gradient[u]
        for d in range(len(total)):
            out[d] = rounded(total[d], out[d])
