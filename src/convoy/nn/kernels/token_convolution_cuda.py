"""Training a convolution over embedded tokens on a GPU: matrix products over texts laid end to end.

The texts of a batch are concatenated into a matrix of rows, with zero rows in between that serve as the
padding of both neighbours, so that little is computed for padding. Each tap of each kernel size multiplies
shifted rows by its own (embedding, filters) matrix on the tensor cores, in bfloat16 with float32 sums. As on
the CPU (convoy.nn.kernels.token_convolution), gradients flow only through the maxima and through two numbers
per filter from the batch statistics.

The number of rows that a batch fills is known on the device only: grids cover the largest possible number,
and programs beyond the last row end at once. Every sum is taken in a fixed order, or in integers, so that
results are deterministic.
"""

from typing import Any

import torch
from torch import Tensor
from triton import cdiv, knobs

from convoy.nn.kernels import token_convolution_triton as kernels_of
from convoy.nn.kernels import token_products_triton as products

ROWS = 128  # of one tile of the products


class WindowMaxima(torch.autograd.Function):
    """The GPU implementation of convoy.nn.kernels.token_convolution.window_maxima."""

    @staticmethod
    def forward(
        ctx: Any, tokens_NL: Tensor, kernels: tuple[int, ...], eps: float, statistics: Tensor | None,
        embedding_VE: Tensor, gamma_D: Tensor, beta_D: Tensor, *weights_FEk: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
        layout = Layout(kernels, len(gamma_D) // len(kernels), embedding_VE.shape[1], _product())
        batch = Batch(tokens_NL, layout)
        rows, ids = batch.rows(embedding_VE)
        columns = layout.columns(weights_FEk, gamma_D)
        windows = batch.convolved(rows, columns)
        best_ND, place_ND, sums = batch.maxima(windows, statistics is None)
        if statistics is None:
            moments = batch.moments(sums, eps)
        else:
            mean_D = statistics[0] * torch.where(gamma_D < 0, -1.0, 1.0)
            moments = torch.stack(
                [mean_D, statistics[1], torch.rsqrt(statistics[1] + eps), torch.ones_like(mean_D)]
            )
        pooled_ND = batch.pooled(best_ND, moments, gamma_D, beta_D)
        if statistics is None and any(ctx.needs_input_grad):
            ctx.batch, ctx.vocab_size = batch, embedding_VE.shape[0]
            ctx.save_for_backward(pooled_ND, best_ND, place_ND, moments, gamma_D, rows, ids, columns, windows)
        mean_D = torch.where(gamma_D < 0, -moments[0], moments[0])
        variance_D, count_D = moments[1], moments[3]
        ctx.mark_non_differentiable(mean_D, variance_D, count_D)
        return pooled_ND, mean_D, variance_D, count_D

    @staticmethod
    def backward(ctx: Any, grad_ND: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        pooled_ND, best_ND, place_ND, moments, gamma_D, rows, ids, columns, windows = ctx.saved_tensors
        batch = ctx.batch
        grad_ND = grad_ND.contiguous()
        coefficients = batch.coefficients(grad_ND, pooled_ND, best_ND, moments, gamma_D)
        batch.window_gradients(windows, grad_ND, pooled_ND, place_ND, coefficients)
        grad_embedding = batch.embedding_gradient(windows, columns, ids, ctx.vocab_size)
        grad_weights = batch.weight_gradients(rows, windows, gamma_D)
        return (None, None, None, None, grad_embedding, coefficients[3], coefficients[4], *grad_weights)


class Layout:
    """Sizes that depend on the network only: see convoy.nn.kernels.token_products_triton for their names."""

    def __init__(
        self, sizes: tuple[int, ...], filters: int, embedding_dim: int, product: torch.dtype
    ) -> None:
        self.product = product
        self.sizes, self.F, self.E = sizes, filters, embedding_dim
        self.taps, self.pad, self.D = sum(sizes), max(size // 2 for size in sizes), filters * len(sizes)
        self.block_e = 128 if embedding_dim > 64 else 64
        self.block_f = 128 if filters > 64 else 64
        self.EP = _up(embedding_dim, self.block_e)
        self.FP = _up(filters, 8)  # rows of windows start at multiples of 16 bytes
        self.FN = _up(filters, self.block_f)

    def columns(self, weights_FEk: tuple[Tensor, ...], gamma_D: Tensor) -> Tensor:
        """The weights of all taps, (T, EP, FN)."""
        flat = torch.cat([weight.flatten() for weight in weights_FEk])
        columns = flat.new_empty((self.taps, self.EP, self.FN), dtype=self.product)
        products.pack_columns[self.taps, self.EP // 16, self.FN // self.block_f](
            flat, gamma_D, columns, self.sizes, self.E, self.EP, self.F, self.FN, 16, self.block_f
        )
        return columns


class Batch:
    """The rows of the texts of one batch, and the kernels that run over them."""

    def __init__(self, tokens_NL: Tensor, layout: Layout) -> None:
        self.tokens_NL, self.layout = tokens_NL, layout
        self.texts, self.width = tokens_NL.shape
        self.lengths = (tokens_NL != 0).sum(1, dtype=torch.int32)
        self.ends = (self.lengths + layout.pad).cumsum(0, dtype=torch.int32)
        # The largest possible number; the products read up to `pad` rows above and below their tiles.
        self.tiles = cdiv(self.texts * (self.width + layout.pad) + layout.pad, ROWS)
        self.room = self.tiles * ROWS + 2 * layout.pad

    def _empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=self.tokens_NL.device)

    def rows(self, embedding_VE: Tensor) -> tuple[Tensor, Tensor]:
        """The embedded tokens (room, EP), and their ids (room,) int32."""
        at = self.layout
        rows = self._empty(self.room, at.EP, dtype=at.product)
        # Ids of two bytes are sorted faster.
        small = embedding_VE.shape[0] <= 2**15
        ids = torch.zeros(self.room, dtype=torch.int16 if small else torch.int32, device=embedding_VE.device)
        kernels_of.lay_out[self.texts + 1, at.EP // at.block_e](
            self.tokens_NL, self.lengths, self.ends, embedding_VE, rows[at.pad :], ids, self.width, at.pad,
            at.E, at.EP, 16, at.block_e,
        )  # fmt: skip
        return rows, ids

    def convolved(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The windows of all kernel sizes, (room, S * FP)."""
        at = self.layout
        windows = self._empty(self.room, len(at.sizes) * at.FP, dtype=at.product)
        products.convolve[(len(at.sizes) * at.FN // at.block_f * self.tiles,)](
            rows[at.pad :], columns, windows[at.pad :], self.ends, self.texts, at.sizes, at.pad, at.EP,
            at.FP, at.FN, ROWS, at.block_f, 64, num_warps=8, num_stages=3,
        )  # fmt: skip
        return windows

    def maxima(self, windows: Tensor, statistics: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Largest windows (N, D), their places (N, D) int32, and sums (groups, 2, D)."""
        at, group = self.layout, 8
        best, place = self._empty(self.texts, at.D), self._empty(self.texts, at.D, dtype=torch.int32)
        sums = self._empty(cdiv(self.texts, group), 2, at.D)
        kernels_of.maxima[len(sums), len(at.sizes) * cdiv(at.F, at.block_f)](
            windows[at.pad :], self.lengths, self.ends, best, place, sums, self.texts, at.sizes, at.F, at.FP,
            group, at.block_f, statistics,
        )  # fmt: skip
        return best, place, sums

    def moments(self, sums: Tensor, eps: float) -> Tensor:
        """Mean, variance, 1 / standard deviation and number of windows, (4, D), of negated filters."""
        at = self.layout
        result = self._empty(4, at.D)
        kernels_of.moments[(cdiv(at.D, 16),)](
            sums, self.lengths, self.ends, result, self.texts, len(sums), eps, at.sizes, at.F, at.pad, 256, 16
        )
        return result

    def pooled(self, best_ND: Tensor, moments: Tensor, gamma_D: Tensor, beta_D: Tensor) -> Tensor:
        """The rectified, normalised maxima (N, D)."""
        result = torch.empty_like(best_ND)
        kernels_of.pooled[cdiv(self.texts, 16), cdiv(self.layout.D, 128)](
            best_ND, moments, gamma_D, beta_D, self.lengths, result, self.texts, self.layout.D, 16, 128
        )
        return result

    def coefficients(
        self, grad_ND: Tensor, pooled_ND: Tensor, best_ND: Tensor, moments: Tensor, gamma_D: Tensor
    ) -> Tensor:
        """Coefficients of the windows' gradients, and the gradients of gamma and beta, (5, D)."""
        D, group = self.layout.D, 32
        sums = self._empty(cdiv(self.texts, group), 2, D)
        kernels_of.gradient_sums[len(sums), cdiv(D, 128)](
            grad_ND, pooled_ND, best_ND, moments, sums, self.texts, D, group, 128
        )
        result = self._empty(5, D)
        kernels_of.coefficients[(cdiv(D, 16),)](sums, moments, gamma_D, result, len(sums), D, 64, 16)
        return result

    def window_gradients(
        self, windows: Tensor, grad_ND: Tensor, pooled_ND: Tensor, place_ND: Tensor, coefficients: Tensor
    ) -> None:
        """Turn `windows` into their gradients, in place."""
        at = self.layout
        kernels_of.window_gradients[self.texts + 1, len(at.sizes) * cdiv(at.FP, at.block_f)](
            windows[at.pad :], grad_ND, pooled_ND, place_ND, coefficients, self.lengths, self.ends, at.sizes,
            at.F, at.FP, at.pad, 16, at.block_f,
        )  # fmt: skip

    def embedding_gradient(self, windows: Tensor, columns: Tensor, ids: Tensor, vocab_size: int) -> Tensor:
        """(V, E) from the windows' gradients."""
        at = self.layout
        rows = self._empty(self.room, at.EP, dtype=at.product)
        products.rows_gradient[(at.EP // at.block_e * self.tiles,)](
            windows[at.pad :], columns, rows, self.ends, self.texts, at.sizes, at.taps, at.pad,
            at.EP, at.FP, at.FN, ROWS, at.block_e, 64, num_warps=8, num_stages=3,
        )  # fmt: skip
        tokens, order = ids.sort(stable=True)
        sums = torch.zeros((vocab_size, at.E), dtype=torch.int64, device=ids.device)
        kernels_of.add_up[cdiv(len(ids), 32), at.EP // at.block_e](
            rows, tokens, order, sums, len(ids), at.E, at.EP, 32, at.block_e
        )
        gradient = self._empty(vocab_size, at.E)
        kernels_of.from_fixed_point[(cdiv(sums.numel(), 1024),)](sums, gradient, sums.numel(), 1024)
        return gradient

    def weight_gradients(self, rows: Tensor, windows: Tensor, gamma_D: Tensor) -> list[Tensor]:
        """(F, E, k) per kernel size from the windows' gradients."""
        at = self.layout
        tiles = at.taps * (at.EP // at.block_e) * (at.FN // at.block_f)
        # Two programs for each multiprocessor of an H100 or H200.
        splits = max(1, min(264 // tiles, self.tiles))
        partial = self._empty(splits, at.taps, at.EP, at.FN)
        products.weights_gradient[tiles, splits](
            rows[at.pad :], windows[at.pad :], partial, self.ends, self.texts, at.sizes, at.taps, at.pad,
            at.EP, at.FP, at.FN, at.block_e, at.block_f, 64, num_warps=4, num_stages=3,
        )  # fmt: skip
        gradient = self._empty(at.F * at.E * at.taps)
        products.unpack_columns[at.taps, cdiv(at.E, 8), at.FN // at.block_f](
            partial, gamma_D, gradient, splits, at.sizes, at.taps, at.E, at.EP, at.F, at.FN, 8, at.block_f
        )
        shares = gradient.split([at.F * at.E * size for size in at.sizes])
        return [share.view(at.F, at.E, size) for share, size in zip(shares, at.sizes, strict=True)]


def _up(count: int, step: int) -> int:
    return cdiv(count, step) * step


def _product() -> torch.dtype:
    """The number format of the products: bfloat16; float32 in Triton's interpreter, which has no bfloat16."""
    return torch.float32 if knobs.runtime.interpret else torch.bfloat16
