"""Params of the models, the sections `climate.models.<name>` of params.yaml."""

from types import MappingProxyType
from typing import Literal

from pydantic import Field

from convoy.core.params import Section
from convoy.training.params import RATES, Rates, TrainingParams


class BaselineParams(Section):
    """Baselines have no params."""


class DownscalingTraining(TrainingParams):
    """The training loop's params with defaults tuned for downscaling."""

    rates = MappingProxyType({**RATES, "adamw_one_cycle": Rates(8e-3, 1e-2)})

    batch_size: int = Field(16, ge=2, le=65536)
    epochs: int | None = Field(None, ge=1, le=10000)
    patience: int | None = Field(None, ge=1, le=10000)


class NetworkParams(Section):
    """A network of convoy.nn.downscaling and how it is fitted; its trunk is named by the model."""

    width: int = Field(32, ge=1, le=4096, description="channels of the coarse trunk")
    depth: int = Field(2, ge=1, le=64, description="blocks of the trunk; levels of the U-Net")
    hidden: int = Field(64, ge=1, le=4096, description="channels of the fine head")
    layers: int = Field(2, ge=1, le=16, description="of the fine head")
    conserve: Literal["none", "additive", "softmax", "auto"] = Field(
        "auto", description="auto: additive where the area means of the truth are the coarse input"
    )
    spread: Literal["none", "normal"] = Field("none", description="normal: a standard deviation as well")
    per_pixel: Literal["none", "pixel", "auto"] = Field(
        "auto", description="pixel: learnt for each fine cell, for one terrain only; auto: where there is one"
    )
    training: DownscalingTraining = DownscalingTraining()
