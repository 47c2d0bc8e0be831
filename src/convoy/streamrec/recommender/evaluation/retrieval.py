"""Retrieval of held-out items: ranks among all items of a group, and the measures that follow from them.

The protocol of ColdRec: warm items have a training event, cold ones appear first after the training split,
and each group is evaluated apart. Every item of the group is a candidate, none is sampled. Equal scores are
ordered by id, and a user with fewer relevant items than places is counted as it is.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convoy.core.statistics import percentile_interval, resampled_sums
from convoy.streamrec.recommender.data.io import TEST, TRAIN
from convoy.streamrec.recommender.impressions import Coded

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
GROUPS = ("cold", "warm", "overall")
PLACES = 20
_USERS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Retrieved:
    """Measures (U,) of the users that have a relevant item of the group; `left_out` users have none."""

    recall: Floats
    ndcg: Floats
    reciprocal_rank: Floats
    left_out: int

    def metrics(self) -> dict[str, float]:
        """Means over users: recall and NDCG of the first 20, and the mean reciprocal rank."""
        return {
            "recall_at_20": float(self.recall.mean()),
            "ndcg_at_20": float(self.ndcg.mean()),
            "mrr": float(self.reciprocal_rank.mean()),
        }

    def intervals(self, resamples: int, seed: int) -> dict[str, tuple[float, float]]:
        """95% confidence intervals of the metrics by a bootstrap of users."""
        columns = np.stack([self.recall, self.ndcg, self.reciprocal_rank], axis=1)
        draws = resampled_sums(columns, resamples, np.random.default_rng(seed)) / len(columns)
        return {name: percentile_interval(one) for name, one in zip(self.metrics(), draws.T, strict=True)}


def candidates(coded: Coded, group: str) -> Mask:
    """The items (N,) of a group: cold ones are those of the test split without a training event.

    Items that no event has are in no group: no user could have clicked them.
    """
    tested = np.zeros(len(coded.warm), bool)
    tested[coded.item[(coded.split == TEST) & ~coded.sampled]] = True
    cold = tested & ~coded.warm
    return {"cold": cold, "warm": coded.warm, "overall": coded.warm | cold}[group]


def content_scores(vectors: npt.NDArray[np.float32], coded: Coded) -> npt.NDArray[np.float32]:
    """(U, N) cosines of all items to the mean vector of the items that a user clicked in training.

    Each item counts once. Vectors are scaled to length 1 after the mean of the warm items is subtracted.
    """
    centred = vectors - vectors[coded.warm].mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    profile = np.zeros((len(coded.user_ids), vectors.shape[1]), np.float32)
    user, item = _pairs(coded, TRAIN).T
    np.add.at(profile, user, unit[item])
    lengths = np.linalg.norm(profile, axis=1, keepdims=True)
    profile = np.divide(profile, lengths, out=np.zeros_like(profile), where=lengths > 0)
    # Sums in another order differ in the last digits; equal items must have equal scores.
    return np.round(profile @ unit.T, 6)


def popularity_scores(coded: Coded) -> npt.NDArray[np.float32]:
    """(U, N) numbers of clicks of each item in the training split, the same for all users."""
    liked = coded.click & (coded.split == TRAIN)
    counts = np.bincount(coded.item[liked], minlength=len(coded.warm)).astype(np.float32)
    return np.broadcast_to(counts, (len(coded.user_ids), len(counts)))


def retrieve(scores: npt.NDArray[np.float32], coded: Coded, group: str) -> Retrieved:
    """Rank the candidates of a group for each user, without the items that the user clicked in training.

    Relevant are the candidates that the user clicked in the test split.
    """
    chosen = np.flatnonzero(candidates(coded, group))
    place = np.full(len(coded.warm), -1)
    place[chosen] = np.arange(len(chosen))
    liked, wanted = (
        np.stack([user, place[item]], axis=1)[place[item] >= 0]
        for user, item in (_pairs(coded, split).T for split in (TRAIN, TEST))
    )
    width = len(chosen)
    wanted = wanted[~np.isin(wanted @ [width, 1], liked @ [width, 1])]
    users = np.unique(wanted[:, 0])
    ranks = np.empty(len(wanted), np.int64)
    for start in range(0, len(users), _USERS_AT_ONCE):
        block = users[start : start + _USERS_AT_ONCE]
        of_block = scores[block][:, chosen].astype(np.float32)
        hidden = liked[np.isin(liked[:, 0], block)]
        of_block[np.searchsorted(block, hidden[:, 0]), hidden[:, 1]] = -np.inf
        for row, user in enumerate(block):
            mine = slice(*np.searchsorted(wanted[:, 0], [user, user + 1]))
            ranks[mine] = rank_of(of_block[row], wanted[mine, 1])
    return measures(ranks, np.searchsorted(users, wanted[:, 0]), len(users), len(coded.user_ids) - len(users))


def _pairs(coded: Coded, split: int) -> Ints:
    """User and item (n, 2) of the clicks of a split, each pair once, in the order of users and items."""
    of_split = coded.click & (coded.split == split)
    keys = np.unique(coded.user[of_split] * len(coded.warm) + coded.item[of_split])
    return np.stack(np.divmod(keys, len(coded.warm)), axis=1)


def rank_of(scores: npt.NDArray[np.float32], items: Ints) -> Ints:
    """Ranks (n,) from 1 of `items` among all scores (N,), highest first, equal ones in the order of items."""
    own = scores[items]
    ascending = np.sort(scores)
    above = len(scores) - np.searchsorted(ascending, own, side="right")
    equal = np.searchsorted(ascending, own, side="right") - np.searchsorted(ascending, own)
    before = np.zeros(len(items), np.int64)
    for number in np.flatnonzero(equal > 1):
        before[number] = np.count_nonzero(scores[: items[number]] == own[number])
    return above + before + 1


def measures(ranks: Ints, user: Ints, users: int, left_out: int) -> Retrieved:
    """Recall@20, NDCG@20 and reciprocal rank of each user from the ranks of the relevant items.

    NDCG is relative to the best order of the user's relevant items, of which at most 20 fit.
    """
    relevant = np.bincount(user, minlength=users)
    shown = ranks <= PLACES
    found = np.bincount(user, weights=shown, minlength=users)
    gain = np.bincount(user, weights=np.where(shown, 1 / np.log2(ranks + 1), 0.0), minlength=users)
    ideal = np.cumsum(1 / np.log2(np.arange(1, PLACES + 1) + 1))
    best = np.full(users, np.iinfo(np.int64).max)
    np.minimum.at(best, user, ranks)
    return Retrieved(
        recall=found / relevant,
        ndcg=gain / ideal[np.minimum(relevant, PLACES) - 1],
        reciprocal_rank=1 / best,
        left_out=left_out,
    )
