"""Embeddings of texts by table look-up, equal to those of TextCNN and BagOfWordsModel, without torch.

An embedding layer followed by a convolution is linear in each token, so its products can be made once per
word of the vocabulary: tap t of a kernel has the table E @ W_t, a window is the sum of one row per tap, and
padding is a row of zeros. The scale of batch norm in evaluation is folded into the tables, and the rest into
one shift per filter, which is added after the maximum.

A vector is computed from sums in a fixed order (tables in float64, windows in float32) and from maxima, so
its bytes depend neither on the rest of the batch nor on the number of threads.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from convoy.core.errors import ConvoyError
from convoy.nn.kernels import lookup_plain
from convoy.nn.kernels.switch import enabled

NORM_EPS = 1e-5  # of nn.BatchNorm1d
# Tables are far larger than the caches. Prefetching the rows of the tenth next token doubles the speed.
_TOKENS_AHEAD = 10
_LINE = 16  # float32 in a cache line
_TEXTS = 512  # per task of a thread
_THREADS: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # the cores we may use

Float32 = npt.NDArray[np.float32]
Tensors = Mapping[str, npt.NDArray[Any]]


class Lookup(Protocol):
    """Maps N texts, given as flat token ids and N + 1 offsets without padding, to (N, dimension) float32."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def dimension(self) -> int: ...

    @property
    def pooling(self) -> str: ...

    def __call__(self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> Float32: ...


@dataclass(frozen=True, eq=False)
class TextCNNLookup:
    """TextCNN.get_embedding in evaluation: a table (V, taps * filters) per kernel size, and shifts (D,)."""

    kernel_sizes: tuple[int, ...]
    tables: tuple[Float32, ...]
    shifts: Float32

    pooling = "max"

    @property
    def vocab_size(self) -> int:
        return self.tables[0].shape[0]

    @property
    def dimension(self) -> int:
        return len(self.shifts)

    def __call__(self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> Float32:
        """(T,) int32, (N + 1,) int64 -> (N, dimension) float32, nowhere negative; no token gives zeros."""
        _check(tokens, offsets, self.vocab_size)
        filters = self.dimension // len(self.kernel_sizes)
        maxima = _maxima(filters) if enabled("lookup") else lookup_plain.maxima
        longest = int(np.diff(offsets).max(initial=0))
        vectors = np.empty((len(offsets) - 1, self.dimension), np.float32)

        def work(low: int, high: int) -> None:
            for size, (kernel, table) in enumerate(zip(self.kernel_sizes, self.tables, strict=True)):
                first = size * filters
                shift = self.shifts[first : first + filters]
                maxima(table.reshape(-1), shift, kernel, tokens, offsets, longest, low, high, vectors, first)

        _in_threads(work, len(vectors))
        return vectors


@dataclass(frozen=True, eq=False)
class BagOfWordsLookup:
    """BagOfWordsModel.get_embedding: the mean of the rows of `embedding` (V, dimension)."""

    embedding: Float32

    pooling = "mean"

    @property
    def vocab_size(self) -> int:
        return self.embedding.shape[0]

    @property
    def dimension(self) -> int:
        return self.embedding.shape[1]

    def __call__(self, tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> Float32:
        """(T,) int32, (N + 1,) int64 -> (N, dimension) float32; no token gives zeros."""
        _check(tokens, offsets, self.vocab_size)
        vectors = np.empty((len(offsets) - 1, self.dimension), np.float32)
        means = _means if enabled("lookup") else lookup_plain.means
        _in_threads(
            lambda low, high: means(self.embedding, tokens, offsets, low, high, vectors), len(vectors)
        )
        return vectors


def textcnn(tensors: Tensors, kernel_sizes: Sequence[int]) -> TextCNNLookup:
    """Fold the tensors of a TextCNN, by `state_dict` name, into tables.

    Raises ConvoyError where a tensor is missing or not finite.
    """
    embedding_VE = _finite(tensors, "embedding.weight", np.float32)
    _check_sizes(tensors, embedding_VE, kernel_sizes)
    tables, shifts = [], []
    for size in range(len(kernel_sizes)):
        weight_FEk = _finite(tensors, f"branches.{size}.convolution.weight")
        bias = _finite(tensors, f"branches.{size}.convolution.bias")
        gamma, beta, mean, variance = (
            _finite(tensors, f"branches.{size}.norm.{name}")
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + NORM_EPS)
        tables.append(_table(embedding_VE, weight_FEk * scale[:, None, None]))
        shifts.append(scale * (bias - mean) + beta)
    return TextCNNLookup(tuple(kernel_sizes), tuple(tables), np.concatenate(shifts).astype(np.float32))


def bow(tensors: Tensors) -> BagOfWordsLookup:
    """Take the embedding out of the tensors of a BagOfWordsModel; ConvoyError where it is not finite."""
    return BagOfWordsLookup(_finite(tensors, "embedding.weight", np.float32))


def _check_sizes(tensors: Tensors, embedding_VE: Float32, kernel_sizes: Sequence[int]) -> None:
    """Raise ValueError for weights whose sizes differ from those that the compiled loops are called with."""
    if embedding_VE.ndim != 2 or not kernel_sizes or min(kernel_sizes) < 1:
        raise ValueError(f"kernel sizes {list(kernel_sizes)}, embeddings {embedding_VE.shape}")
    filters = len(tensors["branches.0.norm.weight"]) if "branches.0.norm.weight" in tensors else 0
    for place, kernel in enumerate(kernel_sizes):
        of_branch: dict[str, tuple[int, ...]] = {
            "convolution.weight": (filters, embedding_VE.shape[1], kernel)
        }
        for name in ("convolution.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
            of_branch[name] = (filters,)
        for name, shape in of_branch.items():
            tensor = tensors.get(f"branches.{place}.{name}")
            if tensor is not None and tensor.shape != shape:
                raise ValueError(f"branches.{place}.{name}: shape {tensor.shape}; expected {shape}")


def _table(embedding_VE: Float32, weight_FEk: npt.NDArray[np.float64]) -> Float32:
    """E @ W_t for all taps side by side, (V, taps * F); at least three taps, which `_maxima` counts on."""
    filters, dimension, kernel = weight_FEk.shape
    weights = np.zeros((dimension, max(kernel, 3), filters))
    weights[:, :kernel] = weight_FEk.transpose(1, 2, 0)
    weights_EK = weights.reshape(dimension, -1)
    table = np.empty((len(embedding_VE), weights_EK.shape[1]), np.float32)
    # Not left to BLAS, whose sums may depend on the number of its threads.
    project = _project if enabled("lookup") else lookup_plain.project
    _in_threads(lambda low, high: project(embedding_VE, weights_EK, low, high, table), len(table))
    table[0] = 0  # padding
    return table


def _finite(tensors: Tensors, name: str, dtype: type = np.float64) -> npt.NDArray[Any]:
    if name not in tensors:
        raise ConvoyError(f"weights: no tensor '{name}', so not those of the network in config.json")
    if not np.isfinite(tensors[name]).all():
        raise ConvoyError(f"weights: tensor '{name}' has values that are not finite; train the model again")
    return np.ascontiguousarray(tensors[name], dtype)


def _check(tokens: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], vocab_size: int) -> None:
    # The compiled loops do not check bounds.
    for name, array, dtype in (("tokens", tokens, np.int32), ("offsets", offsets, np.int64)):
        if array.dtype != dtype or array.ndim != 1 or not array.flags.c_contiguous:
            raise ValueError(f"{name}: expected one contiguous row of {np.dtype(dtype)}, found {array.dtype}")
    if len(offsets) == 0:
        raise ValueError("offsets: expected at least one")
    if len(tokens) and (tokens.min() < 0 or tokens.max() >= vocab_size):
        raise ValueError(f"token ids from {tokens.min()} to {tokens.max()}; expected 0 to {vocab_size - 1}")
    if offsets[0] < 0 or offsets[-1] > len(tokens) or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets must ascend from 0 to at most the {len(tokens)} tokens")


def _in_threads(work: Callable[[int, int], None], count: int) -> None:
    """Run `work(low, high)` over ranges that cover `count`; the loops release the interpreter's lock."""
    ranges = [(low, min(low + _TEXTS, count)) for low in range(0, count, _TEXTS)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for future in [pool.submit(work, low, high) for low, high in ranges]:
            future.result()


@intrinsic
def _prefetch(_context, array, _index):  # type: ignore[no-untyped-def]
    """Prefetch the cache line of an index of `array`; the index may be out of bounds."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        flag = ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], hint)
        read, keep, data_cache = (ir.Constant(flag, value) for value in (0, 3, 1))
        builder.call(function, [pointer, read, keep, data_cache])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@cache
def _maxima(filters: int) -> Callable[..., None]:
    """The look-up of one kernel size, compiled for a number of filters, so that the loops are vectorised."""

    @numba.njit(cache=True, nogil=True)
    def maxima(table, shift, kernel, tokens, offsets, longest, low, high, vectors, column):  # type: ignore[no-untyped-def]
        taps, padding = max(kernel, 3), kernel // 2
        width = taps * filters
        window = np.empty(filters, np.float32)
        starts = np.zeros(longest + 2 * padding + taps, np.int64)  # of the rows of one padded text
        for text in range(low, high):
            first, length = offsets[text], offsets[text + 1] - offsets[text]
            for i in range(length):
                starts[padding + i] = np.int64(tokens[first + i]) * width
            starts[padding + length : 2 * padding + length + taps] = 0
            largest = vectors[text, column : column + filters]
            largest[:] = -np.inf
            for j in range(length + 2 * padding - kernel + 1 if length > 0 else 0):
                ahead = first + j + _TOKENS_AHEAD
                if ahead < len(tokens):
                    row = np.int64(tokens[ahead]) * width
                    for line in range(row, row + width, _LINE):
                        _prefetch(table, line)  # type: ignore[call-arg]
                start, following = starts[j], starts[j + 1] + filters
                one, two = table[start : start + filters], table[following : following + filters]
                for f in range(filters):
                    window[f] = one[f] + two[f]
                for tap in range(2, taps - 1):
                    start = starts[j + tap] + tap * filters
                    row_of_tap = table[start : start + filters]
                    for f in range(filters):
                        window[f] += row_of_tap[f]
                start = starts[j + taps - 1] + (taps - 1) * filters
                last = table[start : start + filters]
                for f in range(filters):
                    largest[f] = max(largest[f], window[f] + last[f])
            for f in range(filters):
                value = largest[f] + shift[f]
                largest[f] = value if value > 0 else np.float32(0)

    return maxima


@numba.njit(cache=True, nogil=True)
def _means(embedding, tokens, offsets, low, high, vectors):  # type: ignore[no-untyped-def]
    total = np.empty(embedding.shape[1], np.float64)
    for text in range(low, high):
        first, last = offsets[text], offsets[text + 1]
        total[:] = 0
        for i in range(first, last):
            row = embedding[tokens[i]]
            for e in range(len(total)):
                total[e] += row[e]
        for e in range(len(total)):
            vectors[text, e] = total[e] / max(last - first, 1)


@numba.njit(cache=True, nogil=True)
def _project(embedding, weights, low, high, table):  # type: ignore[no-untyped-def]
    total = np.empty(weights.shape[1], np.float64)
    for word in range(low, high):
        total[:] = 0
        for e in range(embedding.shape[1]):
            value, row = np.float64(embedding[word, e]), weights[e]
            for c in range(len(total)):
                total[c] += value * row[c]
        for c in range(len(total)):
            table[word, c] = total[c]
