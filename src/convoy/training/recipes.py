"""Optimisers and their learning-rate schedules, one row each."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convoy.training.adagrad import RowAdagrad
from convoy.training.params import TrainingParams


@dataclass(frozen=True)
class Recipe:
    """An optimiser's defaults and the share of the peak learning rate at a share of the run done."""

    learning_rate: float
    weight_decay: float
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


RECIPES = {
    "adagrad_linear": Recipe(0.4, 0.0, linear),
    "adam": Recipe(1e-3, 0.0, constant),
    "adamw_one_cycle": Recipe(4e-3, 0.5, one_cycle),
    "sgd_cosine": Recipe(0.1, 1e-4, cosine, per_epoch=True),
}


class Optimiser:
    """A torch optimiser with its schedule; `capturable`: usable inside a CUDA graph."""

    def __init__(self, network: nn.Module, params: TrainingParams, steps_per_epoch: int) -> None:
        recipe = RECIPES[params.recipe]
        self.peak = recipe.learning_rate if params.learning_rate is None else params.learning_rate
        decay = recipe.weight_decay if params.weight_decay is None else params.weight_decay
        self.share, self.per_epoch = recipe.share, recipe.per_epoch
        self.steps_per_epoch = steps_per_epoch
        self.steps = steps_per_epoch * params.epochs_of(steps_per_epoch)
        device = next(network.parameters()).device
        # A tensor on the GPU, so that a captured graph reads today's value.
        self.rate: Tensor | float = (
            torch.tensor(self.peak, device=device) if device.type == "cuda" else self.peak
        )
        self.torch = self._build(params.recipe, network, decay, device.type == "cuda")

    def _build(self, recipe: str, network: nn.Module, decay: float, cuda: bool) -> torch.optim.Optimizer:
        if recipe == "adagrad_linear":
            return RowAdagrad(network, self.rate, decay)
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
            group["lr"] = self.rate  # loading put a copy there, which nobody would set

    def at_step(self, step: int) -> float:
        """Set the learning rate for 0-based `step` of the whole run and return it."""
        now = step // self.steps_per_epoch * self.steps_per_epoch if self.per_epoch else step
        rate = self.peak * self.share(now / max(1, self.steps - (0 if self.per_epoch else 1)))
        if isinstance(self.rate, Tensor):
            self.rate.fill_(rate)
        else:
            for group in self.torch.param_groups:
                group["lr"] = rate
        return rate


def _groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict]:
    """Weights decay; biases and the norms' scales and shifts do not."""
    weights: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in parameters:
        (weights if parameter.ndim > 1 else others).append(parameter)
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
