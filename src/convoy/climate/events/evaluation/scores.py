"""How well maps of importance point at events, and how similar two of them are.

Importance (n, H, W) lies in [0, 1], masks (n, H, W) hold at least one cell each. Each score is (n,).
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Importance: TypeAlias = npt.NDArray[np.floating]
Masks: TypeAlias = npt.NDArray[np.bool_]
Score: TypeAlias = npt.NDArray[np.float64]

THRESHOLD = 0.5
"""Importance from which on a cell counts for the intersection over union."""
OFF_CENTRE = 1 / 8
"""Distance of a mask's centroid to the centre, as a share of the edge, beyond which it is off-centre."""


def pointing(importance: Importance, masks: Masks) -> Score:
    """1 where the most important cell, the first of equal ones, is inside the mask (Zhang et al. 2016)."""
    flat = importance.reshape(len(importance), -1)
    return np.take_along_axis(masks.reshape(len(masks), -1), flat.argmax(1)[:, None], 1)[:, 0].astype(float)


def energy_inside(importance: Importance, masks: Masks) -> Score:
    """The share of all importance that is inside the mask (Wang et al. 2020); 0 for a map of zeros."""
    total = importance.sum((1, 2), dtype=np.float64)
    inside = np.where(masks, importance, 0).sum((1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.zeros(len(total)), where=total > 0)


def iou(importance: Importance, masks: Masks) -> Score:
    """Intersection over union of the mask and the cells of importance THRESHOLD and more."""
    chosen = importance >= THRESHOLD
    return (chosen & masks).sum((1, 2)) / (chosen | masks).sum((1, 2))


def rank_correlation(importance: Importance, other: Importance) -> Score:
    """Spearman's correlation over the cells of two maps of the same image; 0 where one is constant."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (importance, other)]
    first, second = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    spread = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    return np.divide((first * second).sum(axis=1), spread, out=np.zeros(len(spread)), where=spread > 0)


def off_centre(masks: Masks) -> npt.NDArray[np.bool_]:
    """Whether each mask's centroid is off the centre of the map, (n,)."""
    height, width = masks.shape[1:]
    counts = masks.sum((1, 2))
    rows = (masks.sum(2) * np.arange(height)).sum(1) / counts - (height - 1) / 2
    columns = (masks.sum(1) * np.arange(width)).sum(1) / counts - (width - 1) / 2
    return np.hypot(rows / height, columns / width) > OFF_CENTRE


def centre_map(n: int, height: int, width: int) -> Importance:
    """The same map n times: 1 at the centre, falling to 0 at the farthest corner."""
    rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    distance = np.hypot(rows[:, None] / height, columns[None, :] / width)
    return np.broadcast_to(1 - distance / distance.max(), (n, height, width))


def anomaly_size(values: npt.NDArray[np.generic], mean: Sequence[float], std: Sequence[float]) -> Importance:
    """Root mean square over channels of standardised images (n, C, H, W), each scaled to [0, 1].

    What an explanation points at where it follows the input alone and nothing that was learnt.
    """
    centre, deviation = (np.asarray(part, np.float32)[:, None, None] for part in (mean, std))
    size = np.sqrt(np.square((values.astype(np.float32) - centre) / deviation).mean(axis=1))
    low, high = (end(axis=(1, 2), keepdims=True) for end in (size.min, size.max))
    return np.asarray((size - low) / np.where(high > low, high - low, 1))


def random_maps(n: int, height: int, width: int, seed: int) -> Importance:
    """n maps of independent uniform numbers."""
    return np.random.default_rng(seed).random((n, height, width))
