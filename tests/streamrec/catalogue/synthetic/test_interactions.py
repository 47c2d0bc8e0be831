"""Synthetic interactions: the distribution that they state."""

import numpy as np
import pyarrow.compute as pc

from convoy.streamrec.catalogue.synthetic import interactions
from convoy.streamrec.catalogue.synthetic.interactions import DAY_S, FIRST_S, SLATE, TIERS
from tests.support import interactions as small


def test_the_same_params_give_the_same_events_and_another_seed_gives_others():
    assert small.drawn().events.equals(small.drawn().events)
    assert not small.drawn().events.equals(small.drawn(seed=1).events)


def test_the_clicks_follow_the_stated_probabilities():
    made = small.drawn(items=500, users=200, slates=40)
    click = made.events["click"].to_numpy()
    assert len(click) > 50_000
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        inside = (made.probability >= low) & (made.probability < high)
        error = 4 / np.sqrt(inside.sum())
        assert abs(click[inside].mean() - made.probability[inside].mean()) < error


def test_times_positions_and_users_are_in_their_ranges():
    made = small.drawn()
    time, position = made.events["time"].to_numpy(), made.events["position"].to_numpy()
    assert (np.diff(time) >= 0).all()
    assert time.min() >= FIRST_S
    assert time.max() < FIRST_S + 40 * DAY_S
    assert set(position) == set(range(1, SLATE + 1))
    assert set(made.users["tier"].to_pylist()) == set(TIERS)
    assert pc.min_max(made.users["age"]).as_py()["min"] >= 16


def test_a_slate_shows_no_item_twice():
    events = small.drawn(items=30).events
    keys = events.select(["user_id", "item_id", "time"]).group_by(["user_id", "item_id", "time"])
    assert len(keys.aggregate([])) == len(events)


def test_no_item_is_shown_before_it_arrives():
    params = interactions.SyntheticInteractionsParams(users=50, slates=50, days=40)
    weight = np.ones(400)
    arrival = np.sort(np.random.default_rng(0).integers(0, 40 * DAY_S, size=400))
    arrival[0] = 0
    rng = np.random.default_rng(1)
    tastes, taste = rng.normal(size=(50, 16)), rng.normal(size=(400, 16)).astype(np.float32)
    _, time_s, _, item = interactions._impressions(rng, weight, arrival, 40 * DAY_S, params, tastes, taste)
    assert len(item) > 10_000
    assert (arrival[item] <= time_s).all()
    assert len(np.unique(item)) > 350


def test_popular_items_are_shown_more_often_with_a_long_tail():
    counts = np.sort(np.unique(small.drawn(users=200).events["item_id"].to_numpy(), return_counts=True)[1])
    assert counts[-30:].sum() > 2 * counts[:150].sum()


def test_age_and_tier_explain_their_share_of_the_tastes():
    rng = np.random.default_rng(0)
    age, tier, taste = interactions._users(rng, 20_000)
    assert abs(taste.var(axis=0).mean() - 1) < 0.25
    features = np.column_stack([age, np.eye(3)[tier]])
    fitted = features @ np.linalg.lstsq(features, taste, rcond=None)[0]
    explained = fitted.var(axis=0).mean() / taste.var(axis=0).mean()
    assert 0.1 < explained < 0.5
