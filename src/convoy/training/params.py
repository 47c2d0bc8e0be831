"""How a network is to be fitted."""

import math
from typing import Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from convoy.core.errors import ConvoyError
from convoy.core.params import Section

# What a run is made of where nothing is said of its length.
FEWEST_EPOCHS, FEWEST_STEPS = 8, 1500

Recipe: TypeAlias = Literal["adagrad_linear", "adam", "adamw_one_cycle", "sgd_cosine"]


class TrainingParams(Section):
    """One training run; what is left out comes from the recipe (see convoy.training.recipes)."""

    recipe: Recipe = "adamw_one_cycle"
    learning_rate: float | None = Field(None, gt=0, le=10, description="peak; None: the recipe's own")
    weight_decay: float | None = Field(None, ge=0, le=10, description="None: the recipe's own")
    batch_size: int = Field(256, ge=2, le=65536)
    epochs: int | None = Field(
        14, ge=1, le=10000, description="at most; None: 8, on few examples as many as make 1,500 steps"
    )
    patience: int | None = Field(
        4, ge=1, le=10000, description="epochs without a better validation loss; None: all are run"
    )
    average_epochs: float = Field(
        0.0,
        ge=0,
        le=1000,
        description="weights are an exponential mean over so many epochs; 0: the last step's",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where it helps"
    )
    threads: int = Field(2, ge=1, le=256, description="on a CPU; results change with it")
    checkpoint_seconds: float = Field(15, ge=0, le=86400, description="at least so long between checkpoints")

    @model_validator(mode="after")
    def _patience_can_end(self) -> Self:
        if self.recipe != "adam" and (self.patience or 0) > (self.epochs or math.inf):
            raise ValueError(f"patience {self.patience} is longer than the run of {self.epochs} epochs")
        return self

    def device_here(self) -> Literal["cpu", "cuda"]:
        """The device meant on this machine; ConvoyError where a GPU is asked for and there is none."""
        if self.device == "cpu":
            return "cpu"
        import torch

        if torch.cuda.is_available():
            return "cuda"
        if self.device == "cuda":
            raise ConvoyError("training: device 'cuda' was asked for and no GPU was found; set device: auto")
        return "cpu"

    def epochs_of(self, steps: int) -> int:
        """How many epochs of so many steps are run at most."""
        return self.epochs or max(FEWEST_EPOCHS, math.ceil(FEWEST_STEPS / steps))


class TrainParams(Section):
    """What all models of a task share."""

    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, max_length=100,
        description="each network is trained once per seed; the first one's weights leave the house",
    )  # fmt: skip

    @field_validator("seeds")
    @classmethod
    def _each_once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0 or max(seeds) >= 2**32:
            raise ValueError("expected different seeds from 0 to 4294967295")
        return seeds


def device_of(params: Section) -> str:
    """Where a model with these params is fitted: `cpu` or `cuda`; ConvoyError where that is missing.

    What has no `training` is fitted without a network, and does not wait for torch.
    """
    training: TrainingParams | None = getattr(params, "training", None)
    return "cpu" if training is None else training.device_here()
