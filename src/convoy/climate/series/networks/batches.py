"""Site-years for the training loop."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from convoy.training.batches import Batch, Plan, equal_shapes_plan

# Site-years per batch where no gradients are kept.
EVALUATION_BATCH = 256


class SeriesBatches:
    """Values (N, V, 365) with labels (N,), resident on a device."""

    def __init__(self, values_NVT: Tensor, labels_N: Tensor, item_names: Sequence[str]) -> None:
        self.values_NVT, self.labels_N, self.item_names = values_NVT, labels_N, item_names

    def __len__(self) -> int:
        return len(self.labels_N)

    def to(self, device: torch.device) -> "SeriesBatches":
        return SeriesBatches(self.values_NVT.to(device), self.labels_N.to(device), self.item_names)

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        if random is None:
            batch_size = max(batch_size, EVALUATION_BATCH)
        return equal_shapes_plan(len(self), batch_size, random, self.labels_N.device)

    def draw(self, batch: Batch, training: bool) -> tuple[Tensor, Tensor]:  # noqa: ARG002 (no augmentation)
        return self.values_NVT[batch.items], self.labels_N[batch.items]

    def names(self, items: Sequence[int]) -> list[str]:
        return [self.item_names[item] for item in items]
