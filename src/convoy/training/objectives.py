"""Objectives: the loss that a network is fitted with, and its validation figures."""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Objective(Protocol):
    """The loss of a training step and the figures of an epoch; options are fields of the objective itself.

    On a GPU both methods are recorded in CUDA graphs, so they must not wait for the device.
    """

    @property
    def figure(self) -> str:
        """Name of the second result of `validate`, as in the learning curve."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss that a training step minimises: a scalar, the mean over the examples of a batch."""
        ...

    def validate(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Validation loss, whose minimum is the best epoch, and a figure for the reader: scalars."""
        ...


@dataclass(frozen=True)
class Classification:
    """Cross-entropy, computed in float32; the figure is the accuracy.

    Smoothed labels make outputs underconfident, to a degree that differs between epochs: the validation loss
    is then the lowest over 21 temperatures from 1/16 to 2.
    """

    label_smoothing: float = 0.0
    figure = "accuracy"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.float(), targets, label_smoothing=self.label_smoothing)

    def validate(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        accuracy = (outputs.argmax(1) == targets).float().mean()
        if not self.label_smoothing:
            return F.cross_entropy(outputs.float(), targets), accuracy
        scaled = (outputs * 2 ** (step / 4) for step in range(-4, 17))
        losses = [F.cross_entropy(each.float(), targets) for each in scaled]
        return torch.stack(losses).min(), accuracy
