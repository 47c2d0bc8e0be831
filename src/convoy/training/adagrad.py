"""Adagrad for networks with embedding tables."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# A row of a table has a gradient in few batches, every other weight in each.
REST = 0.02
EPSILON = 1e-10


def table_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: embedding tables, other weights, and biases, which do not decay.

    The key `share` is the factor of a group's learning rate: 1 for tables, else `REST`.
    """
    tables = [module.weight for module in network.modules() if isinstance(module, nn.Embedding)]
    rest = [weight for weight in network.parameters() if all(weight is not table for table in tables)]
    return [
        {"params": tables, "share": 1.0, "weight_decay": weight_decay},
        {
            "params": [weight for weight in rest if weight.ndim > 1],
            "share": REST,
            "weight_decay": weight_decay,
        },
        {"params": [weight for weight in rest if weight.ndim <= 1], "share": REST, "weight_decay": 0.0},
    ]


def adagrad(groups: list[dict[str, Any]], lr: float | Tensor) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al., 2011): of PyTorch, or one for CUDA graphs where `lr` is a tensor."""
    if isinstance(lr, Tensor):
        return RecordableAdagrad(groups, lr)
    return torch.optim.Adagrad(groups, lr=lr, eps=EPSILON, fused=True)


class RecordableAdagrad(torch.optim.Optimizer):
    """The steps of torch.optim.Adagrad, with a learning rate that is read from a tensor on the device."""

    def __init__(self, groups: list[dict[str, Any]], lr: Tensor) -> None:
        super().__init__(groups, {"lr": lr, "share": 1.0})
        for group in self.param_groups:
            for weight in group["params"]:
                self.state[weight]["sum"] = torch.zeros_like(weight, requires_grad=False)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        if closure is not None:
            raise ValueError("one gradient a step: no closure")
        for group in self.param_groups:
            rate = group["lr"] * group["share"]
            for weight in group["params"]:
                gradient, total = weight.grad, self.state[weight]["sum"]
                if gradient is None:
                    continue
                if group["weight_decay"]:
                    gradient = gradient.add(weight, alpha=group["weight_decay"])
                total.addcmul_(gradient, gradient)
                weight.sub_(gradient / (total.sqrt() + EPSILON) * rate)
