"""Which transforms may be applied to images in training; apart from `augmentation`, as it needs no torch."""

from typing import Literal, TypeAlias

from pydantic import Field

from convoy.core.params import Section

Transform: TypeAlias = Literal[
    "crop", "flip_left_right", "flip_up_down", "rotate", "erase", "mixup", "cutmix"
]  # fmt: skip

View: TypeAlias = Literal["crop", "flip_left_right", "flip_up_down"]
"""Transforms of which `convoy.nn.augmentation.AveragedViews` makes fixed views."""


class Augmentation(Section):
    """The transforms that are applied in training, by name, and their strengths; none by default.

    crop: shifted by up to `padding` pixels, with zeros from outside. flip_left_right, flip_up_down: half of
    the images. rotate: by up to `degrees`, bilinear, with zeros from outside. erase: one box of 2% to 33% of
    the area set to zero. mixup, cutmix: each image with another one of its batch; with both named, half of
    the images each. Images are standardised, so that zero is the mean of the training data.
    """

    transforms: tuple[Transform, ...] = Field((), max_length=16, description="the data allow these")
    padding: int = Field(4, ge=1, le=1024, description="crop: pixels")
    degrees: float = Field(15.0, gt=0, le=180, description="rotate: at most")
    erase_probability: float = Field(0.25, gt=0, le=1)
    mixup_alpha: float = Field(0.2, gt=0, le=100, description="lambda ~ Beta(alpha, alpha)")
    cutmix_alpha: float = Field(1.0, gt=0, le=100, description="lambda ~ Beta(alpha, alpha)")

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, so that targets are probabilities of classes."""
        return "mixup" in self.transforms or "cutmix" in self.transforms
