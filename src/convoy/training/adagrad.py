"""Adagrad for embedding tables: a step costs what the rows of the batch's own words cost."""

from collections.abc import Callable

import torch
from torch import nn

from convoy.nn.kernels import bags

# A row of a table is in the gradient of few batches, every other weight in that of each.
BESIDE_TABLES = 0.02
EPSILON = 1e-10


class RowAdagrad(torch.optim.Optimizer):
    """Adagrad (Duchi et al., 2011) with the rate `lr` for the embedding tables of `network`.

    All other weights learn at `BESIDE_TABLES` of it. On the CPU, without weight decay, the tables are asked
    for sparse gradients; a row that a batch lacks would not move anyway, so the steps are the same. Can be
    recorded as part of a CUDA graph; `lr` is then a tensor.
    """

    def __init__(self, network: nn.Module, lr: float | torch.Tensor, weight_decay: float) -> None:
        tables = [module for module in network.modules() if isinstance(module, nn.Embedding)]
        for table in tables:
            table.sparse = table.weight.is_cpu and not weight_decay
        own = [table.weight for table in tables]
        rest = [weight for weight in network.parameters() if all(weight is not other for other in own)]
        groups = [
            {"params": own, "share": 1.0, "weight_decay": weight_decay},
            {"params": [weight for weight in rest if weight.ndim > 1], "weight_decay": weight_decay},
            {"params": [weight for weight in rest if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        super().__init__(groups, {"lr": lr, "share": BESIDE_TABLES})
        for group in self.param_groups:
            for weight in group["params"]:
                self.state[weight]["sum"] = torch.zeros_like(weight, requires_grad=False)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        if closure is not None:
            raise ValueError("one gradient a step: no closure")
        for group in self.param_groups:
            rate = group["lr"] * group["share"]
            for weight in group["params"]:
                gradient, total = weight.grad, self.state[weight]["sum"]
                if gradient is None:
                    continue
                if gradient.is_sparse:
                    bags.adagrad(weight, total, gradient, rate, EPSILON)
                    continue
                if group["weight_decay"]:
                    gradient = gradient.add(weight, alpha=group["weight_decay"])
                total.addcmul_(gradient, gradient)
                weight.sub_(gradient / (total.sqrt() + EPSILON) * rate)
