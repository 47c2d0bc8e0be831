"""The mean of a text's embeddings on the CPU, and the gradient of the rows that a batch met alone.

A batch of 128 texts meets some 2,000 words of 10,000: a gradient of the whole table, and an optimiser's step
over it, cost several times the rest of the training step. All sums run in the order of the texts.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

PADDING = 0


class MeanOfRows(torch.autograd.Function):
    """As F.embedding_bag(mode="mean", padding_idx=0); see `mean_of_rows`."""

    @staticmethod
    def forward(ctx: Any, tokens_NL: Tensor, embedding_VE: Tensor, sparse: bool) -> Tensor:
        mean_NE = torch.empty(len(tokens_NL), embedding_VE.shape[1])
        _means(tokens_NL.numpy(), embedding_VE.numpy(), mean_NE.numpy())
        ctx.save_for_backward(tokens_NL)
        ctx.shape, ctx.sparse = embedding_VE.shape, sparse
        return mean_NE

    @staticmethod
    def backward(ctx: Any, grad_NE: Tensor) -> tuple[None, Tensor, None]:
        (tokens_NL,) = ctx.saved_tensors
        found = _gradient(tokens_NL.numpy(), grad_NE.contiguous().numpy(), ctx.shape[0])
        rows_U, grad_UE = map(torch.from_numpy, found)
        if not ctx.sparse:
            return None, torch.zeros(ctx.shape).index_copy_(0, rows_U, grad_UE), None
        return None, torch.sparse_coo_tensor(
            rows_U[None], grad_UE, ctx.shape, is_coalesced=True, check_invariants=False
        ), None  # fmt: skip


def mean_of_rows(tokens_NL: Tensor, embedding_VE: Tensor, sparse: bool = False) -> Tensor:
    """Mean over each text's tokens, padding (0) left out, zeros where there are none: (N, E) float32.

    `sparse`: the table's gradient is a sparse tensor of the rows met, sorted and each once.
    """
    check_tokens(tokens_NL, embedding_VE)
    return MeanOfRows.apply(tokens_NL.contiguous(), embedding_VE.contiguous(), sparse)


def check_tokens(tokens_NL: Tensor, embedding_VE: Tensor) -> None:
    """Raise ValueError for tokens that are no rows of the embedding: compiled loops would read elsewhere."""
    if tokens_NL.dtype != torch.int64 or tokens_NL.dim() != 2:
        raise ValueError(f"tokens: expected int64 (N, L), found {tokens_NL.dtype} {tuple(tokens_NL.shape)}")
    if embedding_VE.dtype != torch.float32 or embedding_VE.dim() != 2:
        raise ValueError(f"embedding: expected float32 (V, E), found {embedding_VE.dtype}")
    if tokens_NL.numel():
        least, greatest = (int(value) for value in tokens_NL.aminmax())
        if least < 0 or greatest >= len(embedding_VE):
            raise ValueError(f"token ids {least} to {greatest}; expected 0 to {len(embedding_VE) - 1}")


def adagrad(weight_VE: Tensor, sum_VE: Tensor, grad_VE: Tensor, rate: float, eps: float) -> None:
    """One step of Adagrad in place, over the rows of the sparse gradient `grad_VE` alone."""
    rows_U = grad_VE._indices()[0].numpy()
    # Autograd forgets that a gradient is coalesced, and to sort it again costs more than the step.
    if (rows_U[1:] <= rows_U[:-1]).any():
        grad_VE = grad_VE.coalesce()
        rows_U = grad_VE._indices()[0].numpy()
    grad_UE = grad_VE._values().numpy()
    _adagrad(weight_VE.detach().numpy(), sum_VE.numpy(), rows_U, grad_UE, rate, eps)


@njit(cache=True, nogil=True)
def _means(tokens_NL: np.ndarray, embedding_VE: np.ndarray, mean_NE: np.ndarray) -> None:
    for text in range(len(tokens_NL)):
        mean_E = mean_NE[text]
        mean_E[:] = 0
        words = 0
        for token in tokens_NL[text]:
            if token != PADDING:
                words += 1
                mean_E += embedding_VE[token]
        mean_E *= np.float32(1 / max(words, 1))


@njit(cache=True, nogil=True)
def _gradient(tokens_NL: np.ndarray, grad_NE: np.ndarray, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct tokens in order, and the sum of their texts' gradients by the texts' lengths."""
    place = np.zeros(vocab_size, np.int64)
    for token in tokens_NL.ravel():
        place[token] = 1
    place[PADDING] = 0
    rows = np.flatnonzero(place)
    place[rows] = np.arange(len(rows))
    sums = np.zeros((len(rows), grad_NE.shape[1]), np.float32)
    for text in range(len(tokens_NL)):
        words = int(np.count_nonzero(tokens_NL[text]))
        share = grad_NE[text] / np.float32(max(words, 1))
        for token in tokens_NL[text]:
            if token != PADDING:
                sums[place[token]] += share
    return rows, sums


@njit(cache=True, nogil=True, error_model="numpy")
def _adagrad(
    weight_VE: np.ndarray, sum_VE: np.ndarray, rows_U: np.ndarray, grad_UE: np.ndarray, lr: float, eps: float
) -> None:  # fmt: skip
    rate, least = np.float32(lr), np.float32(eps)
    for u in range(len(rows_U)):
        weight_E, sum_E, grad_E = weight_VE[rows_U[u]], sum_VE[rows_U[u]], grad_UE[u]
        for e in range(len(grad_E)):
            sum_E[e] += grad_E[e] * grad_E[e]
            weight_E[e] -= rate * grad_E[e] / (np.sqrt(sum_E[e]) + least)
