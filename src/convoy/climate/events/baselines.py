"""Baselines: multinomial logistic regression on area means of pixels, and on spectra and histograms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from convoy.climate.events.data.io import TRAIN, VALIDATION, Images
from convoy.climate.events.models.params import PixelsParams, SpectraParams
from convoy.core.errors import ConvoyError

Tensors = Mapping[str, npt.NDArray[Any]]
Features = npt.NDArray[np.float64]
Standard = tuple[Sequence[float], Sequence[float]]

_AT_ONCE = 512
_WIDEST = 4.0  # standard deviations that a histogram covers; values beyond count at its ends
_LOWEST_POWER = 1e-9


def features(kind: str, values: npt.NDArray[Any], standard: Standard, cells: int, bins: int) -> Features:
    """Features (n, F) of images (n, C, H, W), standardised by the mean and deviation of each channel."""
    mean, std = (np.asarray(part, np.float32)[:, None, None] for part in standard)
    rows = []
    for start in range(0, len(values), _AT_ONCE):
        part = (values[start : start + _AT_ONCE].astype(np.float32) - mean) / std
        rows.append(area_means(part, cells) if kind == "pixels" else spectra(part, cells, bins))
    return np.concatenate(rows)


def area_means(values: npt.NDArray[np.floating], cells: int) -> Features:
    """Means over cells x cells areas of nearly equal size: (n, C, H, W) -> (n, C * cells * cells)."""
    for axis in (2, 3):
        size = values.shape[axis]
        edges = np.linspace(0, size, min(cells, size) + 1).round().astype(int)
        sums = np.add.reduceat(values, edges[:-1], axis=axis)
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        values = sums / np.diff(edges).reshape(shape).astype(np.float32)
    return values.reshape(len(values), -1).astype(np.float64)


def spectra(values: npt.NDArray[np.float32], rings: int, bins: int) -> Features:
    """Log power by ring of wavenumber, and the square roots of histogram counts, of each channel.

    The window of Hann removes the jump between opposite borders.
    """
    height, width = values.shape[2:]
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(np.fft.rfft2(values * window)) ** 2
    wave = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    ring = np.minimum((2 * wave * rings).astype(int), rings - 1).ravel()
    flat = power.reshape(-1, ring.size)
    sums = np.stack([np.bincount(ring, weights=row, minlength=rings) for row in flat])
    place = ((values + _WIDEST) * (bins / (2 * _WIDEST))).clip(0, bins - 1).astype(np.int64)
    place = place.reshape(len(flat), -1)
    counts = np.stack([np.bincount(row, minlength=bins) for row in place])
    found = np.hstack([np.log(sums + _LOWEST_POWER), np.sqrt(counts)])
    return found.reshape(len(values), -1)


def fit(kind: str, images: Images, standard: Standard, params: PixelsParams) -> dict[str, npt.NDArray[Any]]:
    """Tensors of a baseline fitted on the training images.

    coef float32 (classes, F) and intercept float32 (classes,) for features centred by `centre` and divided by
    `scale`, float64 (F,). C float64 (1,) is the one with the lowest log loss on the validation split. Raises
    ConvoyError where a class has no training image.
    """
    bins = params.bins if isinstance(params, SpectraParams) else 0
    classes = len(images.facts.classes)
    rows, held_out = images.rows(TRAIN), images.rows(VALIDATION)
    labels = images.labels[rows]
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise ConvoyError(
            f"{kind}: no training image of class '{images.facts.classes[missing[0]]}'; add some"
        )
    found = features(kind, images.values[rows], standard, params.cells, bins)
    centre, deviation = found.mean(axis=0), found.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    regression = LogisticRegression(max_iter=params.max_iter, tol=1e-4, warm_start=True)
    best: dict[str, npt.NDArray[Any]] = {}
    lowest = np.inf
    # One thread: sums of BLAS, and with them the weights, depend on the number of threads.
    with threadpool_limits(1):
        for C in sorted(params.C):
            regression.set_params(C=C).fit((found - centre) / scale, labels)
            coef, intercept = regression.coef_, regression.intercept_
            if len(coef) == 1:  # for two classes scikit-learn stores the second one's log-odds only
                coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.append(0.0, intercept)
            tensors = {
                "coef": coef.astype(np.float32), "intercept": intercept.astype(np.float32),
                "centre": centre, "scale": scale, "C": np.array([C]),
            }  # fmt: skip
            loss = _loss(kind, tensors, images, held_out, standard, params.cells, bins)
            if loss < lowest:
                best, lowest = tensors, loss
    return best


def probabilities(
    kind: str, tensors: Tensors, values: npt.NDArray[Any], standard: Standard, cells: int, bins: int
) -> npt.NDArray[np.float64]:
    """Probabilities (n, classes) of images (n, C, H, W), by the tensors of `fit`."""
    found = features(kind, values, standard, cells, bins)
    scaled = (found - tensors["centre"]) / tensors["scale"]
    return softmax(scaled @ tensors["coef"].T.astype(np.float64) + tensors["intercept"], axis=1)


def count_features(kind: str, channels: int, edges: Sequence[int], cells: int, bins: int) -> int:
    """F of images with these channels and this height and width."""
    if kind == "pixels":
        return channels * min(cells, edges[0]) * min(cells, edges[1])
    return channels * (cells + bins)


def class_frequencies(images: Images) -> npt.NDArray[np.float64]:
    """Share of each class in the training split, (classes,)."""
    counts = np.bincount(images.labels[images.rows(TRAIN)], minlength=len(images.facts.classes))
    return counts / counts.sum()


def _loss(
    kind: str, tensors: Tensors, images: Images, rows: npt.NDArray[np.int64], standard: Standard, cells: int,
    bins: int,
) -> float:  # fmt: skip
    predicted = probabilities(kind, tensors, images.values[rows], standard, cells, bins)
    return float(log_loss(images.labels[rows], predicted, labels=range(predicted.shape[1])))
