"""The interface of data sets to the training loop: resident on the device, and cut into batches there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor


class Batch(NamedTuple):
    """Indices of the examples of a batch, and the sizes of its tensors.

    items: (n,) int64 indices on the device. shape: the sizes that the data set needs to draw the batch, n
    included; batches of equal shape have inputs and targets of equal sizes, so that one CUDA graph serves
    them.
    """

    items: Tensor
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """The batches of one epoch: `order`, indices on the device, cut at `cuts`; `shapes` of the batches."""

    order: Tensor
    cuts: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, number: int) -> Batch:
        return Batch(self.order[self.cuts[number] : self.cuts[number + 1]], self.shapes[number])

    def __iter__(self) -> Iterator[Batch]:
        return map(self.__getitem__, range(len(self)))

    def sizes(self) -> list[int]:
        """Number of examples in each batch."""
        return [high - low for low, high in pairwise(self.cuts)]


class Batches(Protocol):
    """A data set of inputs and targets that draws batches by index tensors, never item by item."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same data set, resident on `device`."""
        ...

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        """Cut all examples, each once, into batches of `batch_size` in random order.

        Where `random` is None, for evaluation, the data set chooses the order, and batches may be larger,
        since no gradients are kept.
        """
        ...

    def draw(self, batch: Batch, training: bool) -> tuple[Any, Tensor]:
        """Inputs, as the network takes them, and targets of a batch; augmented where `training`."""
        ...

    def names(self, items: Sequence[int]) -> list[str]:
        """Names of examples for error messages."""
        ...


def batch_cuts(count: int, batch_size: int, training: bool) -> tuple[int, ...]:
    """Index of the first example of each batch, and `count`.

    In training a last batch of one example, which has no batch statistics, is joined to the one before.
    """
    begins = list(range(0, count, batch_size))
    if training and len(begins) > 1 and count - begins[-1] == 1:
        begins.pop()
    return (*begins, count)


def equal_shapes_plan(
    count: int, batch_size: int, random: np.random.Generator | None, device: torch.device
) -> Plan:
    """The plan of a data set whose examples all have tensors of the same sizes; a shape is (n,).

    Shuffled by `random`, or in the order of the examples where that is None.
    """
    order = np.arange(count) if random is None else random.permutation(count)
    cuts = batch_cuts(count, batch_size, training=random is not None)
    shapes = tuple((high - low,) for low, high in pairwise(cuts))
    return Plan(torch.from_numpy(order).to(device), cuts, shapes)
