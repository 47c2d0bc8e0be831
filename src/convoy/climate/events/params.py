"""Params of the models, the sections `climate.events.models.<name>` of params.yaml."""

from typing import Annotated

from pydantic import Field, field_validator

from convoy.core.params import Section
from convoy.nn.augmentation_params import Augmentation
from convoy.training.params import ClassificationParams


class ImageTraining(ClassificationParams):
    """The training loop's params with defaults tuned for 3,000 maps of 64 x 64."""

    learning_rate: float | None = Field(4e-3, gt=0, le=10, description="peak; None: the recipe's own")
    weight_decay: float | None = Field(0.05, ge=0, le=10, description="None: the recipe's own")
    batch_size: int = Field(64, ge=2, le=65536)
    epochs: int | None = Field(8, ge=1, le=10000)
    patience: int | None = Field(None, ge=1, le=10000)
    label_smoothing: float = Field(0.05, ge=0, lt=1)


class SimpleCNNParams(Section):
    """The network of convoy.nn.images.SimpleCNN and how it is fitted."""

    width: int = Field(8, ge=1, le=256, description="channels of the first stage; later ones double it")
    blocks_per_stage: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        (1, 1, 1, 1), min_length=4, max_length=4
    )
    small_stem: bool = Field(True, description="for images below about 100 pixels: stride 1, no pooling")
    # Weather maps are shifted only: flipped, a cyclone would turn the other way.
    augmentation: Augmentation = Augmentation(transforms=("crop",))
    training: ImageTraining = ImageTraining()


class PixelsParams(Section):
    """Multinomial logistic regression on area means of standardised pixels."""

    cells: int = Field(16, ge=1, le=256, description="area means along each edge of an image")
    C: tuple[float, ...] = Field(
        (1e-4, 1e-3, 1e-2), min_length=1, max_length=20,
        description="inverse strengths of the L2 penalty, the best on the validation split is kept",
    )  # fmt: skip
    max_iter: int = Field(200, ge=1, le=10_000)

    @field_validator("C")
    @classmethod
    def _bounded(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(1e-8 <= value <= 1e8 for value in values):
            raise ValueError("expected every C within 1e-8 and 1e8")
        return values


class SpectraParams(PixelsParams):
    """Multinomial logistic regression on each channel's radial spectrum and histogram."""

    cells: int = Field(32, ge=2, le=512, description="rings of the spectrum")
    C: tuple[float, ...] = Field(
        (1e-3, 1e-2, 1e-1), min_length=1, max_length=20,
        description="inverse strengths of the L2 penalty, the best on the validation split is kept",
    )  # fmt: skip
    bins: int = Field(20, ge=2, le=256, description="of a histogram, from -4 to 4 standard deviations")


class MajorityParams(Section):
    """Class frequencies have no params."""
