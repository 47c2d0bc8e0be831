"""Params of the models, the sections `climate.events.models.<name>` of params.yaml."""

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, field_validator

from convoy.core.augmentation_params import Augmentation
from convoy.core.params import Section
from convoy.core.training_params import RATES, ClassificationParams, Rates


class ImageTraining(ClassificationParams):
    """The training loop's params with defaults tuned for 3,000 maps of 64 x 64."""

    rates = MappingProxyType({**RATES, "adamw_one_cycle": Rates(4e-3, 0.05)})

    batch_size: int = Field(64, ge=2, le=65536)
    epochs: int | None = Field(8, ge=1, le=10000)
    patience: int | None = Field(None, ge=1, le=10000)
    label_smoothing: float = Field(0.05, ge=0, lt=1)


class NetworkParams(Section, ABC):
    """What all networks have: the allowed augmentation and how they are fitted."""

    # Weather maps are shifted only: flipped, a cyclone would turn the other way.
    augmentation: Augmentation = Augmentation(transforms=("crop",))
    training: ImageTraining = ImageTraining()

    @abstractmethod
    def network_of(self) -> tuple[str, dict[str, Any]]:
        """Name in `convoy.nn.images.IMAGE_MODELS`, and arguments apart from classes and channels."""


class SimpleCNNParams(NetworkParams):
    """The network of convoy.nn.images.SimpleCNN and how it is fitted."""

    width: int = Field(8, ge=1, le=256, description="channels of the first stage; later ones double it")
    blocks_per_stage: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        (1, 1, 1, 1), min_length=4, max_length=4
    )
    small_stem: bool = Field(True, description="for images below about 100 pixels: stride 1, no pooling")

    def network_of(self) -> tuple[str, dict[str, Any]]:
        names = {"width", "blocks_per_stage", "small_stem"}
        return "simple_cnn", self.model_dump(mode="json", include=names)


class MarkedTraining(ImageTraining):
    """The defaults for maps with the mark, which is learnt sooner than the events."""

    epochs: int | None = Field(5, ge=1, le=10000)


class MarkedParams(SimpleCNNParams):
    """SimpleCNN fitted on maps where a mark goes with one class."""

    training: ImageTraining = MarkedTraining()


class ImageModelParams(NetworkParams):
    """Any network of convoy.nn.images.IMAGE_MODELS and how it is fitted."""

    network: str = Field("resnet18", min_length=1, max_length=100, description="its name there")

    def network_of(self) -> tuple[str, dict[str, Any]]:
        return self.network, {}


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
