"""Params of the models, the sections `climate.models.<name>` of params.yaml."""

from types import MappingProxyType
from typing import Literal

from pydantic import Field

from convoy.core.params import Section
from convoy.core.training_params import RATES, Rates, TrainingParams


class BaselineParams(Section):
    """Baselines have no params."""


class DownscalingTraining(TrainingParams):
    """The training loop's params with defaults tuned for downscaling."""

    rates = MappingProxyType({**RATES, "adamw_one_cycle": Rates(8e-3, 1e-2)})

    batch_size: int = Field(16, ge=2, le=65536)
    epochs: int | None = Field(None, ge=1, le=10000)
    patience: int | None = Field(None, ge=1, le=10000)


class NetworkParams(Section):
    """A network of a trunk on the coarse grid and a head on the fine one, and how it is fitted."""

    width: int = Field(32, ge=1, le=4096, description="channels of the trunk")
    depth: int = Field(2, ge=1, le=64, description="blocks of the trunk; levels of the U-Net")
    hidden: int = Field(64, ge=1, le=4096, description="channels of the head")
    layers: int = Field(2, ge=1, le=16, description="of the head")
    conserve: Literal["none", "additive", "softmax", "auto"] = Field(
        "auto",
        description="area means equal the coarse input by a shift (additive) or by weights (softmax); "
        "auto: additive where those of the truth do, else none",
    )
    spread: Literal["none", "normal"] = Field(
        "none", description="normal: predicts a standard deviation as well"
    )
    per_pixel: Literal["none", "pixel", "auto"] = Field(
        "auto",
        description="pixel: learns effects of each fine cell, for one terrain only; "
        "auto: pixel where training has one terrain",
    )
    training: DownscalingTraining = DownscalingTraining()
