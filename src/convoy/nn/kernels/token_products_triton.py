"""Triton kernels of the matrix products of `token_convolution_cuda`: windows and both of their gradients.

R: rows of the batch, E: embedding, F: filters of one kernel size, S: kernel sizes, T: taps of all sizes.
`sizes` is the tuple of kernel sizes; tap t of a kernel of size k reads k // 2 - t rows above its window.
Widths are padded to what a tile holds: EP for E in rows and columns, FN for F in columns; FP is F in windows.
"""
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def size_at(number, sizes: tl.constexpr):
    """The kernel size of this index, and the number of taps of the sizes before it."""
    size = 0
    before = 0
    for s in tl.static_range(len(sizes)):
        size = tl.where(number == s, sizes[s], size)
        before += tl.where(s < number, sizes[s], 0)
    return size, before


@triton.jit
def tap_at(tap, sizes: tl.constexpr):
    """Index of the kernel size of a tap, and the number of rows above the window that the tap reads."""
    number = 0
    above = 0
    before = 0
    for s in tl.static_range(len(sizes)):
        inside = (tap >= before) & (tap < before + sizes[s])
        number = tl.where(inside, s, number)
        above = tl.where(inside, sizes[s] // 2 - (tap - before), above)
        before += sizes[s]
    return number, above


@triton.jit
def convolve(
    rows, columns, windows, ends, texts, sizes: tl.constexpr, PAD: tl.constexpr, EP: tl.constexpr,
    FP: tl.constexpr, FN: tl.constexpr, BLOCK_R: tl.constexpr, BLOCK_F: tl.constexpr, BLOCK_E: tl.constexpr,
):  # fmt: skip
    """Windows (R, S * FP) = sum over taps of shifted rows (R, EP) @ columns (T, EP, FN)."""
    blocks: tl.constexpr = FN // BLOCK_F
    programs: tl.constexpr = len(sizes) * blocks
    steps: tl.constexpr = EP // BLOCK_E
    column = tl.program_id(0) % programs
    number, part = column // blocks, column % blocks
    first = (tl.program_id(0) // programs).to(tl.int64) * BLOCK_R
    if first >= tl.load(ends + texts - 1) + PAD:
        return
    size, before = size_at(number, sizes)
    r = tl.arange(0, BLOCK_R)
    f = part * BLOCK_F + tl.arange(0, BLOCK_F)
    e = tl.arange(0, BLOCK_E)
    rows += (first - size // 2) * EP
    columns += before * (EP * FN)
    result = tl.zeros((BLOCK_R, BLOCK_F), tl.float32)
    for step in range(size * steps):
        tap, at = step // steps, step % steps * BLOCK_E
        left = tl.load(rows + (r + tap)[:, None] * EP + (at + e)[None, :])
        right = tl.load(columns + (tap * EP + at + e)[:, None] * FN + f[None, :])
        result = tl.dot(left, right, result)
    out = windows + (first + r)[:, None] * (len(sizes) * FP) + number * FP + f[None, :]
    tl.store(out, result.to(windows.dtype.element_ty), mask=(f < FP)[None, :])


@triton.jit
def rows_gradient(
    windows, columns, gradient, ends, texts, sizes: tl.constexpr, TAPS: tl.constexpr,
    PAD: tl.constexpr, EP: tl.constexpr, FP: tl.constexpr, FN: tl.constexpr,
    BLOCK_R: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_F: tl.constexpr,
):  # fmt: skip
    """Gradient of rows (R, EP): sum over taps of that of shifted windows (R, S * FP) @ columns transposed."""
    steps: tl.constexpr = FN // BLOCK_F
    programs: tl.constexpr = EP // BLOCK_E
    first = (tl.program_id(0) // programs).to(tl.int64) * BLOCK_R
    if first >= tl.load(ends + texts - 1) + PAD:
        return
    r = tl.arange(0, BLOCK_R)
    e = tl.program_id(0) % programs * BLOCK_E + tl.arange(0, BLOCK_E)
    f = tl.arange(0, BLOCK_F)
    windows += first * (len(sizes) * FP)
    result = tl.zeros((BLOCK_R, BLOCK_E), tl.float32)
    for step in range(TAPS * steps):
        tap, at = step // steps, step % steps * BLOCK_F
        number, above = tap_at(tap, sizes)
        left = tl.load(
            windows + (r + above)[:, None] * (len(sizes) * FP) + (number * FP + at + f)[None, :],
            mask=(at + f < FP)[None, :],
            other=0,
        )
        right = tl.load(columns + (tap * EP + e)[:, None] * FN + (at + f)[None, :])
        result = tl.dot(left, tl.trans(right), result)
    out = gradient + (first + r)[:, None] * EP + e[None, :]
    tl.store(out, result.to(gradient.dtype.element_ty))


@triton.jit
def weights_gradient(
    rows, windows, partial, ends, texts, sizes: tl.constexpr, TAPS: tl.constexpr, PAD: tl.constexpr,
    EP: tl.constexpr, FP: tl.constexpr, FN: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_F: tl.constexpr,
    BLOCK_R: tl.constexpr,
):  # fmt: skip
    """Gradient of columns as partial sums (splits, T, EP, FN), each over a share of the rows:

    shifted rows transposed @ gradient of windows.
    """
    parts_f: tl.constexpr = FN // BLOCK_F
    parts: tl.constexpr = EP // BLOCK_E * parts_f
    tap, part = tl.program_id(0) // parts, tl.program_id(0) % parts
    number, above = tap_at(tap, sizes)
    total = tl.load(ends + texts - 1) + PAD
    share = tl.cdiv(tl.cdiv(total, tl.num_programs(1)), BLOCK_R) * BLOCK_R
    low = tl.program_id(1) * share
    high = tl.minimum(low + share, total)
    r = tl.arange(0, BLOCK_R)
    e = part // parts_f * BLOCK_E + tl.arange(0, BLOCK_E)
    f = part % parts_f * BLOCK_F + tl.arange(0, BLOCK_F)
    result = tl.zeros((BLOCK_E, BLOCK_F), tl.float32)
    for at in range(low, high, BLOCK_R):
        window = (at + r).to(tl.int64)
        row = window - above
        inside = (row >= 0) & (row < total)
        left = tl.load(rows + row[:, None] * EP + e[None, :], mask=inside[:, None], other=0)
        right = tl.load(
            windows + window[:, None] * (len(sizes) * FP) + (number * FP + f)[None, :],
            mask=(window < high)[:, None] & (f < FP)[None, :],
            other=0,
        )
        result = tl.dot(tl.trans(left), right, result)
    out = partial + ((tl.program_id(1) * TAPS + tap) * EP + e)[:, None] * FN + f[None, :]
    tl.store(out, result)


@triton.jit
def pack_columns(
    weights, gamma, columns, sizes: tl.constexpr, E: tl.constexpr, EP: tl.constexpr, F: tl.constexpr,
    FN: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_F: tl.constexpr,
):  # fmt: skip
    """Concatenated weights, (F, E, k) of each size, as columns (T, EP, FN), padded with zeros.

    A filter whose scale gamma is negative is negated, so that its extreme is a maximum too.
    """
    tap = tl.program_id(0)
    number, _above = tap_at(tap, sizes)
    size, before = size_at(number, sizes)
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    f = tl.program_id(2) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = (e < E)[:, None] & (f < F)[None, :]
    at = (before * E * F + tap - before) + (f[None, :] * E + e[:, None]) * size
    values = tl.load(weights + at, mask=inside, other=0)
    scale = tl.load(gamma + number * F + f, mask=f < F, other=0)
    values = tl.where((scale < 0)[None, :], -values, values)
    out = columns + (tap * EP + e)[:, None] * FN + f[None, :]
    tl.store(out, values.to(columns.dtype.element_ty), mask=(e < EP)[:, None])


@triton.jit
def unpack_columns(
    partial, gamma, gradient, splits, sizes: tl.constexpr, TAPS: tl.constexpr, E: tl.constexpr,
    EP: tl.constexpr, F: tl.constexpr, FN: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_F: tl.constexpr,
):  # fmt: skip
    """The weights' gradient in the layout that `pack_columns` reads: partial sums added up, sign restored."""
    tap = tl.program_id(0)
    number, _above = tap_at(tap, sizes)
    size, before = size_at(number, sizes)
    e = tl.program_id(1) * BLOCK_E + tl.arange(0, BLOCK_E)
    f = tl.program_id(2) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = (e < E)[:, None] & (f < F)[None, :]
    values = tl.zeros((BLOCK_E, BLOCK_F), tl.float32)
    for split in range(splits):
        at = ((split * TAPS + tap) * EP + e)[:, None] * FN + f[None, :]
        values += tl.load(partial + at, mask=inside, other=0)
    scale = tl.load(gamma + number * F + f, mask=f < F, other=0)
    values = tl.where((scale < 0)[None, :], -values, values)
    at = (before * E * F + tap - before) + (f[None, :] * E + e[:, None]) * size
    tl.store(gradient + at, values, mask=inside)
