"""What the training loop trains on: examples that lie whole on the device and give batches by index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """The batches of one epoch: `order` cut at `cuts`; `widths` is the padded length of each."""

    order: Tensor
    cuts: tuple[int, ...]
    widths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.widths)

    def items(self, number: int) -> Tensor:
        return self.order[self.cuts[number] : self.cuts[number + 1]]

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        """Each batch's items and width."""
        for number, width in enumerate(self.widths):
            yield self.items(number), width


class Examples(Protocol):
    """Inputs with targets. A batch is drawn by index tensors, never item by item."""

    def __len__(self) -> int: ...

    @property
    def inference_batch(self) -> int:
        """How many examples at a time are fast where no gradients are kept."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same examples, resident on `device`."""
        ...

    def plan(self, size: int, generator: np.random.Generator | None) -> Plan:
        """Cut all examples into batches of `size`; in random order where a generator is given."""
        ...

    def batch(self, items: Tensor, width: int, training: bool) -> tuple[Any, Tensor]:
        """Inputs and targets of `items`; augmented where `training`."""
        ...

    def names(self, items: Sequence[int]) -> list[str]:
        """How a person calls these examples."""
        ...


class TokenExamples:
    """Texts of different lengths: flat tokens with offsets, padded batch by batch on the device.

    tokens: (T,) integers; offsets: (N + 1,); labels: (N,). A share `word_dropout` of the tokens of a training
    batch becomes `unknown`. Batches hold texts of like length: `bucket` batches are sorted together. On a GPU
    all have one width, so that one recorded graph serves them; its kernels spend nothing on padding.
    """

    width_step = 8

    def __init__(
        self, tokens: Tensor, offsets: np.ndarray, labels: Tensor, item_names: Sequence[str],
        word_dropout: float = 0.0, unknown: int = 1, bucket: int = 32,
    ) -> None:  # fmt: skip
        self.tokens, self.labels, self.item_names = tokens, labels, item_names
        self.offsets = offsets
        self.lengths = np.diff(offsets)
        self.start = torch.from_numpy(offsets[:-1]).to(tokens.device)
        self.length = torch.from_numpy(self.lengths).to(tokens.device)
        self.word_dropout, self.unknown, self.bucket = word_dropout, unknown, bucket

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def inference_batch(self) -> int:
        return 4096 if self.tokens.is_cuda else 512

    def to(self, device: torch.device) -> "TokenExamples":
        return TokenExamples(
            self.tokens.to(device), self.offsets, self.labels.to(device), self.item_names,
            self.word_dropout, self.unknown, self.bucket,
        )  # fmt: skip

    def plan(self, size: int, generator: np.random.Generator | None) -> Plan:
        count = len(self)
        order = np.arange(count) if generator is None else generator.permutation(count)
        span = size * self.bucket if generator is not None else count
        parts = [order[low : low + span] for low in range(0, count, span)]
        if not self.tokens.is_cuda:
            parts = [part[np.argsort(self.lengths[part], kind="stable")] for part in parts]
        batches = [part[low : low + size] for part in parts for low in range(0, len(part), size)]
        if generator is not None:
            # A batch of one has no batch statistics; its neighbour takes it in.
            if len(batches) > 1 and len(batches[-1]) == 1:
                batches[-2:] = [np.concatenate(batches[-2:])]
            batches = [batches[number] for number in generator.permutation(len(batches))]
        if self.tokens.is_cuda:
            longest = [int(self.lengths.max(initial=1))] * len(batches)
        else:
            longest = [int(self.lengths[batch].max(initial=1)) for batch in batches]
        widths = [-(-max(length, 1) // self.width_step) * self.width_step for length in longest]
        cuts = np.concatenate([[0], np.cumsum([len(batch) for batch in batches])])
        on_device = torch.from_numpy(np.concatenate(batches)).to(self.tokens.device)
        return Plan(on_device, tuple(cuts.tolist()), tuple(widths))

    def batch(self, items: Tensor, width: int, training: bool) -> tuple[Tensor, Tensor]:
        position = torch.arange(width, device=items.device)
        inside = position < self.length[items, None]
        at = (self.start[items, None] + position).clamp_max_(max(len(self.tokens) - 1, 0))
        tokens_NL = self.tokens[at].long()
        if training and self.word_dropout > 0:
            dropped = torch.rand(tokens_NL.shape, device=items.device) < self.word_dropout
            tokens_NL = tokens_NL.masked_fill(dropped, self.unknown)
        return tokens_NL * inside, self.labels[items]

    def names(self, items: Sequence[int]) -> list[str]:
        return [self.item_names[item] for item in items]
