"""Synthetic users, impressions and clicks, drawn from the hidden taste vectors of the items."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field
from scipy.special import expit

from convoy.core.params import Section
from convoy.streamrec.catalogue.synthetic.distribution import TASTE_DIMENSIONS

DAY_S = 86_400
FIRST_S = 1_704_067_200  # 2024-01-01 in UTC; any date would do
SLATE = 10  # items of one impression list
TIERS = ("free", "standard", "premium")
TIER_SHARES = (0.5, 0.35, 0.15)
AGES = (16, 80)
AT_START = 0.5  # share of the items that exist on the first day; the others arrive evenly over time
FRESH_SHARE, FRESH_DAYS = 0.3, 14  # slots of a slate that are filled with items of the last days
SOUGHT_SHARE, SOUGHT_FROM = 0.5, 20  # slots that hold the item nearest to the user's taste out of so many
# Standard deviations of the terms of the log-odds of a click.
TASTE, APPEAL, TIER = 2.0, 0.5, 0.2
POSITION = 0.5  # lost per unit of log2(position)
INTERCEPT = -2.3
PROFILE = 0.3  # share of the variance of tastes of users that age and tier explain


class SyntheticInteractionsParams(Section):
    """Size of the synthetic interactions."""

    users: int = Field(500, ge=10, le=1_000_000, description="number of users")
    slates: int = Field(60, ge=1, le=10_000, description=f"lists of {SLATE} impressions per user, on average")
    days: int = Field(120, ge=10, le=10_000, description="length of the period")
    popularity_exponent: float = Field(
        0.8, ge=0, le=2, description="item of rank r is shown in proportion to r ** -exponent"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1)


@dataclass(frozen=True)
class Drawn:
    """Synthetic interactions.

    users: user_id, age, tier. events, in the order of time: user_id, item_id, time (s since 1970), click,
    position (from 1). probability (N,) float64 is the true one of each click.
    """

    users: pa.Table
    events: pa.Table
    probability: npt.NDArray[np.float64]


def draw_interactions(
    item_ids: pa.Array, taste: npt.NDArray[np.float32], params: SyntheticInteractionsParams
) -> Drawn:
    """Draw interactions with items of the taste vectors (N, 16).

    The log-odds of a click are the sum of user taste . item taste, the appeal of the item, which rises with
    its popularity, the tier of the user, and a loss that grows with the position in the slate.
    """
    of_users, of_items, of_slates, of_clicks = (
        np.random.default_rng(child) for child in np.random.SeedSequence(params.seed, spawn_key=(2,)).spawn(4)
    )
    age, tier, tastes = _users(of_users, params.users)
    period_s = params.days * DAY_S
    weight, arrival_s = _items(of_items, len(taste), period_s, params.popularity_exponent)
    user, time_s, position, item = _impressions(of_slates, weight, arrival_s, period_s, params, tastes, taste)

    appeal = np.log(weight)
    appeal = APPEAL * (appeal - appeal.mean()) / max(float(appeal.std()), 1e-12)
    match = np.einsum("nd,nd->n", tastes[user], taste[item].astype(np.float64))
    spread = np.sqrt((taste.astype(np.float64) ** 2).sum(axis=1).mean())
    tier_effect = TIER * np.arange(-1, len(TIERS) - 1)
    log_odds = (
        INTERCEPT + TASTE * match / spread + appeal[item] + tier_effect[tier[user]]
        - POSITION * np.log2(position)
    )  # fmt: skip
    probability = expit(log_odds)
    click = of_clicks.random(len(user)) < probability
    user_ids = pa.array([f"u{number:06d}" for number in range(params.users)], pa.string())
    users = pa.table(
        {
            "user_id": user_ids,
            "age": pa.array(age, pa.int32()),
            "tier": pa.array([TIERS[one] for one in tier], pa.string()),
        }
    )
    events = pa.table(
        {
            "user_id": user_ids.take(pa.array(user)),
            "item_id": item_ids.take(pa.array(item)),
            "time": pa.array(FIRST_S + time_s, pa.int64()),
            "click": pa.array(click),
            "position": pa.array(position, pa.int32()),
        }
    )
    return Drawn(users, events, probability)


def _users(
    rng: np.random.Generator, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Ages, tiers, and tastes (count, 16) of variance 1, a part of which age and tier explain."""
    age = rng.integers(AGES[0], AGES[1] + 1, size=count)
    tier = rng.choice(len(TIERS), size=count, p=TIER_SHARES)
    years = (age - np.mean(AGES)) / ((AGES[1] - AGES[0]) / np.sqrt(12))
    by_age = rng.normal(size=TASTE_DIMENSIONS) * np.sqrt(PROFILE / 2)
    by_tier = rng.normal(size=(len(TIERS), TASTE_DIMENSIONS)) * np.sqrt(PROFILE / 2)
    own = rng.normal(size=(count, TASTE_DIMENSIONS)) * np.sqrt(1 - PROFILE)
    return age, tier, years[:, None] * by_age + by_tier[tier] + own


def _items(
    rng: np.random.Generator, count: int, period_s: int, exponent: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Weight of each item among those shown, with a long tail, and its arrival in seconds from the start."""
    weight = rng.permutation(np.arange(1, count + 1) ** -exponent)
    arrival = np.where(rng.random(count) < AT_START, 0, rng.integers(0, period_s, size=count))
    return weight, arrival


def _impressions(
    rng: np.random.Generator, weight: npt.NDArray[np.float64], arrival_s: npt.NDArray[np.int64],
    period_s: int, params: SyntheticInteractionsParams, tastes: npt.NDArray[np.float64],
    taste: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int64], ...]:  # fmt: skip
    """User, time, position and item of every impression, in the order of time."""
    slates = rng.poisson(params.slates, size=params.users)
    user = np.repeat(np.arange(params.users), slates)
    time_s = rng.integers(0, period_s, size=len(user))
    order = np.argsort(time_s, kind="stable")
    user, time_s = user[order], time_s[order]

    # Items in the order of arrival: those that exist at a time are the first ones.
    by_arrival = np.argsort(arrival_s, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[by_arrival])])
    exist = np.maximum(np.searchsorted(arrival_s[by_arrival], time_s, side="right"), 1)
    old = np.searchsorted(arrival_s[by_arrival], time_s - FRESH_DAYS * DAY_S, side="right")
    old = np.where(old < exist, old, 0)
    # In some slots the user finds what is nearest to their taste among a few, elsewhere what is shown to all.
    item = np.empty((len(user), SLATE), np.int64)
    sought = rng.random(item.shape) < SOUGHT_SHARE
    for slots, choices in ((~sought, 1), (sought, SOUGHT_FROM)):
        row = np.nonzero(slots)[0]
        fresh = rng.random(len(row)) < FRESH_SHARE
        low = np.where(fresh, total[old[row]], 0.0)[:, None]
        drawn = low + rng.random((len(row), choices)) * (total[exist[row]][:, None] - low)
        place = np.searchsorted(total, drawn, side="right") - 1
        found = by_arrival[np.clip(place, 0, (exist[row] - 1)[:, None])]
        if choices > 1:
            match = np.einsum("nkd,nd->nk", taste[found], tastes[user[row]].astype(np.float32))
            found = found[np.arange(len(row)), match.argmax(axis=1)][:, None]
        item[slots] = found[:, 0]

    # An item that is drawn twice for a slate is shown once.
    slate = np.arange(len(user))[:, None]
    _, first = np.unique(slate * len(weight) + item, return_index=True)
    first.sort()
    row, position = np.divmod(first, SLATE)
    return user[row], time_s[row], position + 1, item.ravel()[first]
