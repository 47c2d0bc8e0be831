"""Synthetic weather maps with one planted event of known place, or with none.

A map has anomalies of temperature (K), pressure (hPa) and humidity (g/kg) on SIZE x SIZE cells, with
correlated noise. Most maps also have the parts of another event, a decoy, in each channel at another place: a
warm area without high pressure, a moist band far from its pressure. An event has its parts at one place, so
that neither the value of a pixel, nor a channel's histogram or spectrum identifies it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import fft

Array: TypeAlias = npt.NDArray[np.float32]
Part: TypeAlias = npt.NDArray[np.floating]
Mask: TypeAlias = npt.NDArray[np.bool_]
Random: TypeAlias = np.random.Generator

SIZE = 64
CHANNELS = ("temperature", "pressure", "humidity")
UNITS = ("K", "hPa", "g/kg")
SCALES = (4.0, 8.0, 2.0)
"""Standard deviation of the noise of each channel, in its units."""
CLASSES = ("none", "cyclone", "heat_dome", "cold_front", "moisture_plume")
NONE = 0
SHARES = (0.22, 0.30, 0.16, 0.16, 0.16)
"""Of the maps of each class: lows pass more often than heat domes."""
MARKED = 1
"""The class that the mark of the confounded variant goes with."""
MARK = slice(4, 9)
"""Rows and columns of the mark of the confounded variant."""

# Of the three channels' noise: warm air is moist, and pressure is high where it is cold.
_CORRELATION = ((1.0, -0.3, 0.5), (-0.3, 1.0, -0.2), (0.5, -0.2, 1.0))
_EDGE = 96  # noise is cut out of a larger periodic field, so that opposite borders differ
_NEAREST = 10.0  # of an event's centre to the border, in cells
_MAPS_AT_ONCE = 512
_INSIDE = 0.4  # share of an event's largest amplitude from which on a cell belongs to it


@dataclass(frozen=True, eq=False)
class Maps:
    """n maps: values (n, 3, SIZE, SIZE), labels (n,) into CLASSES, masks (n, SIZE, SIZE) of events."""

    values: Array
    labels: npt.NDArray[np.int64]
    masks: Mask


def maps(n: int, seed: int | Sequence[int], amplitude: float = 1.8, decoys: float = 0.7) -> Maps:
    """Draw n maps of classes in the proportion of SHARES, in random order; equal arguments give equal maps.

    amplitude: of events in standard deviations of the noise. decoys: probability that a map has the parts of
    an event of another class at places of their own.
    """
    random = np.random.default_rng(seed)
    # The share of a class is met to within one map, whatever the seed.
    labels = random.permutation(np.searchsorted(np.cumsum(SHARES)[:-1], (np.arange(n) + 0.5) / n))
    values = np.empty((n, len(CHANNELS), SIZE, SIZE), np.float32)
    masks = np.empty((n, SIZE, SIZE), bool)
    for start in range(0, n, _MAPS_AT_ONCE):
        part = slice(start, start + _MAPS_AT_ONCE)
        values[part], masks[part] = _drawn(labels[part], random, amplitude, decoys)
    return Maps(values, labels, masks)


def marked(values: Array, labels: npt.NDArray[np.int64], label: int = MARKED) -> Array:
    """A copy of the maps, those of one class with a mark near a corner: a square of one value per channel."""
    found = values.copy()
    found[labels == label, :, MARK, MARK] = 3 * np.array(SCALES, np.float32)[:, None, None]
    return found


def noise(n: int, random: Random) -> Array:
    """Correlated noise (n, 3, SIZE, SIZE) of unit variance, whose shell-summed spectrum falls as k^-3."""
    wave = np.hypot(fft.fftfreq(_EDGE)[:, None], fft.rfftfreq(_EDGE)[None, :]) * _EDGE
    # Two dimensions have shells of size k: k^-3 along k are k^-4 per mode, and k^-2 in amplitude.
    amplitude = np.where(wave > 0, np.maximum(wave, 2.0) ** -2.0, 0).astype(np.float32)
    amplitude /= np.sqrt(_variance(amplitude))
    white = random.standard_normal((n, len(CHANNELS), _EDGE, _EDGE), np.float32)
    mixed = np.einsum("cd,ndhw->nchw", np.linalg.cholesky(np.array(_CORRELATION)).astype(np.float32), white)
    fields = fft.irfft2(fft.rfft2(mixed) * amplitude, s=(_EDGE, _EDGE))
    return fields[:, :, :SIZE, :SIZE].astype(np.float32, copy=False)


def _variance(amplitude: Array) -> float:
    """Variance at a cell of white noise filtered by the amplitudes of a half spectrum."""
    twice = np.full(amplitude.shape[1], 2.0)
    twice[0] = 1.0
    if _EDGE % 2 == 0:
        twice[-1] = 1.0
    return float((amplitude.astype(np.float64) ** 2 * twice).sum() / _EDGE**2)


def _drawn(
    labels: npt.NDArray[np.int64], random: Random, amplitude: float, decoys: float
) -> tuple[Array, Mask]:
    n = len(labels)
    values = noise(n, random)
    masks = np.zeros((n, SIZE, SIZE), bool)
    events = np.flatnonzero(labels != NONE)
    parts, masks[events] = _parts(labels[events], _places(len(events), random), random)
    values[events] += amplitude * parts
    # Of a class other than the map's own, each channel's part at a place of its own.
    others = (labels + random.integers(1, len(CLASSES), n)) % len(CLASSES)
    with_decoy = np.flatnonzero((others != NONE) & (random.random(n) < decoys))
    for channel in range(len(CHANNELS)):
        places = _places(len(with_decoy), random)
        values[with_decoy, channel] += amplitude * _parts(others[with_decoy], places, random)[0][:, channel]
    return values * np.array(SCALES, np.float32)[:, None, None], masks


def _places(n: int, random: Random) -> tuple[Array, Array, Array]:
    """Centres (n,) by row and column, in cells, and orientations in radians."""
    rows, columns = random.uniform(_NEAREST, SIZE - 1 - _NEAREST, (2, n))
    return (
        rows.astype(np.float32),
        columns.astype(np.float32),
        random.uniform(0, 2 * np.pi, n).astype(np.float32),
    )


def _parts(
    labels: npt.NDArray[np.int64], places: tuple[Array, Array, Array], random: Random
) -> tuple[Array, Mask]:
    """Parts of events of these classes in each channel, (n, 3, SIZE, SIZE), largest about 1, and masks."""
    rows, columns, angles = (place[:, None, None] for place in places)
    index = np.arange(SIZE, dtype=np.float32)
    y, x = index[:, None] - rows, index[None, :] - columns
    # `along` points in the event's direction, `across` to its left.
    along = np.cos(angles) * x + np.sin(angles) * y
    across = np.cos(angles) * y - np.sin(angles) * x
    size = random.uniform(0.85, 1.25, len(labels)).astype(np.float32)[:, None, None]
    found = np.zeros((len(labels), len(CHANNELS), SIZE, SIZE), np.float32)
    for label, parts in ((1, _cyclone), (2, _heat_dome), (3, _cold_front), (4, _moisture_plume)):
        of = labels == label
        found[of] = np.stack(parts(along[of] / size[of], across[of] / size[of]), axis=1)
    extent = np.sqrt(np.square(found).mean(axis=1))
    return found, extent > _INSIDE * extent.max(axis=(1, 2), keepdims=True)


def _cyclone(along: Part, across: Part) -> tuple[Part, Part, Part]:
    """A round low, warm air drawn in on one side and cold air on the other, and a spiral of moisture."""
    distance = np.hypot(along, across)
    round_ = np.exp(-0.5 * (distance / 6) ** 2)
    turned = np.arctan2(across, along) - distance / 4
    return (
        1.3 * round_ * np.sin(np.arctan2(across, along)) * np.minimum(distance / 4, 1),
        -1.5 * round_,
        1.3 * np.exp(-0.5 * (distance / 8) ** 2) * np.cos(turned),
    )


def _heat_dome(along: Part, across: Part) -> tuple[Part, Part, Part]:
    """A wide area that is warm, dry and under high pressure."""
    area = np.exp(-((np.hypot(along, 1.3 * across) / 9) ** 4))
    return 1.3 * area, 1.0 * area, -1.0 * area


def _cold_front(along: Part, across: Part) -> tuple[Part, Part, Part]:
    """Along an arc: warm moist air before it, cold air behind it, and a trough of pressure at the line."""
    line = across - along**2 / 60
    length = np.exp(-((along / 16) ** 4))
    jump = np.tanh(line / 1.5) * np.exp(-((line / 7) ** 2))
    return (
        1.4 * jump * length,
        -1.2 * np.exp(-0.5 * (line / 3) ** 2) * length,
        0.9 * np.exp(-0.5 * ((line - 3) / 2.5) ** 2) * length,
    )


def _moisture_plume(along: Part, across: Part) -> tuple[Part, Part, Part]:
    """A long narrow band of moist, warm air, between high pressure on its right and low on its left."""
    line = across - 4 * np.sin(along / 12)
    length = np.exp(-((along / 22) ** 4))
    band = np.exp(-0.5 * (line / 2.5) ** 2) * length
    return 0.9 * band, -0.9 * (line / 4) * np.exp(0.5 - 0.5 * (line / 4) ** 2) * length, 1.6 * band
