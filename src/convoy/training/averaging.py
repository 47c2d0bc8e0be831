"""Exponential mean of the weights over the last steps, validated and kept in place of the last step's."""

import torch
from torch import Tensor, nn


class AveragedWeights:
    """An exponential mean of a network's parameters over `horizon` steps (0: no mean, the current weights).

    Source: Polyak and Juditsky (1992); the exponential form as in Tarvainen and Valpola (2017), whose early
    steps count for less since they are hardly trained.
    """

    def __init__(self, network: nn.Module, horizon: float) -> None:
        self.parameters = [parameter.detach() for parameter in network.parameters()]
        self.means = [parameter.clone() for parameter in self.parameters]
        self.horizon = horizon
        pairs = list(zip(self.means, self.parameters, strict=True))
        self.large = [pair for pair in pairs if pair[0].numel() > 2**18]
        self.small = [pair for pair in pairs if pair[0].numel() <= 2**18]

    def follow(self, steps_done: int) -> None:
        """Update the means with the weights after `steps_done` steps of the run."""
        if self.horizon:
            weight = max(1 / max(1.0, self.horizon), 10 / (10 + steps_done))
            # A foreach kernel gives each 65,536 numbers to one multiprocessor: on a GPU large tensors go
            # alone.
            for mean, parameter in self.large:
                mean.lerp_(parameter, weight)
            if self.small:
                means, parameters = zip(*self.small, strict=True)
                torch._foreach_lerp_(means, parameters, weight)

    def swap(self) -> None:
        """Exchange the network's weights with the means; a second call undoes the first."""
        if self.horizon:
            today = [parameter.clone() for parameter in self.parameters]
            torch._foreach_copy_(self.parameters, self.means)
            torch._foreach_copy_(self.means, today)

    def tensors(self) -> dict[str, Tensor]:
        """The means, for a checkpoint."""
        return {str(number): mean for number, mean in enumerate(self.means)}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take the means from a checkpoint."""
        for number, mean in enumerate(self.means):
            mean.copy_(tensors[str(number)])
