"""Click model, its training, and its measures, each compared with a closed form or a library."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score

from convoy.nn.clicks import ClickModel, Impressions
from convoy.streamrec.recommender.data.io import TRAIN
from convoy.streamrec.recommender.evaluation import clicks
from convoy.streamrec.recommender.evaluation.clicks import Scored
from convoy.streamrec.recommender.impressions import code
from convoy.streamrec.recommender.inputs import Scaling, inputs
from convoy.streamrec.recommender.ladder import Rung, climb
from convoy.streamrec.recommender.models.specs import MODELS, usable
from convoy.streamrec.recommender.networks.batches import Clicks, auc
from convoy.streamrec.recommender.params import ClickParams, ClickTraining, LinearPairsParams
from convoy.streamrec.recommender.representations import Sources, category, words_and_pairs
from tests.support import interactions as small

RNG = np.random.default_rng(0)


def impressions(n: int) -> Impressions:
    return Impressions(
        torch.arange(n) % 4, torch.arange(n) % 6, torch.zeros(n, dtype=torch.int64), torch.ones(n, 2)
    )


def test_the_log_odds_are_the_mlp_plus_the_product_of_user_and_item():
    vectors = torch.from_numpy(small.tastes(6))
    network = ClickModel(vectors, n_users=4, n_tiers=1, n_numbers=2, projection=3, hidden=5)
    given = impressions(8)
    item = vectors[given.items] @ network.project.weight.T + network.project.bias
    tiers = network.tiers.weight[given.tiers]
    mlp = network.mlp(torch.cat([tiers, given.numbers, item], dim=1))[:, 0]
    expected = mlp + (network.users.weight[given.users] * item).sum(1)
    torch.testing.assert_close(network(given), expected)
    assert network.users.weight[0].abs().sum() == 0  # a user without a training event


def test_the_frozen_vectors_are_not_weights_and_a_delta_starts_at_zero():
    vectors = torch.from_numpy(small.tastes(6))
    plain = ClickModel(vectors, 4, 1, 2)
    with_delta = ClickModel(vectors, 4, 1, 2, delta=True)
    assert "vectors" not in plain.state_dict()
    with_delta.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(with_delta(impressions(8)), plain(impressions(8)))


def test_auc_and_its_loss_equal_the_library_with_ties():
    scores = torch.from_numpy(RNG.integers(0, 5, 200).astype(np.float32))
    targets = torch.from_numpy(RNG.integers(0, 2, 200).astype(np.float32))
    assert auc(scores, targets).item() == pytest.approx(roc_auc_score(targets, scores), abs=1e-6)
    loss, figure = Clicks().validate(scores, targets)
    by_hand = -(targets * torch.sigmoid(scores).log() + (1 - targets) * torch.sigmoid(-scores).log()).mean()
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert figure == auc(scores, targets)


def test_auc_of_counts_is_the_share_of_pairs_in_the_right_order():
    negatives, positives = np.array([3.0, 1, 0]), np.array([0.0, 2, 2])
    # Of 16 pairs 6 + 8 are in order and the 2 within the middle bin count half.
    assert clicks.auc_of_counts(negatives, positives) == pytest.approx((6 + 8 + 1) / 16)
    assert np.isnan(clicks.auc_of_counts(negatives, np.zeros(3)))


def scored(n: int = 4000, users: int = 50, seeds: int = 3) -> Scored:
    click = RNG.random(n) < 0.3
    log_odds = RNG.normal(size=(seeds, n)) + click
    return Scored(log_odds, click, RNG.integers(0, users, n))


def test_metrics_equal_closed_forms():
    # Normal scores one deviation apart: the area is the normal distribution function at 1 / sqrt(2).
    found = scored(40_000).metrics()
    assert found["auc"] == pytest.approx(0.7602, abs=0.01)
    even = Scored(np.zeros((1, 10)), np.arange(10) < 5, np.arange(10))
    assert even.metrics() == {"auc": 0.5, "log_loss": pytest.approx(np.log(2))}
    sure = Scored(np.full((1, 10), 2.0), np.arange(10) < 5, np.arange(10))
    assert sure.calibration_error() == pytest.approx(1 / (1 + np.exp(-2)) - 0.5)


def test_the_bootstrap_of_users_agrees_with_one_by_repetition():
    given = scored(n=1500, users=30, seeds=1)
    draws = given.auc_draws(2000, 0)
    rng = np.random.default_rng(1)
    rows = [np.flatnonzero(given.user == user) for user in range(30)]
    repeated = []
    for _ in range(400):
        chosen = np.concatenate([rows[user] for user in rng.integers(0, 30, 30)])
        repeated.append(roc_auc_score(given.click[chosen], given.log_odds[0, chosen]))
    assert draws.mean() == pytest.approx(np.mean(repeated), abs=0.003)
    assert draws.std() == pytest.approx(np.std(repeated), rel=0.15)
    low, high = clicks.interval_of(np.append(draws, np.nan))
    assert low < given.metrics()["auc"] < high


def test_the_share_of_the_way():
    assert clicks.share_of_way(0.78, 0.70, 0.80) == pytest.approx(0.8)
    assert clicks.share_of_way(0.78, 0.80, 0.80) is None
    draws = {"a": np.array([0.75, 0.7]), "low": np.array([0.7, 0.7]), "high": np.array([0.8, 0.7])}
    np.testing.assert_allclose(clicks.share_draws(draws, "a", "low", "high"), [0.5, np.nan])


def scored_of(rung: Rung) -> Scored:
    assert rung.scored is not None
    return rung.scored


def made_sources(seed: int = 0):
    coded = code(small.interactions(items=300, users=60, slates=60), small.item_ids(300))
    return coded, Sources(small.catalogue(300), {}, small.tastes(300), coded.warm)


def test_what_the_click_model_sees_is_scaled_on_warm_items_alone():
    coded, sources = made_sources()
    vectors = small.tastes(300) * 3 + 1
    planted = vectors.copy()
    planted[~coded.warm] = 1e6  # of items that appear after the training split
    assert Scaling.of(vectors, coded.warm).factor == Scaling.of(planted, coded.warm).factor
    seen = inputs("taste", vectors, sources)
    assert seen.shape == (300, 3 + 16)
    assert np.square(seen[coded.warm, 3:]).sum(1).mean() == pytest.approx(16, rel=1e-3)
    assert inputs("random", vectors, sources).shape == (300, 16)
    assert category(sources, None)[4].tolist() == [0, 1, 0]


def test_the_true_taste_beats_the_category_and_no_item():
    coded, sources = made_sources()
    params = ClickParams(seeds=(0,), training=ClickTraining(batch_size=512, epochs=10))
    area = {}
    for name in ("none", "category", "taste"):
        rung = climb(name, sources, MODELS[name].params(), coded, params)
        area[name] = scored_of(rung).metrics()["auc"]
    assert area["taste"] > max(area["category"], area["none"]) + 0.05
    again = climb("none", sources, MODELS["none"].params(), coded, params)
    assert scored_of(again).metrics()["auc"] == area["none"]


def test_linear_pairs_tell_texts_of_categories_apart():
    _, sources = made_sources()
    params = LinearPairsParams(dimensions=5)
    vectors = MODELS["linear_pairs"].fit(sources, params)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same = np.arange(300) % 3
    cosine = unit @ unit.T
    assert cosine[same[:, None] == same].mean() > cosine[same[:, None] != same].mean() + 0.2


def test_words_and_pairs_are_those_of_count_vectorizer():
    texts = ["Night at Sea", "the  sea, the sea\tat night", "", " Éa ea ", "sea-night x", "at", "ΟΔΟΣ οδος"]
    library = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")
    expected = library.fit_transform(texts)
    found = words_and_pairs(pa.array(texts))
    assert len(library.vocabulary_) == 10 + 10
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert words_and_pairs(pa.array(["", " "])).shape == (2, 0)


def test_a_user_or_item_only_of_the_future_changes_nothing_in_training():
    interactions = small.interactions()
    coded = code(interactions, small.item_ids(300))
    future = coded.split != TRAIN
    assert set(coded.user[~future]) >= set(coded.user[coded.trained_user[coded.user] > 0])
    assert not coded.warm[np.setdiff1d(coded.item[future], coded.item[~future])].any()


def test_only_representations_that_exist_are_compared():
    assert usable(MODELS, [], synthetic=True) == (
        "none", "random", "popularity", "category", "linear_pairs", "taste",
    )  # fmt: skip
    assert usable(["taste", "textcnn_delta", "bow"], ["textcnn"], synthetic=False) == ("textcnn_delta",)
