"""Which device the params of a training choose on this machine; torch is imported only where it has to be."""

from typing import Literal

from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.core.training_params import TrainingParams


def device_here(training: TrainingParams) -> Literal["cpu", "cuda"]:
    """The device to use on this machine; raises ConvoyError for `cuda` where there is no GPU."""
    if training.device == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if training.device == "cuda":
        raise ConvoyError("training: expected a GPU for device 'cuda', found none; set device: auto")
    return "cpu"


def device_of(params: Section) -> str:
    """Device on which a model with these params is fitted: `cpu` or `cuda`.

    Params without `training` are those of a baseline: no torch is imported for them. Raises ConvoyError for
    `cuda` where there is no GPU.
    """
    training: TrainingParams | None = getattr(params, "training", None)
    return "cpu" if training is None else device_here(training)
