"""Optimisers and their learning-rate schedules."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convoy.core.training_params import Recipe, TrainingParams
from convoy.training.adagrad import adagrad, table_groups


@dataclass(frozen=True)
class Schedule:
    """The factor of the peak learning rate, a function of the share of the run that is done.

    `per_epoch`: constant within an epoch.
    """

    share: Callable[[float], float]
    per_epoch: bool = False


def constant(_done: float) -> float:
    """Always the peak."""
    return 1.0


def linear(done: float) -> float:
    """From 1 to 0 along a straight line."""
    return 1 - done


def cosine(done: float) -> float:
    """From 1 to 0 along half a cosine (Loshchilov and Hutter, 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * done))


def one_cycle(done: float, rise: float = 0.3, first: float = 1 / 25, last: float = 1e-4) -> float:
    """Up along a cosine for the first `rise` of the run, then down (Smith and Topin, 2018)."""
    if done < rise:
        return first + (1 - first) * (1 - cosine(done / rise))
    return last + (1 - last) * cosine((done - rise) / (1 - rise))


SCHEDULES: dict[Recipe, Schedule] = {
    "adagrad_linear": Schedule(linear),
    "adam": Schedule(constant),
    "adamw_one_cycle": Schedule(one_cycle),
    "sgd_cosine": Schedule(cosine, per_epoch=True),
}


class Optimiser:
    """A torch optimiser with its schedule; `capturable`: usable inside a CUDA graph."""

    def __init__(self, network: nn.Module, params: TrainingParams, steps_per_epoch: int) -> None:
        assert params.learning_rate is not None
        assert params.weight_decay is not None
        self.peak = params.learning_rate
        self.schedule = SCHEDULES[params.recipe]
        self.steps_per_epoch = steps_per_epoch
        self.steps = steps_per_epoch * params.epochs_of(steps_per_epoch)
        device = next(network.parameters()).device
        # A tensor on the GPU, so that a recorded graph reads the current value.
        self.rate: Tensor | float = (
            torch.tensor(self.peak, device=device) if device.type == "cuda" else self.peak
        )
        self.torch = self._build(params.recipe, network, params.weight_decay, device.type == "cuda")

    def _build(self, recipe: Recipe, network: nn.Module, decay: float, cuda: bool) -> torch.optim.Optimizer:
        if recipe == "adagrad_linear":
            return adagrad(table_groups(network, decay), self.rate)
        groups = _groups(network.parameters(), decay)
        if recipe == "sgd_cosine":
            return torch.optim.SGD(groups, lr=self.rate, momentum=0.9, fused=True)
        kind = torch.optim.Adam if recipe == "adam" else torch.optim.AdamW
        return kind(groups, lr=self.rate, fused=True, capturable=cuda)

    def load(self, slots: dict[int, dict[str, Tensor]]) -> None:
        """Take the state of each weight, by its number, from a checkpoint."""
        groups = self.torch.state_dict()["param_groups"]
        self.torch.load_state_dict({"state": slots, "param_groups": groups})
        for group in self.torch.param_groups:
            group["lr"] = self.rate  # loading replaced it by a copy, which `at_step` would not set

    def at_step(self, step: int) -> float:
        """Set the learning rate for 0-based `step` of the whole run and return it."""
        per_epoch = self.schedule.per_epoch
        now = step // self.steps_per_epoch * self.steps_per_epoch if per_epoch else step
        rate = self.peak * self.schedule.share(now / max(1, self.steps - (0 if per_epoch else 1)))
        if isinstance(self.rate, Tensor):
            self.rate.fill_(rate)
        else:
            for group in self.torch.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
        return rate


def _groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict]:
    """Weights decay; biases and the norms' scales and shifts do not."""
    weights: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in parameters:
        (weights if parameter.ndim > 1 else others).append(parameter)
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
