"""Triton kernels of convoy.nn.kernels.token_convolution_cuda other than its matrix products.

Text i fills the rows from ends[i] - lengths[i] to ends[i]; PAD zero rows follow each text and precede the
first. Window j of a text is in its row j. Names of sizes as in convoy.nn.kernels.token_products_triton.
"""
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from convoy.nn.kernels.token_products_triton import size_at

# One step of 2**-44 in the integer sums of the embedding's gradient; they overflow beyond 500,000.
FIXED_POINT = tl.constexpr(2.0**44)


@triton.jit
def lay_out(
    tokens, lengths, ends, embedding, rows, ids, width, PAD: tl.constexpr, E: tl.constexpr,
    EP: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_E: tl.constexpr,
):  # fmt: skip
    """Rows (R, EP) and their token ids, texts end to end; the first program writes the zeros before them."""
    i = tl.program_id(0) - 1
    length = tl.load(lengths + i, mask=i >= 0, other=0)
    start = (tl.load(ends + i, mask=i >= 0, other=0) - length).to(tl.int64)
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    for low in range(0, length + PAD, BLOCK_R):
        j = low + tl.arange(0, BLOCK_R)
        token = tl.load(tokens + i.to(tl.int64) * width + j, mask=j < length, other=0)
        real = (j < length)[:, None] & (e < E)[None, :]
        values = tl.load(embedding + token[:, None] * E + e[None, :], mask=real, other=0)
        inside = j < length + PAD
        out = rows + (start + j)[:, None] * EP + e[None, :]
        tl.store(out, values.to(rows.dtype.element_ty), mask=inside[:, None])
        tl.store(ids + start + j, token.to(ids.dtype.element_ty), mask=inside)


@triton.jit
def maxima(
    windows, lengths, ends, best, place, sums, texts, sizes: tl.constexpr, F: tl.constexpr,
    FP: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_F: tl.constexpr, STATISTICS: tl.constexpr,
):  # fmt: skip
    """Each text's largest window per filter and its place; over BLOCK_N texts, sums of windows and squares.

    best, place: (N, D); sums: (N / BLOCK_N, 2, D).
    """
    blocks: tl.constexpr = (F + BLOCK_F - 1) // BLOCK_F
    D: tl.constexpr = len(sizes) * F
    width: tl.constexpr = len(sizes) * FP
    group = tl.program_id(0)
    number, part = tl.program_id(1) // blocks, tl.program_id(1) % blocks
    size, _before = size_at(number, sizes)
    i = group * BLOCK_N + tl.arange(0, BLOCK_N)
    f = part * BLOCK_F + tl.arange(0, BLOCK_F)
    real = (f < F)[None, :]
    length = tl.load(lengths + i, mask=i < texts, other=0)
    start = (tl.load(ends + i, mask=i < texts, other=0) - length).to(tl.int64)
    count = tl.where(length > 0, length + 1 - size % 2, 0)
    address = windows + start[:, None] * width + (number * FP + f)[None, :]
    top = tl.full((BLOCK_N, BLOCK_F), -float("inf"), tl.float32)
    at = tl.zeros((BLOCK_N, BLOCK_F), tl.int32)
    total = tl.zeros((BLOCK_N, BLOCK_F), tl.float32)
    square = tl.zeros((BLOCK_N, BLOCK_F), tl.float32)
    for j in tl.range(0, tl.max(count, 0), loop_unroll_factor=4):
        inside = (j < count)[:, None] & real
        values = tl.load(address + j * width, mask=inside, other=0).to(tl.float32)
        if STATISTICS:
            total += values
            square += values * values
        higher = inside & (values > top)
        at = tl.where(higher, j, at)
        top = tl.where(higher, values, top)
    out = i.to(tl.int64)[:, None] * D + (number * F + f)[None, :]
    inside = (i < texts)[:, None] & real
    tl.store(best + out, tl.where(length[:, None] > 0, top, 0), mask=inside)
    tl.store(place + out, at, mask=inside)
    if STATISTICS:
        out = group * 2 * D + number * F + f
        tl.store(sums + out, tl.sum(total, 0), mask=f < F)
        tl.store(sums + out + D, tl.sum(square, 0), mask=f < F)


