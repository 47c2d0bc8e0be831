"""Interactions as numbers: what the click model and retrieval compute with."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from convoy.core.errors import ConvoyError
from convoy.streamrec.recommender.data.io import TRAIN, Interactions

Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
UNKNOWN = 0  # row of users without a training event, and of unknown tiers


@dataclass(frozen=True, eq=False)
class Coded:
    """E events with the N items of a catalogue, in the order of ids, and U users, in the order of ids.

    user, item, tier (E,); numbers (E, 2) float32: standardised age and log2 of the position, 0 where they are
    not known; click (E,), split (E,), sampled (E,). trained_user (U,) is the row of each user's vector in the
    click model: from 1, and 0 for a user without a training event. warm (N,): the item has a training event.
    Means and deviations are those of the training split.
    """

    item_ids: pa.Array
    user_ids: pa.Array
    tiers: tuple[str, ...]
    user: Ints
    item: Ints
    tier: Ints
    numbers: npt.NDArray[np.float32]
    click: Mask
    split: npt.NDArray[np.uint8]
    sampled: Mask
    trained_user: Ints
    warm: Mask

    @property
    def n_trained_users(self) -> int:
        """Number of rows of user vectors, that of unknown users included."""
        return int(self.trained_user.max(initial=0)) + 1

    def rows(self, split: int) -> Ints:
        """The events of a split."""
        return np.flatnonzero(self.split == split)


def code(interactions: Interactions, item_ids: pa.Array) -> Coded:
    """Number the events by users and by `item_ids`, which are sorted.

    Raises ConvoyError for an event with another item: the catalogue has changed since.
    """
    events, users = interactions.events, interactions.users
    item = pc.index_in(events["item_id"], value_set=item_ids)
    if item.null_count:
        stray = events["item_id"].filter(pc.is_null(item))[0]
        raise ConvoyError(
            f"{item.null_count} events with items that the catalogue lacks, such as '{stray}'",
            path="interactions", hint="run `dvc repro` to make the interactions again",
        )  # fmt: skip
    user = pc.index_in(events["user_id"], value_set=users["user_id"].combine_chunks()).to_numpy()
    item = item.to_numpy().astype(np.int64)
    split = events["split"].to_numpy()
    trained = np.zeros(len(users), bool)
    trained[user[split == TRAIN]] = True
    trained_user = np.where(trained, np.cumsum(trained), UNKNOWN)
    warm = np.zeros(len(item_ids), bool)
    warm[item[split == TRAIN]] = True
    tiers = tuple(sorted(set(users["tier"].drop_null().to_pylist())))
    tier_of = pc.fill_null(pc.index_in(users["tier"], value_set=pa.array(tiers, pa.string())), -1)
    age = users["age"].cast(pa.float64()).fill_null(float("nan")).to_numpy()
    position = events["position"].cast(pa.float64()).fill_null(float("nan")).to_numpy()
    numbers = np.stack(
        [_standardised(age[user], split == TRAIN), _standardised(np.log2(position), split == TRAIN)], axis=1
    )
    return Coded(
        item_ids=item_ids,
        user_ids=users["user_id"].combine_chunks(),
        tiers=tiers,
        user=user.astype(np.int64),
        item=item,
        tier=(tier_of.to_numpy() + 1)[user].astype(np.int64),
        numbers=numbers,
        click=events["click"].to_numpy(),
        split=split,
        sampled=events["sampled"].to_numpy(),
        trained_user=trained_user.astype(np.int64),
        warm=warm,
    )


def _standardised(values: npt.NDArray[np.float64], train: Mask) -> npt.NDArray[np.float32]:
    """Values with the mean 0 and deviation 1 of the training split; 0 where they are not known."""
    known = values[train & np.isfinite(values)]
    if len(known) == 0:
        return np.zeros(len(values), np.float32)
    scaled = (values - known.mean()) / (known.std() or 1.0)
    return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)
