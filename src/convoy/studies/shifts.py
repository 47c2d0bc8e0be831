"""Equivariance of convolution to shifts of the image, and how zero padding and strides end it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor, nn

from convoy.core.params import Section
from convoy.training.loop import seeded


class ShiftParams(Section):
    """Random images and networks."""

    image_size: int = Field(32, ge=16, le=512, description="pixels; divisible by 4")
    images: int = Field(64, ge=1, le=10_000)
    largest_shift: int = Field(8, ge=1, le=64, description="pixels")
    seed: int = Field(0, ge=0, le=2**32 - 1)


Padding: TypeAlias = Literal["circular", "zeros"]
# Of four 3x3 convolutions with relu: the strides, the padding, and whether a filter averages before a stride.
VARIANTS: Mapping[str, tuple[tuple[int, ...], Padding, bool]] = MappingProxyType({
    "stride 1, circular padding": ((1, 1, 1, 1), "circular", False),
    "stride 1, zero padding": ((1, 1, 1, 1), "zeros", False),
    "stride 2 once, circular padding": ((1, 2, 1, 1), "circular", False),
    "stride 2 twice, circular padding": ((1, 2, 2, 1), "circular", False),
    "stride 2 twice, averaged before, circular": ((1, 2, 2, 1), "circular", True),
})  # fmt: skip


@dataclass(frozen=True)
class Shifted:
    """Relative differences after a shift to the right, root mean square by root mean square.

    features: of the features of the shifted image and the shifted features, which move by whole features.
    pooled: of their means over all places, before and after the shift.
    """

    variant: str
    shift: int
    features: float
    pooled: float


def network(variant: str, channels: int = 16) -> nn.Sequential:
    """The convolutions of a variant, with random weights."""
    strides, padding, blurred = VARIANTS[variant]
    layers: list[nn.Module] = []
    for number, stride in enumerate(strides):
        if blurred and stride > 1:
            layers.append(_Average(channels))
        inputs = channels if number else 1
        layers += [nn.Conv2d(inputs, channels, 3, stride, 1, padding_mode=padding), nn.ReLU()]
    return nn.Sequential(*layers)


class _Average(nn.Conv2d):
    """The binomial filter 1-2-1 of each channel, with circular padding (Zhang, 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, 1, 1, groups=channels, bias=False, padding_mode="circular")
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.weight.data.copy_(torch.outer(line, line).expand_as(self.weight))


def measure(params: ShiftParams) -> list[Shifted]:
    """Every variant with every shift from 0 to the largest, on images that go round at their edges."""
    found = []
    for variant, (strides, _, _) in VARIANTS.items():
        step = int(torch.tensor(strides).prod())
        with seeded(params.seed), torch.no_grad():
            layers = network(variant)
            images = torch.randn(params.images, 1, params.image_size, params.image_size)
            before = layers(images)
            for shift in range(params.largest_shift + 1):
                after = layers(images.roll(shift, 3))
                moved = before.roll(round(shift / step), 3)
                pooled = [each.mean((2, 3)) for each in (before, after)]
                found.append(Shifted(variant, shift, _relative(after, moved), _relative(*pooled)))
    return found


def _relative(one: Tensor, other: Tensor) -> float:
    spread = other - other.mean(0)  # a constant that all images share is no feature
    return float((one - other).square().mean().sqrt() / spread.square().mean().sqrt())