@triton.jit
def moments(
    sums, lengths, ends, result, texts, groups, eps, sizes: tl.constexpr, F: tl.constexpr,
    PAD: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Result (4, D): mean, variance, 1 / standard deviation and number of each filter's windows."""
    D: tl.constexpr = len(sizes) * F
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    real = d < D
    filled = tl.zeros((1024,), tl.int32)
    for low in range(0, texts, 1024):
        i = low + tl.arange(0, 1024)
        filled += (tl.load(lengths + i, mask=i < texts, other=0) > 0).to(tl.int32)
    total = tl.zeros((BLOCK_D,), tl.float64)
    square = tl.zeros((BLOCK_D,), tl.float64)
    for low in range(0, groups, BLOCK_G):
        g = low + tl.arange(0, BLOCK_G)
        inside = (g < groups)[:, None] & real[None, :]
        at = sums + g[:, None] * (2 * D) + d[None, :]
        total += tl.sum(tl.load(at, mask=inside, other=0).to(tl.float64), 0)
        square += tl.sum(tl.load(at + D, mask=inside, other=0).to(tl.float64), 0)
    size, _before = size_at(d // F, sizes)
    tokens = tl.load(ends + texts - 1) - texts * PAD
    count = (tokens + tl.sum(filled, 0) * (1 - size % 2)).to(tl.float64)
    mean = total / tl.maximum(count, 1)
    variance = tl.maximum(square / tl.maximum(count, 1) - mean * mean, 0).to(tl.float32)
    tl.store(result + d, mean.to(tl.float32), mask=real)
    tl.store(result + D + d, variance, mask=real)
    tl.store(result + 2 * D + d, 1 / tl.sqrt(variance + eps), mask=real)
    tl.store(result + 3 * D + d, count.to(tl.float32), mask=real)


@triton.jit
def pooled(
    best, moments, gamma, beta, lengths, result, texts, D: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Result (N, D) = relu of the normalised, scaled and shifted maxima; 0 for an empty text."""
    i = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    real = d < D
    inside = (i < texts)[:, None] & real[None, :]
    at = i.to(tl.int64)[:, None] * D + d[None, :]
    mean = tl.load(moments + d, mask=real, other=0)
    scale = tl.load(moments + 2 * D + d, mask=real, other=0) * tl.abs(tl.load(gamma + d, mask=real, other=0))
    shift = tl.load(beta + d, mask=real, other=0)
    values = (tl.load(best + at, mask=inside, other=0) - mean[None, :]) * scale[None, :] + shift[None, :]
    filled = tl.load(lengths + i, mask=i < texts, other=0) > 0
    tl.store(result + at, tl.where(filled[:, None], tl.maximum(values, 0), 0), mask=inside)


@triton.jit
def gradient_sums(
    grad, pooled, best, moments, sums, texts, D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr
):  # fmt: skip
    """Sums (N / BLOCK_N, 2, D) of the gradient, where relu passes it, and of it times the centred maxima."""
    group = tl.program_id(0)
    i = group * BLOCK_N + tl.arange(0, BLOCK_N)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    inside = (i < texts)[:, None] & (d < D)[None, :]
    at = i.to(tl.int64)[:, None] * D + d[None, :]
    values = tl.load(grad + at, mask=inside, other=0)
    values = tl.where(tl.load(pooled + at, mask=inside, other=0) > 0, values, 0)
    mean = tl.load(moments + d, mask=d < D, other=0)
    centred = tl.load(best + at, mask=inside, other=0) - mean[None, :]
    tl.store(sums + group * 2 * D + d, tl.sum(values, 0), mask=d < D)
    tl.store(sums + group * 2 * D + D + d, tl.sum(values * centred, 0), mask=d < D)


@triton.jit
def coefficients(
    sums, moments, gamma, result, groups, D: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr
):  # fmt: skip
    """Result (5, D): factor, constant and slope of d window; gradients of gamma and of beta.

    d window = factor * (d maximum, where it is one) + constant + slope * window, which is batch norm's own
    gradient.
    """
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    real = d < D
    total = tl.zeros((BLOCK_D,), tl.float64)
    product = tl.zeros((BLOCK_D,), tl.float64)
    for low in range(0, groups, BLOCK_G):
        g = low + tl.arange(0, BLOCK_G)
        inside = (g < groups)[:, None] & real[None, :]
        at = sums + g[:, None] * (2 * D) + d[None, :]
        total += tl.sum(tl.load(at, mask=inside, other=0).to(tl.float64), 0)
        product += tl.sum(tl.load(at + D, mask=inside, other=0).to(tl.float64), 0)
    mean = tl.load(moments + d, mask=real, other=0)
    rstd = tl.load(moments + 2 * D + d, mask=real, other=0)
    count = tl.maximum(tl.load(moments + 3 * D + d, mask=real, other=1), 1)
    scale = tl.load(gamma + d, mask=real, other=0)
    grad_beta = total.to(tl.float32)
    grad_scale = product.to(tl.float32) * rstd
    factor = tl.abs(scale) * rstd
    slope = -factor * rstd * grad_scale / count
    tl.store(result + d, factor, mask=real)
    tl.store(result + D + d, -factor * grad_beta / count - slope * mean, mask=real)
    tl.store(result + 2 * D + d, slope, mask=real)
    tl.store(result + 3 * D + d, tl.where(scale < 0, -grad_scale, grad_scale), mask=real)
    tl.store(result + 4 * D + d, grad_beta, mask=real)


@triton.jit
def window_gradients(
    windows, grad, pooled, place, coefficients, lengths, ends, sizes: tl.constexpr, F: tl.constexpr,
    FP: tl.constexpr, PAD: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_F: tl.constexpr,
):  # fmt: skip
    """Turn windows into their gradients in place; rows between texts become 0."""
    blocks: tl.constexpr = (FP + BLOCK_F - 1) // BLOCK_F
    D: tl.constexpr = len(sizes) * F
    i = tl.program_id(0).to(tl.int64) - 1
    number, part = tl.program_id(1) // blocks, tl.program_id(1) % blocks
    size, _before = size_at(number, sizes)
    length = tl.load(lengths + i, mask=i >= 0, other=0)
    start = (tl.load(ends + i, mask=i >= 0, other=0) - length).to(tl.int64)
    count = tl.where(length > 0, length + 1 - size % 2, 0)
    f = part * BLOCK_F + tl.arange(0, BLOCK_F)
    d = number * F + f
    real = f < tl.where(length > 0, F, 0)
    at = i * D + d
    passed = tl.load(pooled + at, mask=real, other=0) > 0
    factor = tl.load(coefficients + d, mask=real, other=0)
    sparse = tl.where(passed, tl.load(grad + at, mask=real, other=0), 0) * factor
    where = tl.load(place + at, mask=real, other=0)
    constant = tl.load(coefficients + D + d, mask=real, other=0)
    slope = tl.load(coefficients + 2 * D + d, mask=real, other=0)
    for low in range(0, length + PAD, BLOCK_J):
        j = low + tl.arange(0, BLOCK_J)
        inside = (j < count)[:, None] & real[None, :]
        address = windows + (start + j)[:, None] * (len(sizes) * FP) + (number * FP + f)[None, :]
        values = tl.load(address, mask=inside, other=0).to(tl.float32)
        values = constant[None, :] + slope[None, :] * values
        values += tl.where(j[:, None] == where[None, :], sparse[None, :], 0)
        written = (j < length + PAD)[:, None] & (f < FP)[None, :]
        tl.store(address, tl.where(inside, values, 0).to(windows.dtype.element_ty), mask=written)


@triton.jit
def joined(left, left_starts, right, right_starts):
    """Sum of two neighbouring runs of rows, where the right one does not start a new token."""
    return tl.where(right_starts > 0, right, left + right), left_starts | right_starts


@triton.jit
def add_up(
    rows, tokens, order, sums, count, E: tl.constexpr, EP: tl.constexpr, BLOCK_R: tl.constexpr,
    BLOCK_E: tl.constexpr,
):  # fmt: skip
    """Add rows (R, EP), taken in the order of their sorted tokens, to sums (V, E): in steps of 2**-44.

    Each block of rows is added up token by token; sums over blocks are of integers, so that their order does
    not matter.
    """
    low = tl.program_id(0) * BLOCK_R
    high = tl.minimum(low + BLOCK_R, count)
    if tl.load(tokens + high - 1) == 0:
        return
    r = low + tl.arange(0, BLOCK_R)
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    token = tl.load(tokens + r, mask=r < high, other=0).to(tl.int64)
    starts = token != tl.load(tokens + r - 1, mask=(r > low) & (r < high), other=0).to(tl.int64)
    ends = token != tl.load(tokens + r + 1, mask=r + 1 < high, other=0).to(tl.int64)
    row = tl.load(order + r, mask=r < high, other=0)
    inside = (token > 0)[:, None] & (e < E)[None, :]
    values = tl.load(rows + row[:, None] * EP + e[None, :], mask=inside, other=0).to(tl.float32)
    starts = tl.broadcast_to(starts.to(tl.int32)[:, None], (BLOCK_R, BLOCK_E))
    values, _starts = tl.associative_scan((values, starts), 0, joined)
    steps = (values * FIXED_POINT).to(tl.int64)
    tl.atomic_add(sums + token[:, None] * E + e[None, :], steps, mask=inside & ends[:, None], sem="relaxed")


@triton.jit
def from_fixed_point(sums, gradient, count, BLOCK: tl.constexpr):
    """Integer sums in steps of 2**-44 as float32."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(sums + at, mask=at < count, other=0)
    tl.store(gradient + at, values.to(tl.float32) / FIXED_POINT, mask=at < count)
