"""The click model: age, tier and position through an MLP, and a frozen item vector, projected."""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_USER_STD = 0.1  # of initial user vectors: the first dot products are then small


class Impressions(NamedTuple):
    """N impressions: int64 rows of users, items and tiers (N,), and numbers (N, K) float32."""

    users: Tensor
    items: Tensor
    tiers: Tensor
    numbers: Tensor


class ClickModel(nn.Module):
    """Log-odds of a click: Impressions of N -> (N,).

    The frozen vector of the item (D,) is projected to `projection` dimensions. One part of the log-odds is an
    MLP on the tier, the numbers and the projected vector, the other the dot product of that vector and a
    trained one of the user. Row 0 of the users is for those without a training impression and stays zero.
    `delta`: a trained vector per item, zero at first, is added to the projected one.
    """

    vectors: Tensor

    def __init__(
        self, vectors_ID: Tensor, n_users: int, n_tiers: int, n_numbers: int, projection: int = 16,
        hidden: int = 32, delta: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer("vectors", vectors_ID, persistent=False)
        self.project = nn.Linear(vectors_ID.shape[1], projection)
        self.delta = nn.Embedding(len(vectors_ID), projection) if delta else None
        if self.delta is not None:
            nn.init.zeros_(self.delta.weight)
        self.users = nn.Embedding(n_users, projection, padding_idx=0)
        with torch.no_grad():
            self.users.weight[1:] *= _USER_STD
        self.n_numbers = n_numbers
        self.tiers = nn.Embedding(n_tiers, 4)
        self.mlp = nn.Sequential(
            nn.Linear(4 + n_numbers + projection, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, impressions: Impressions) -> Tensor:
        # `embedding` copies whole rows, several times as fast as an index.
        item_NP = self.project(F.embedding(impressions.items, self.vectors))
        if self.delta is not None:
            item_NP = item_NP + self.delta(impressions.items)
        of_all = torch.cat([self.tiers(impressions.tiers), impressions.numbers, item_NP], dim=1)
        of_user = (self.users(impressions.users) * item_NP).sum(1)
        return cast(Tensor, self.mlp(of_all)).squeeze(1) + of_user
