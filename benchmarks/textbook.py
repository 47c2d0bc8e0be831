"""The plain textbook TextCNN and its loops, written to be compared with; nothing is slow on purpose.

PyTorch Dataset and DataLoader, one item at a time, batches of 256, no workers, float32, every text padded
to 64 tokens, Adam.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

LENGTH, BATCH = 64, 256


class TextCNN(nn.Module):
    """Kim (2014) as books print it: the maximum goes over padded positions too.

    Its state_dict has the entries of convoy.nn.text.TextCNN in the same order, under other names.
    """

    def __init__(
        self, vocab_size: int, embedding_dim: int = 128, num_filters: int = 100,
        kernel_sizes: Sequence[int] = (3, 4, 5), num_classes: int = 20, dropout: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(embedding_dim, num_filters, k, padding=k // 2),
                nn.BatchNorm1d(num_filters),
                nn.ReLU(),
            )
            for k in kernel_sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_filters * len(kernel_sizes), num_classes)

    def forward(self, tokens_NL: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.get_embedding(tokens_NL)))

    def get_embedding(self, tokens_NL: Tensor) -> Tensor:
        embedded_NEL = self.embedding(tokens_NL).transpose(1, 2)
        return torch.cat([branch(embedded_NEL).amax(2) for branch in self.branches], 1)


class Texts(Dataset):
    """Padded token ids (N, 64) and labels (N,), handed out one item at a time."""

    def __init__(self, tokens_NL: Tensor, labels: Tensor) -> None:
        self.tokens_NL, self.labels = tokens_NL, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        return self.tokens_NL[item], self.labels[item]


def padded(tokens: np.ndarray, offsets: np.ndarray, items: np.ndarray, length: int = LENGTH) -> Tensor:
    """Token ids (len(items), length) int64: texts cut at `length`, padded behind with 0."""
    tokens_NL = np.zeros((len(items), length), np.int64)
    for row, item in enumerate(items):
        text = tokens[offsets[item] : offsets[item + 1]][:length]
        tokens_NL[row, : len(text)] = text
    return torch.from_numpy(tokens_NL)


def loader(texts: Texts, shuffle: bool = True, batch_size: int = BATCH) -> DataLoader:
    return DataLoader(texts, batch_size, shuffle=shuffle, num_workers=0)


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=1e-3)


def train_epoch(
    network: nn.Module, batches: DataLoader, optimiser: torch.optim.Optimizer, device: str = "cpu"
) -> float:
    """One pass over the batches; the mean loss."""
    network.train()
    total, items = 0.0, 0
    for tokens_NL, labels in batches:
        tokens_NL, labels = tokens_NL.to(device), labels.to(device)
        optimiser.zero_grad()
        loss = F.cross_entropy(network(tokens_NL), labels)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(labels)
        items += len(labels)
    return total / items


@torch.inference_mode()
def embed(network: TextCNN, batches: DataLoader, device: str = "cpu") -> np.ndarray:
    """Vectors (N, D) of all items, in the order of the batches."""
    network.eval()
    return torch.cat([network.get_embedding(tokens.to(device)).cpu() for tokens, _ in batches]).numpy()
