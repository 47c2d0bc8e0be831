"""A small task for image networks: wave patterns in noise, ten classes by direction and wavelength."""

import math

import torch
from torch import Tensor

from convoy.training.image_batches import ImageBatches, channel_statistics

DIRECTIONS, WAVELENGTHS = 5, (4.0, 7.0)  # pixels
CLASSES = DIRECTIONS * len(WAVELENGTHS)


def gratings(count: int, size: int, seed: int, noise: float) -> tuple[Tensor, Tensor]:
    """Images (count, 1, size, size), float32, of random phase and amplitude, and their labels (count,).

    noise: standard deviation of the white noise; waves have amplitudes of 0.5 to 1.
    """
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count,), generator=random)
    phase = 2 * math.pi * torch.rand(count, 1, 1, generator=random)
    amplitude = 0.5 + 0.5 * torch.rand(count, 1, 1, generator=random)
    angle = (labels % DIRECTIONS) * math.pi / DIRECTIONS
    number = 2 * math.pi / torch.tensor(WAVELENGTHS)[labels // DIRECTIONS]
    places = torch.arange(size, dtype=torch.float32)
    along = (
        torch.cos(angle)[:, None, None] * places[None, None, :]
        + torch.sin(angle)[:, None, None] * places[None, :, None]
    )
    waves = amplitude * torch.sin(number[:, None, None] * along + phase)
    images = waves + noise * torch.randn(count, size, size, generator=random)
    return images[:, None], labels


def train_and_validation(count: int, size: int, seed: int, noise: float) -> tuple[ImageBatches, ImageBatches]:
    """`count` images to train on and a quarter as many to validate, standardised by the former."""
    images, labels = gratings(count + count // 4, size, seed, noise)
    standard = channel_statistics(images[:count])
    return (
        ImageBatches(images[:count], labels[:count], CLASSES, standard),
        ImageBatches(images[count:], labels[count:], CLASSES, standard),
    )
