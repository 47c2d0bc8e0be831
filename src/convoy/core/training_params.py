"""Params of a training."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field, field_validator, model_validator

from convoy.core.params import Section

# Length of a run where `epochs` is None.
FEWEST_EPOCHS, FEWEST_STEPS = 6, 1300

Recipe: TypeAlias = Literal["adagrad_linear", "adam", "adamw_one_cycle", "sgd_cosine"]


class Rates(NamedTuple):
    """Peak learning rate and weight decay."""

    learning_rate: float
    weight_decay: float


RATES: Mapping[Recipe, Rates] = MappingProxyType({
    "adagrad_linear": Rates(0.4, 0.0),
    "adam": Rates(1e-3, 0.0),
    "adamw_one_cycle": Rates(4e-3, 0.5),
    "sgd_cosine": Rates(0.1, 1e-4),
})  # fmt: skip


class TrainingParams(Section):
    """One training run.

    Where `learning_rate` and `weight_decay` are None, validation sets the recipe's own values, so that
    choosing another recipe is enough to get its values. A model's params class may state values tuned for the
    model in `rates`; they hold only for the recipes named there.
    """

    rates: ClassVar[Mapping[Recipe, Rates]] = RATES

    recipe: Recipe = "adamw_one_cycle"
    learning_rate: float | None = Field(None, gt=0, le=10, description="peak value; null: the recipe's own")
    weight_decay: float | None = Field(None, ge=0, le=10, description="null: the recipe's own")
    batch_size: int = Field(256, ge=2, le=65536)
    epochs: int | None = Field(
        14, ge=1, le=10000, description="largest number; null: 6, or more where 6 make fewer than 1,300 steps"
    )
    patience: int | None = Field(
        4,
        ge=1,
        le=10000,
        description="training stops after so many epochs without a lower validation loss; null: never",
    )
    average_epochs: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="weights are an exponential moving average over so many epochs; 0: no average",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the hardware computes in it"
    )
    threads: int = Field(2, ge=1, le=256, description="on a CPU; results depend on it")
    checkpoint_seconds: float = Field(15, ge=0, le=86400, description="shortest time between checkpoints")

    @model_validator(mode="before")
    @classmethod
    def _rates_of_the_recipe(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        own = cls.rates.get(values.get("recipe", cls.model_fields["recipe"].default))
        if own is None:  # an unknown recipe, refused with its field
            return values
        return values | {key: value for key, value in own._asdict().items() if values.get(key) is None}

    def epochs_of(self, steps: int) -> int:
        """The largest number of epochs, where an epoch has `steps` steps."""
        return self.epochs or max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / steps))


class ClassificationParams(TrainingParams):
    """One training run for `convoy.training.objectives.Classification`, with that objective's options."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="in the training loss")


class TrainParams(Section):
    """Params that all models of a task share."""

    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, max_length=100,
        description="each network is trained once per seed; the weights of the first seed are published",
    )  # fmt: skip

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0 or max(seeds) >= 2**32:
            raise ValueError("expected different seeds from 0 to 4294967295")
        return seeds
