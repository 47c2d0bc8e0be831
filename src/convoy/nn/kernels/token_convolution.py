"""Training a convolution over embedded tokens as a table look-up, on the CPU.

An embedding layer followed by a convolution is linear in each token: window j of a text is the sum over
taps t of row (token at j - padding + t) of the table E @ W_t. A batch of 256 texts holds about 10,000
tokens but only some 3,000 distinct ones, so the table over the distinct ones needs a third of the
multiplications, and padding needs none. Batch norm and the maximum over positions follow in the same pass;
gradients flow only through the maxima and through two numbers per filter from the batch statistics.

Every loop runs over texts or over distinct tokens, each with its own sums: results do not depend on the
number of threads.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convoy.nn.kernels import token_convolution_loops as loops
from convoy.nn.kernels.threads import in_threads


class WindowMaxima(torch.autograd.Function):
    """Convolve, normalise, rectify and take the maximum over positions; see `window_maxima`."""

    @staticmethod
    def forward(
        ctx: Any, tokens_NL: Tensor, kernels: tuple[int, ...], eps: float, statistics: Tensor | None,
        embedding_VE: Tensor, gamma_D: Tensor, beta_D: Tensor, *weights_FEk: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        texts = Texts(tokens_NL.numpy(), embedding_VE.shape[0], kernels)
        # A filter whose scale is negative is negated, so that its extreme is a maximum too.
        sign_D = torch.where(gamma_D < 0, -1.0, 1.0)
        scale_D = gamma_D.abs()
        # Under autocast the large products and their operands are bfloat16; sums and statistics are float32.
        bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        product = torch.bfloat16 if bfloat16 else torch.float32
        rows_UE = embedding_VE[torch.from_numpy(texts.distinct)].to(product)
        columns_EK = _columns(weights_FEk, sign_D).to(product)
        table = torch.empty(len(texts.distinct) + 1, columns_EK.shape[1], dtype=product)
        torch.mm(rows_UE, columns_EK, out=table[:-1])
        table[-1] = 0  # padding
        needs_grad = statistics is None and any(ctx.needs_input_grad)
        best_ND, place_ND, sums_ND, squares_ND, windows = texts.maxima(table, len(beta_D), needs_grad)
        count_D = torch.from_numpy(texts.windows_per_filter(len(beta_D)))
        if statistics is None:
            mean_D = torch.from_numpy(sums_ND.sum(0, dtype=np.float64)) / count_D
            square_D = torch.from_numpy(squares_ND.sum(0, dtype=np.float64)) / count_D
            variance_D = (square_D - mean_D**2).clamp_min(0).float()
            mean_D = mean_D.float()
        else:
            mean_D, variance_D = statistics[0] * sign_D, statistics[1]
        rstd_D = torch.rsqrt(variance_D + eps)
        normal_ND = (torch.from_numpy(best_ND) - mean_D) * rstd_D
        pooled_ND = torch.relu(normal_ND * scale_D + beta_D)
        pooled_ND[torch.from_numpy(texts.lengths) == 0] = 0
        if needs_grad:
            ctx.texts, ctx.windows, ctx.place_ND = texts, windows, place_ND
            ctx.kernels, ctx.shape = kernels, embedding_VE.shape
            ctx.save_for_backward(
                pooled_ND, normal_ND, mean_D, rstd_D, scale_D, sign_D, rows_UE, columns_EK, count_D
            )
        mean_D = mean_D * sign_D
        count_D = count_D.float()
        ctx.mark_non_differentiable(mean_D, variance_D, count_D)
        return pooled_ND, mean_D, variance_D, count_D

    @staticmethod
    def backward(ctx: Any, grad_ND: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        pooled_ND, normal_ND, mean_D, rstd_D, scale_D, sign_D, rows_UE, columns_EK, count_D = (
            ctx.saved_tensors
        )
        grad_ND = grad_ND * (pooled_ND > 0)
        grad_beta_D = grad_ND.sum(0)
        grad_scale_D = (grad_ND * normal_ND).sum(0)
        # d window = a * (d maximum, where it is one) + constant + slope * window: batch norm's own gradient.
        a_D = scale_D * rstd_D
        slope_D = -a_D * rstd_D * grad_scale_D / count_D.float()
        constant_D = -a_D * grad_beta_D / count_D.float() - slope_D * mean_D
        grad_table = torch.empty(len(rows_UE), columns_EK.shape[1], dtype=rows_UE.dtype)
        ctx.texts.scatter(
            ctx.windows,
            ctx.place_ND,
            (grad_ND * a_D).numpy(),
            constant_D.numpy(),
            slope_D.numpy(),
            grad_table,
        )
        grad_embedding = torch.zeros(ctx.shape)
        grad_embedding[torch.from_numpy(ctx.texts.distinct)] = (grad_table @ columns_EK.T).float()
        grad_columns_EK = (rows_UE.T @ grad_table).float()
        grad_weights = _weights(grad_columns_EK, ctx.kernels, sign_D)
        return (None, None, None, None, grad_embedding, grad_scale_D * sign_D, grad_beta_D, *grad_weights)


def window_maxima(
    tokens_NL: Tensor, embedding_VE: Tensor, weights_FEk: list[Tensor], gamma_D: Tensor, beta_D: Tensor,
    eps: float, statistics: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Return relu(batch_norm(convolution)) maximised over each text's own positions, and the statistics.

    tokens_NL: int64, padded at the end with 0. weights_FEk: one (filters, embedding, k) per kernel size,
    padding k // 2; the convolution's bias is left out (batch norm cancels it). gamma_D, beta_D: the norms'
    scale and shift, kernel sizes concatenated; `statistics`: (2, D) running mean (without bias) and variance,
    or None to use the batch's own. Returns pooled (N, D), and per filter (D,) the windows' mean, their biased
    variance and their number. On a GPU the products are bfloat16.
    """
    kernels = tuple(weight.shape[2] for weight in weights_FEk)
    _check_sizes(embedding_VE, weights_FEk, gamma_D, beta_D, statistics)
    if tokens_NL.is_cpu:
        _check_tokens(tokens_NL, embedding_VE)
    function: type[torch.autograd.Function] = WindowMaxima
    if tokens_NL.is_cuda:
        from convoy.nn.kernels import token_convolution_cuda as windows_cuda

        function = windows_cuda.WindowMaxima
    return function.apply(tokens_NL, kernels, eps, statistics, embedding_VE, gamma_D, beta_D, *weights_FEk)


