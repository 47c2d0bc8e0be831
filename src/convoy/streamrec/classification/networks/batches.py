"""Texts for the training loop: batches of padded token ids."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from convoy.training.batches import Batch, Plan, batch_cuts

# Texts per batch where no gradients are kept.
EVALUATION_BATCH = {"cpu": 512, "cuda": 4096}
WIDTH_STEP = 8


class TextBatches:
    """Texts of different lengths as flat tokens with offsets, padded batch by batch on the device.

    tokens: (T,) integers; offsets: (N + 1,); labels: (N,). A share `word_dropout` of the tokens of a training
    batch becomes `unknown`. A batch has texts of similar length: `bucket` batches are sorted together. On a
    GPU all have one width, so that they share one recorded graph; its kernels skip padding.
    """

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

    def to(self, device: torch.device) -> "TextBatches":
        return TextBatches(
            self.tokens.to(device), self.offsets, self.labels.to(device), self.item_names,
            self.word_dropout, self.unknown, self.bucket,
        )  # fmt: skip

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        """Shapes are (n, width): number of texts and padded length."""
        if random is None:
            batch_size = max(batch_size, EVALUATION_BATCH[self.tokens.device.type])
        order = self._order(batch_size, random)
        cuts = batch_cuts(len(self), batch_size, training=random is not None)
        batches = [order[low:high] for low, high in pairwise(cuts)]
        if random is not None:
            batches = [batches[number] for number in random.permutation(len(batches))]
        ends = np.cumsum([0, *(len(batch) for batch in batches)])
        if self.tokens.is_cuda:
            longest = [int(self.lengths.max(initial=1))] * len(batches)
        else:
            longest = [int(self.lengths[batch].max(initial=1)) for batch in batches]
        widths = [-(-max(length, 1) // WIDTH_STEP) * WIDTH_STEP for length in longest]
        shapes = tuple((len(batch), width) for batch, width in zip(batches, widths, strict=True))
        on_device = torch.from_numpy(np.concatenate(batches)).to(self.tokens.device)
        return Plan(on_device, tuple(ends.tolist()), shapes)

    def _order(self, batch_size: int, random: np.random.Generator | None) -> np.ndarray:
        """All texts, on a CPU those of `bucket` batches sorted by length, or all where `random` is None."""
        count = len(self)
        order = np.arange(count) if random is None else random.permutation(count)
        if self.tokens.is_cuda:
            return order
        span = count if random is None else batch_size * self.bucket
        parts = [order[low : low + span] for low in range(0, count, span)]
        return np.concatenate([part[np.argsort(self.lengths[part], kind="stable")] for part in parts])

    def draw(self, batch: Batch, training: bool) -> tuple[Tensor, Tensor]:
        items, (_, width) = batch
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
