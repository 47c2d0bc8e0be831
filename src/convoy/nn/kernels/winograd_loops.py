"""Compiled loops of `winograd`: from images to the numbers of their tiles, and back.

Images and gradients are flat views of float32 (N, H, W, C), cut into N x down x across tiles of 4 x 4 pixels.
A tile's 6 x 6 numbers are at [position * row + tile * C + channel] of another flat array, position from 0 to
35. Each loop does the images from `low` to `high`. Indices are unsigned: numba lets a signed one count from
the end of an array, and then vectorises nothing.
"""
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import njit

# Channels that are transformed together: their 36 rows stay in the cache next to the core.
LANES = 64
ONE, SIX = np.uintp(1), np.uintp(6)
TWO, FOUR, FIVE, EIGHT = (np.float32(value) for value in (2, 4, 5, 8))
# Without -0 and in any order, sums are vectorised.
FAST = {"contract", "nsz", "reassoc"}


@njit(cache=True, nogil=True, fastmath=FAST, boundscheck=False)
def image_to_tiles(images, shape, down, across, low, high, tiles, row):
    """B' d B of the 6 x 6 pixels d around each tile; outside of the image they are 0."""
    _, height, width, channels = shape
    numbers = np.empty((36, LANES), np.float32)
    for tile in range(low * down * across, high * down * across):
        image, place = tile // (down * across), tile % (down * across)
        top, left = place // across * 4 - 1, place % across * 4 - 1
        for channel in range(0, channels, LANES):
            lanes = np.uintp(min(LANES, channels - channel))
            for i in range(6):
                for j in range(6):
                    if 0 <= top + i < height and 0 <= left + j < width:
                        at = ((image * height + top + i) * width + left + j) * channels + channel
                        _read(numbers, 6 * i + j, images, at, lanes)
                    else:
                        _clear(numbers, 6 * i + j, lanes)
            for j in range(6):
                _input(numbers, np.uintp(j), SIX, lanes)
            for i in range(6):
                _input(numbers, np.uintp(6 * i), ONE, lanes)
            for position in range(36):
                _write(numbers, position, tiles, position * row + tile * channels + channel, lanes)


@njit(cache=True, nogil=True, fastmath=FAST, boundscheck=False)
def tiles_to_image(images, shape, down, across, low, high, tiles, row):
    """A' m A of the 6 x 6 numbers m of each tile: its 4 x 4 pixels."""
    _, height, width, channels = shape
    numbers = np.empty((36, LANES), np.float32)
    for tile in range(low * down * across, high * down * across):
        image, place = tile // (down * across), tile % (down * across)
        top, left = place // across * 4, place % across * 4
        for channel in range(0, channels, LANES):
            lanes = np.uintp(min(LANES, channels - channel))
            for position in range(36):
                _read(numbers, position, tiles, position * row + tile * channels + channel, lanes)
            for j in range(6):
                _output(numbers, np.uintp(j), SIX, lanes)
            for i in range(4):
                _output(numbers, np.uintp(6 * i), ONE, lanes)
            for i in range(min(4, height - top)):
                for j in range(min(4, width - left)):
                    at = ((image * height + top + i) * width + left + j) * channels + channel
                    _write(numbers, 6 * i + j, images, at, lanes)


@njit(cache=True, nogil=True, fastmath=FAST, boundscheck=False)
def gradient_to_tiles(gradients, shape, down, across, low, high, tiles, row):
    """A g A' of the 4 x 4 gradients g of each tile: the adjoint of `tiles_to_image`."""
    _, height, width, channels = shape
    numbers = np.empty((36, LANES), np.float32)
    for tile in range(low * down * across, high * down * across):
        image, place = tile // (down * across), tile % (down * across)
        top, left = place // across * 4, place % across * 4
        for channel in range(0, channels, LANES):
            lanes = np.uintp(min(LANES, channels - channel))
            for i in range(4):
                for j in range(4):
                    if top + i < height and left + j < width:
                        at = ((image * height + top + i) * width + left + j) * channels + channel
                        _read(numbers, 6 * i + j, gradients, at, lanes)
                    else:
                        _clear(numbers, 6 * i + j, lanes)
            for j in range(4):
                _output_adjoint(numbers, np.uintp(j), SIX, lanes)
            for i in range(6):
                _output_adjoint(numbers, np.uintp(6 * i), ONE, lanes)
            for position in range(36):
                _write(numbers, position, tiles, position * row + tile * channels + channel, lanes)


