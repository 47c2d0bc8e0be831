"""Transforms of single images, of torchvision.transforms.v2, which is imported when they are made.

They take a PIL image or a tensor (C, H, W) of bytes and return a float tensor (C, size, size). Training in
batches on a device is `convoy.nn.augmentation`.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from convoy.core.errors import ConvoyError

ImageTransform: TypeAlias = Callable[[Any], Tensor]
# Of ImageNet, in [0, 1], as in torchvision's own presets.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# 256 / 224: the shorter side before the centre crop (Krizhevsky et al. 2012).
RESIZE_RATIO = 1.143


def get_train_transforms(
    image_size: int, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD,
    randaugment: bool = False,
) -> ImageTransform:  # fmt: skip
    """Random resized crop, flip, colour jitter, greyscale, normalisation, random erasing.

    randaugment: two random operations of magnitude 9 after the flip (Cubuk et al. 2020). Random numbers are
    torch's own. Raises ConvoyError for a size below 1.
    """
    from torchvision.transforms import v2

    _check(image_size)
    return v2.Compose(
        [
            v2.ToImage(),
            v2.RandomResizedCrop(image_size, antialias=True),
            v2.RandomHorizontalFlip(),
            *([v2.RandAugment(2, 9)] if randaugment else []),
            v2.ColorJitter(0.2, 0.2, 0.2, 0.1),
            v2.RandomGrayscale(0.1),
            *_normalised(mean, std),
            v2.RandomErasing(0.25),
        ]
    )


def get_eval_transforms(
    image_size: int, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> ImageTransform:
    """Shorter side resized to 1.143 x `image_size`, centre crop, normalisation: deterministic."""
    from torchvision.transforms import v2

    _check(image_size)
    return v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(round(RESIZE_RATIO * image_size), antialias=True),
            v2.CenterCrop(image_size),
            *_normalised(mean, std),
        ]
    )


def get_small_train_transforms(
    mean: Sequence[float], std: Sequence[float], image_size: int = 32, degrees: float = 0.0
) -> ImageTransform:
    """For 32x32 images: random crop after padding by 4, flip, normalisation by the data set's statistics.

    degrees: of a random rotation, where the data allow one; 15 is usual.
    """
    from torchvision.transforms import v2

    _check(image_size)
    rotation = [v2.RandomRotation(degrees, v2.InterpolationMode.BILINEAR)] if degrees else []
    return v2.Compose(
        [
            v2.ToImage(), v2.RandomCrop(image_size, padding=4), v2.RandomHorizontalFlip(), *rotation,
            *_normalised(mean, std),
        ]
    )  # fmt: skip


def _normalised(mean: Sequence[float], std: Sequence[float]) -> list[Any]:
    import torch
    from torchvision.transforms import v2

    return [v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]


def _check(image_size: int) -> None:
    if image_size < 1:
        raise ConvoyError(key="image_size", expected="at least 1", found=str(image_size))
