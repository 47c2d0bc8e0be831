"""Weights averaged over the last steps: what is validated and kept instead of the last step's own."""

import torch
from torch import Tensor, nn


class AveragedWeights:
    """An exponential mean of a network's parameters over `horizon` steps (0: no mean, today's weights).

    Source: Polyak and Juditsky (1992); the exponential form as in Tarvainen and Valpola (2017), whose early
    steps count for less since they are hardly trained.
    """

    def __init__(self, network: nn.Module, horizon: float) -> None:
        self.parameters = [parameter.detach() for parameter in network.parameters()]
        self.means = [parameter.clone() for parameter in self.parameters]
        self.horizon = horizon

    def follow(self, steps_done: int) -> None:
        """Take in the weights after `steps_done` steps of the run."""
        if self.horizon:
            weight = max(1 / max(1.0, self.horizon), 10 / (10 + steps_done))
            torch._foreach_lerp_(self.means, self.parameters, weight)

    def swap(self) -> None:
        """Exchange the network's weights with the means; twice leaves all as it was."""
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