def _check_sizes(
    embedding_VE: Tensor, weights_FEk: list[Tensor], gamma_D: Tensor, beta_D: Tensor,
    statistics: Tensor | None,
) -> None:  # fmt: skip
    """Raise ValueError for inconsistent sizes: compiled loops do not check bounds."""
    filters = weights_FEk[0].shape[0] if weights_FEk else 0
    found = [tuple(weight.shape[:2]) for weight in weights_FEk]
    if filters == 0 or found != [(filters, embedding_VE.shape[1])] * len(found):
        raise ValueError(f"weights of (filters, embedding) {found}; embeddings {tuple(embedding_VE.shape)}")
    total = filters * len(found)
    norms = [tuple(gamma_D.shape), tuple(beta_D.shape)]
    if norms != [(total,)] * 2 or (statistics is not None and tuple(statistics.shape) != (2, total)):
        raise ValueError(f"scale and shift {norms}: expected {total} filters, and as many statistics")


def _check_tokens(tokens_NL: Tensor, embedding_VE: Tensor) -> None:
    """Raise ValueError for token ids outside the embedding: compiled loops do not check bounds."""
    if tokens_NL.dtype != torch.int64 or tokens_NL.dim() != 2:
        raise ValueError(f"tokens: expected int64 (N, L), found {tokens_NL.dtype} {tuple(tokens_NL.shape)}")
    if embedding_VE.dtype != torch.float32 or embedding_VE.dim() != 2:
        raise ValueError(f"embedding: expected float32 (V, E), found {embedding_VE.dtype}")
    if tokens_NL.numel():
        least, greatest = (int(value) for value in tokens_NL.aminmax())
        if least < 0 or greatest >= len(embedding_VE):
            raise ValueError(f"token ids {least} to {greatest}; expected 0 to {len(embedding_VE) - 1}")


