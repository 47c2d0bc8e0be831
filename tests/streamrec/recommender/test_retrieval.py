"""Retrieval: ranks and measures by closed forms, and scikit-learn where it has them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from convoy.streamrec.recommender.data.io import TEST, TRAIN
from convoy.streamrec.recommender.evaluation import retrieval
from convoy.streamrec.recommender.impressions import code
from tests.support import interactions as small

RNG = np.random.default_rng(0)


def coded(items: int = 300):
    return code(small.interactions(items=items), small.item_ids(items))


def test_equal_scores_are_ranked_in_the_order_of_ids():
    scores = np.array([0.5, 0.9, 0.5, 0.5, 0.1], np.float32)
    assert retrieval.rank_of(scores, np.arange(5)).tolist() == [2, 1, 3, 4, 5]
    assert retrieval.rank_of(np.zeros(5, np.float32), np.array([4, 0])).tolist() == [5, 1]


def test_measures_equal_closed_forms_and_short_lists_are_not_padded():
    # The first user has relevant items at ranks 1 and 3, the second one at rank 25, the third one at 2.
    found = retrieval.measures(np.array([1, 3, 25, 2]), np.array([0, 0, 1, 2]), users=3, left_out=4)
    assert found.recall.tolist() == [1, 0, 1]
    best = 1 + 1 / np.log2(3)
    np.testing.assert_allclose(found.ndcg, [(1 + 1 / np.log2(4)) / best, 0, 1 / np.log2(3)])
    np.testing.assert_allclose(found.reciprocal_rank, [1, 1 / 25, 1 / 2])
    assert found.metrics()["recall_at_20"] == pytest.approx(2 / 3)
    assert found.left_out == 4


def test_ndcg_equals_the_library_where_no_scores_are_equal():
    scores = RNG.normal(size=(6, 100)).astype(np.float32)
    relevant = RNG.random((6, 100)) < 0.1
    user, item = np.nonzero(relevant)
    ranks = np.array(
        [retrieval.rank_of(scores[u], np.array([i]))[0] for u, i in zip(user, item, strict=True)]
    )
    found = retrieval.measures(ranks, user, 6, 0)
    assert found.ndcg.mean() == pytest.approx(ndcg_score(relevant, scores, k=20))


def test_a_perfect_ranking_reaches_one_and_users_without_held_out_items_are_counted():
    given = coded()
    wanted = np.zeros((len(given.user_ids), 300), np.float32)
    test = given.click & (given.split == TEST)
    wanted[given.user[test], given.item[test]] = 1
    for group in retrieval.GROUPS:
        found = retrieval.retrieve(wanted, given, group)
        assert found.ndcg == pytest.approx(1)
        assert len(found.ndcg) + found.left_out == len(given.user_ids)
    alone = replace(given, click=given.click & ~(test & (given.user == given.user[test][0])))
    one, all_of = (retrieval.retrieve(wanted, each, "overall") for each in (alone, given))
    assert one.left_out == all_of.left_out + 1


def test_cold_and_warm_items_are_kept_apart():
    given = coded()
    cold, warm, overall = (retrieval.candidates(given, group) for group in retrieval.GROUPS)
    assert cold.any()
    assert not (cold & warm).any()
    assert (overall == (cold | warm)).all()
    assert not np.isin(given.item[given.split == TRAIN], np.flatnonzero(cold)).any()


def test_popularity_counts_training_clicks_alone():
    """A planted item that is clicked in the test period only, which a leak of the future would rank first."""
    given = coded()
    counts = retrieval.popularity_scores(given)[0]
    planted = int(np.flatnonzero(retrieval.candidates(given, "cold"))[0])
    later = np.flatnonzero(given.split == TEST)
    leaked = replace(given, item=np.where(np.isin(np.arange(len(given.item)), later), planted, given.item))
    assert np.array_equal(retrieval.popularity_scores(leaked)[0], counts)
    assert counts[planted] == 0
    vectors = small.tastes(300)
    assert np.array_equal(retrieval.content_scores(vectors, leaked), retrieval.content_scores(vectors, given))


def test_items_like_those_that_a_user_clicked_come_first():
    given = coded()
    user = given.user[given.click & (given.split == TRAIN)][0]
    liked = np.unique(given.item[given.click & (given.split == TRAIN) & (given.user == user)])
    vectors = np.full((300, 4), 0.1, np.float32) + RNG.normal(size=(300, 4)).astype(np.float32) / 100
    vectors[liked] = [1, 0, 0, 0]
    scores = retrieval.content_scores(vectors, given)[user]
    assert set(np.argsort(-scores)[: len(liked)]) == set(liked)


def test_true_taste_finds_more_than_random_vectors():
    given = code(small.interactions(items=300, users=80, slates=60), small.item_ids(300))
    taste, random = (
        retrieval.retrieve(retrieval.content_scores(small.tastes(300, seed), given), given, "overall")
        for seed in (0, 1)
    )
    assert taste.metrics()["ndcg_at_20"] > 1.2 * random.metrics()["ndcg_at_20"]
    low, high = taste.intervals(200, 0)["recall_at_20"]
    assert low < taste.metrics()["recall_at_20"] < high
