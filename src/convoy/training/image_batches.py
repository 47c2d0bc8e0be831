"""Images as batches for the training loop: resident on the device, augmented there in training.

    standard = channel_statistics(train_images)
    train = ImageBatches(train_images, train_labels, 10, standard, Augmentation(transforms=("crop", "mixup")))
    validation = ImageBatches(images, labels, 10, standard)
    fit(SimpleCNN(10, small_stem=True), train, validation, Classification(), params, seed, "simple_cnn")

`Classification` takes the probabilities of mixed images as it takes labels. For maps to explain and for
other networks outside the loop, `standardised` gives the tensor that a network takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from convoy.core.augmentation_params import Augmentation
from convoy.core.errors import ConvoyError
from convoy.nn.augmentation import augment
from convoy.training.batches import Batch, Plan, equal_shapes_plan

_NO_AUGMENTATION = Augmentation()
_INFERENCE_IMAGES = 1024  # per batch on a GPU, where larger batches gain nothing


class ChannelStatistics(NamedTuple):
    """Mean and standard deviation of each channel, in the unit of the images; bytes count as 0 to 255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def channel_statistics(images: Tensor) -> ChannelStatistics:
    """The statistics over all pixels of images (N, C, H, W); a constant channel has deviation 1."""
    parts = images.split(1024)  # bounds the memory of the float64 copies
    count = images.numel() / images.shape[1]
    mean = sum(part.double().sum((0, 2, 3)) for part in parts) / count
    squares = sum(((part.double() - mean[:, None, None]) ** 2).sum((0, 2, 3)) for part in parts)
    std = (squares / count).sqrt()
    return ChannelStatistics(tuple(mean.tolist()), tuple(torch.where(std > 0, std, 1.0).tolist()))


@dataclass(frozen=True)
class ImageBatches:
    """Images (N, C, H, W), uint8 or float32, and labels (N,) int64 from 0 to classes - 1.

    Inputs of a batch are float32, standardised by `standard`; augmented by `allowed` where the loop trains
    and never in evaluation. Targets are labels, or probabilities (n, classes) in training where `allowed`
    mixes images. Random numbers are from torch's generator of the device, which the loop seeds. labels None:
    images to predict, with targets 0. ids: names for error messages; None: numbers. channels_last: of inputs
    on a CPU, which is faster, for a network that is safe so (`convoy.nn.images.channels_last_is_safe`);
    on a GPU channels always come last.
    Raises ConvoyError for wrong shapes, types and labels.
    """

    images: Tensor
    labels: Tensor | None
    classes: int
    standard: ChannelStatistics
    allowed: Augmentation = _NO_AUGMENTATION
    ids: Sequence[str] | None = None
    channels_last: bool = False
    factors: tuple[Tensor, Tensor] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape, kinds = tuple(self.images.shape), (torch.uint8, torch.float32)
        if len(shape) != 4 or 0 in shape or self.images.dtype not in kinds:
            raise ConvoyError(
                key="images", expected="(N, C, H, W) of uint8 or float32, none of them 0",
                found=f"{self.images.dtype} {shape}",
            )  # fmt: skip
        if {len(self.standard.mean), len(self.standard.std)} != {shape[1]}:
            raise ConvoyError(
                key="standard", expected=f"{shape[1]} channels", found=str(len(self.standard.mean))
            )
        if self.ids is not None and len(self.ids) != len(self.images):
            raise ConvoyError(key="ids", expected=str(len(self.images)), found=str(len(self.ids)))
        # On the device once: a recorded CUDA graph cannot read from the host.
        object.__setattr__(self, "factors", _factors(self.standard, self.images.device))
        if self.labels is None:
            return
        if self.labels.dtype != torch.int64 or tuple(self.labels.shape) != shape[:1]:
            raise ConvoyError(
                key="labels", expected=f"int64 ({shape[0]},)",
                found=f"{self.labels.dtype} {tuple(self.labels.shape)}",
            )  # fmt: skip
        low, high = self.labels.aminmax()
        if low < 0 or high >= self.classes:
            raise ConvoyError(
                key="labels", expected=f"0 to {self.classes - 1}", found=f"{int(low)} to {int(high)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "ImageBatches":
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        if random is None and self.images.is_cuda:
            batch_size = max(batch_size, _INFERENCE_IMAGES)
        return equal_shapes_plan(len(self), batch_size, random, self.images.device)

    def draw(self, batch: Batch, training: bool) -> tuple[Tensor, Tensor]:
        order = _order(self.images.device, self.channels_last)
        images = _affine(self.images[batch.items], *self.factors, order)
        if self.labels is None:
            return images, torch.zeros_like(batch.items)
        labels = self.labels[batch.items]
        if not training:
            return images, labels
        images, targets = augment(images, labels, self.classes, self.allowed)
        # Not contiguous(), which leaves images of one channel in either order as they are.
        return images.clone(memory_format=order), targets

    def names(self, items: Sequence[int]) -> list[str]:
        return [str(item) if self.ids is None else self.ids[item] for item in items]


def standardised(images: Tensor, standard: ChannelStatistics) -> Tensor:
    """Images (N, C, H, W) minus mean by standard deviation, per channel: float32, channels last on a GPU."""
    return _affine(images, *_factors(standard, images.device), _order(images.device, False))


def _factors(standard: ChannelStatistics, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift of each channel, (C, 1, 1)."""
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in standard)
    return (1 / std).float().to(device), (-mean / std).float().to(device)


def _affine(images: Tensor, scale: Tensor, shift: Tensor, order: torch.memory_format) -> Tensor:
    return torch.addcmul(shift, images.float().contiguous(memory_format=order), scale)


def _order(device: torch.device, channels_last: bool) -> torch.memory_format:
    last = channels_last or device.type == "cuda"
    return torch.channels_last if last else torch.contiguous_format