def _columns(weights_FEk: tuple[Tensor, ...], sign_D: Tensor) -> Tensor:
    """All taps side by side, (E, sum of k * F): per kernel size, per tap, per filter."""
    signs = sign_D.split([weight.shape[0] for weight in weights_FEk])
    blocks = [
        (weight * sign[:, None, None]).permute(1, 2, 0).flatten(1)
        for weight, sign in zip(weights_FEk, signs, strict=True)
    ]
    return torch.cat(blocks, 1)


def _weights(columns_EK: Tensor, kernels: tuple[int, ...], sign_D: Tensor) -> Iterator[Tensor]:
    filters = len(sign_D) // len(kernels)
    blocks = columns_EK.split([k * filters for k in kernels], 1)
    for k, block, sign in zip(kernels, blocks, sign_D.split(filters), strict=True):
        yield block.view(-1, k, filters).permute(2, 0, 1) * sign[:, None, None]


class Texts:
    """One batch of padded texts, indexed for look-ups: its distinct tokens and the positions of each."""

    def __init__(self, tokens_NL: np.ndarray, vocab_size: int, kernels: tuple[int, ...]) -> None:
        self.lengths = (tokens_NL != 0).sum(1).astype(np.int64)
        self.kernels = np.array(kernels, dtype=np.int64)
        # A kernel of even size has one window more than the text has tokens.
        self.spare = int(any(k % 2 == 0 for k in kernels))
        self.starts = np.concatenate([[0], np.cumsum(self.lengths + self.spare)])
        self.distinct, self.ids, self.occurrences, self.first = loops.index(
            tokens_NL, self.lengths, self.starts, vocab_size
        )

    def windows_per_filter(self, width: int) -> np.ndarray:
        """Number of windows of each of `width` filters in this batch, float64 (D,)."""
        filled = int((self.lengths > 0).sum())
        counts = [int(self.lengths.sum()) + filled * (2 * (k // 2) - k + 1) for k in self.kernels]
        return np.repeat(np.array(counts, dtype=np.float64), width // len(self.kernels))

    def maxima(self, table: Tensor, width: int, keep: bool) -> tuple[np.ndarray, ...]:
        """Each text's largest window per filter, its place, the sums of windows and of their squares, and all
        windows in the table's type where `keep`.
        """
        looked_up = _bits(table)
        texts = len(self.lengths)
        best, sums, squares = (np.empty((texts, width), dtype=np.float32) for _ in range(3))
        place = np.empty((texts, width), dtype=np.int32)
        windows = np.empty((int(self.starts[-1]) if keep else 0, width), dtype=looked_up.dtype)
        in_threads(
            lambda low, high: loops.maxima(
                looked_up, self.ids, self.starts, self.lengths, self.kernels, low, high, best, place, sums,
                squares, windows,
            ),
            texts,
        )  # fmt: skip
        return best, place, sums, squares, windows

    def scatter(
        self, windows: np.ndarray, place_ND: np.ndarray, grad_ND: np.ndarray, constant_D: np.ndarray,
        slope_D: np.ndarray, grad_table: Tensor,
    ) -> None:  # fmt: skip
        """Fill the gradient of the table, (U, columns), from that of the maxima; `windows` is overwritten."""
        in_threads(
            lambda low, high: loops.window_gradients(
                windows, self.starts, self.lengths, self.kernels, place_ND, grad_ND, constant_D, slope_D,
                low, high,
            ),
            len(self.lengths),
        )  # fmt: skip
        gradient = _bits(grad_table)
        in_threads(
            lambda low, high: loops.table_gradients(
                windows, self.occurrences, self.first, self.kernels, low, high, gradient
            ),
            len(self.distinct),
        )


def _bits(table: Tensor) -> np.ndarray:
    """A view of the same memory in the type that convoy.nn.kernels.token_convolution_loops reads."""
    return table.view(torch.uint16).numpy() if table.dtype == torch.bfloat16 else table.numpy()
