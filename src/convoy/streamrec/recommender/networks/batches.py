"""Impressions for the training loop, and its objective for clicks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convoy.nn.clicks import Impressions
from convoy.training.batches import Batch, Plan, equal_shapes_plan

# Impressions per batch where no gradients are kept.
EVALUATION_BATCH = 65_536


@dataclass(frozen=True)
class ClickBatches:
    """N impressions and clicks (N,) float32, resident on a device; item_name names an item in messages."""

    impressions: Impressions
    clicks: Tensor
    item_name: Callable[[int], str] = str

    def __len__(self) -> int:
        return len(self.clicks)

    def to(self, device: torch.device) -> "ClickBatches":
        moved = Impressions(*(each.to(device) for each in self.impressions))
        return replace(self, impressions=moved, clicks=self.clicks.to(device))

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        if random is None:
            batch_size = max(batch_size, EVALUATION_BATCH)
        return equal_shapes_plan(len(self), batch_size, random, self.clicks.device)

    def draw(self, batch: Batch, training: bool) -> tuple[Impressions, Tensor]:  # noqa: ARG002 (no augmentation)
        drawn = Impressions(*(each.index_select(0, batch.items) for each in self.impressions))
        return drawn, self.clicks.index_select(0, batch.items)

    def names(self, items: Sequence[int]) -> list[str]:
        numbers = self.impressions.items[torch.as_tensor(items)].tolist()
        return [self.item_name(number) for number in numbers]


@dataclass(frozen=True)
class Clicks:
    """Binary cross-entropy of clicks; the figure is the area under the ROC curve."""

    figure = "auc"

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs.float(), targets)

    def validate(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.loss(outputs, targets), auc(outputs.float(), targets)


def auc(scores: Tensor, targets: Tensor) -> Tensor:
    """Area under the ROC curve, equal scores counting half (Mann and Whitney 1947); NaN for one class."""
    ordered, order = scores.sort()
    low = torch.searchsorted(ordered, ordered)
    high = torch.searchsorted(ordered, ordered, right=True)
    rank = (low + high + 1).double() / 2
    positives = targets.double().sum()
    above = (rank * targets[order]).sum() - positives * (positives + 1) / 2
    return (above / (positives * (len(targets) - positives))).float()
