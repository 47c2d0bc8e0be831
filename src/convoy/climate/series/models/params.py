"""Params of the models, the sections `climate.series.models.<name>` of params.yaml."""

from types import MappingProxyType
from typing import Any

from pydantic import Field, field_validator

from convoy.core.params import Section
from convoy.core.training_params import RATES, ClassificationParams, Rates


class SeriesTraining(ClassificationParams):
    """The training loop's params with defaults tuned for site-years."""

    rates = MappingProxyType({**RATES, "adamw_one_cycle": Rates(4e-3, 5e-2)})

    batch_size: int = Field(32, ge=2, le=65536)
    epochs: int | None = Field(14, ge=1, le=10000)
    patience: int | None = Field(None, ge=1, le=10000)


class TemporalCNNParams(Section):
    """The network of convoy.nn.temporal.SeriesClassifier and how it is fitted."""

    n_filters: int = Field(64, ge=1, le=4096, description="channels of the first block")
    kernel_size: int = Field(3, ge=1, le=63, description="days; odd")
    n_layers: int = Field(2, ge=1, le=8)
    output_dim: int = Field(128, ge=1, le=4096, description="of the site embedding")
    dropout: float = Field(0.0, ge=0, lt=1)
    training: SeriesTraining = SeriesTraining()

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("expected an odd number of days")
        return value

    def arguments(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"training"})


class LinearParams(Section):
    """Logistic regression, its strength of regularisation chosen on the validation split."""

    C: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0), min_length=1, max_length=20, description="inverse strengths of the L2 penalty"
    )

    @field_validator("C")
    @classmethod
    def _bounded(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(1e-6 <= value <= 1e6 for value in values):
            raise ValueError("expected every C within 1e-6 and 1e6")
        return values


class MajorityParams(Section):
    """Category frequencies have no params."""