@njit(cache=True, nogil=True, fastmath=FAST, boundscheck=False)
def tiles_to_gradient(gradients, shape, down, across, low, high, tiles, row):
    """Sum of B m B' over the tiles that read a pixel, which overlap: the adjoint of `image_to_tiles`."""
    _, height, width, channels = shape
    size = height * width * channels
    numbers = np.empty((36, LANES), np.float32)
    gradients[low * size : high * size] = 0
    for tile in range(low * down * across, high * down * across):
        image, place = tile // (down * across), tile % (down * across)
        top, left = place // across * 4 - 1, place % across * 4 - 1
        for channel in range(0, channels, LANES):
            lanes = np.uintp(min(LANES, channels - channel))
            for position in range(36):
                _read(numbers, position, tiles, position * row + tile * channels + channel, lanes)
            for j in range(6):
                _input_adjoint(numbers, np.uintp(j), SIX, lanes)
            for i in range(6):
                _input_adjoint(numbers, np.uintp(6 * i), ONE, lanes)
            for i in range(max(0, -top), min(6, height - top)):
                for j in range(max(0, -left), min(6, width - left)):
                    at = ((image * height + top + i) * width + left + j) * channels + channel
                    _add(numbers, 6 * i + j, gradients, at, lanes)


@njit(inline="always")
def _read(numbers, position, source, at, lanes):
    p, start = np.uintp(position), np.uintp(at)
    for lane in range(lanes):
        numbers[p, lane] = source[start + lane]


@njit(inline="always")
def _clear(numbers, position, lanes):
    p = np.uintp(position)
    for lane in range(lanes):
        numbers[p, lane] = np.float32(0)


@njit(inline="always")
def _write(numbers, position, target, at, lanes):
    p, start = np.uintp(position), np.uintp(at)
    for lane in range(lanes):
        target[start + lane] = numbers[p, lane]


@njit(inline="always")
def _add(numbers, position, target, at, lanes):
    p, start = np.uintp(position), np.uintp(at)
    for lane in range(lanes):
        target[start + lane] += numbers[p, lane]


# One axis of a transform each, in place, over the six rows a, a + step, ... of `numbers`.


@njit(inline="always")
def _input(numbers, a, step, lanes):
    """B' times the six rows."""
    b = a + step
    c = b + step
    d = c + step
    e = d + step
    f = e + step
    for lane in range(lanes):
        p0, p1, p2 = numbers[a, lane], numbers[b, lane], numbers[c, lane]
        p3, p4, p5 = numbers[d, lane], numbers[e, lane], numbers[f, lane]
        even, odd = p4 - FOUR * p2, p3 - FOUR * p1
        even_2, odd_2 = p4 - p2, TWO * (p3 - p1)
        numbers[a, lane] = FOUR * p0 - FIVE * p2 + p4
        numbers[b, lane] = even + odd
        numbers[c, lane] = even - odd
        numbers[d, lane] = even_2 + odd_2
        numbers[e, lane] = even_2 - odd_2
        numbers[f, lane] = FOUR * p1 - FIVE * p3 + p5


@njit(inline="always")
def _input_adjoint(numbers, a, step, lanes):
    """B times the six rows."""
    b = a + step
    c = b + step
    d = c + step
    e = d + step
    f = e + step
    for lane in range(lanes):
        p0, p1, p2 = numbers[a, lane], numbers[b, lane], numbers[c, lane]
        p3, p4, p5 = numbers[d, lane], numbers[e, lane], numbers[f, lane]
        sum_1, difference_1 = p1 + p2, p1 - p2
        sum_2, difference_2 = p3 + p4, TWO * (p3 - p4)
        numbers[a, lane] = FOUR * p0
        numbers[b, lane] = FOUR * p5 - FOUR * difference_1 - difference_2
        numbers[c, lane] = -FIVE * p0 - FOUR * sum_1 - sum_2
        numbers[d, lane] = difference_1 + difference_2 - FIVE * p5
        numbers[e, lane] = p0 + sum_1 + sum_2
        numbers[f, lane] = p5


@njit(inline="always")
def _output(numbers, a, step, lanes):
    """A' times the six rows: the first four of them."""
    b = a + step
    c = b + step
    d = c + step
    e = d + step
    f = e + step
    for lane in range(lanes):
        p0, p1, p2 = numbers[a, lane], numbers[b, lane], numbers[c, lane]
        p3, p4, p5 = numbers[d, lane], numbers[e, lane], numbers[f, lane]
        sum_1, difference_1 = p1 + p2, p1 - p2
        sum_2, difference_2 = p3 + p4, p3 - p4
        numbers[a, lane] = p0 + sum_1 + sum_2
        numbers[b, lane] = difference_1 + TWO * difference_2
        numbers[c, lane] = sum_1 + FOUR * sum_2
        numbers[d, lane] = difference_1 + EIGHT * difference_2 + p5


@njit(inline="always")
def _output_adjoint(numbers, a, step, lanes):
    """A times the first four rows: all six of them."""
    b = a + step
    c = b + step
    d = c + step
    e = d + step
    f = e + step
    for lane in range(lanes):
        p0, p1, p2, p3 = numbers[a, lane], numbers[b, lane], numbers[c, lane], numbers[d, lane]
        even, odd = p0 + p2, p1 + p3
        even_2, odd_2 = p0 + FOUR * p2, TWO * p1 + EIGHT * p3
        numbers[b, lane] = even + odd
        numbers[c, lane] = even - odd
        numbers[d, lane] = even_2 + odd_2
        numbers[e, lane] = even_2 - odd_2
        numbers[f, lane] = p3
