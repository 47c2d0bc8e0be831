"""Rotation onto an accepted version, and neighbours that change, on vectors whose answers are known."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group
from sklearn.neighbors import NearestNeighbors

from convoy.core.errors import ConvoyError
from convoy.embeddings.alignment import align, churn
from convoy.embeddings.similarity import nearest

RANDOM = np.random.default_rng(3)


def some_vectors(n, dimension=8):
    return RANDOM.normal(size=(n, dimension)).astype(np.float32)


def some_ids(n):
    return np.array([f"{place:05}" for place in range(n)])


def test_a_turned_version_is_turned_back():
    accepted, turn = some_vectors(9_000), ortho_group.rvs(8, random_state=1)
    new = (accepted @ turn).astype(np.float32)
    found = align(some_ids(9_000), new, some_ids(9_000), accepted)
    np.testing.assert_allclose(found.rotation, turn.T, atol=1e-6)
    assert found.shared == 9_000
    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert found.cosine_unrotated < 0.9
    assert found.residual < 1e-4


def test_the_rotation_is_scipys_over_the_shared_items_that_have_vectors():
    new, accepted = some_vectors(40), some_vectors(30)
    new[3] = 0
    accepted[11] = 0
    found = align(some_ids(45)[5:], new, some_ids(30), accepted)
    # Ids 5 … 29 are shared; id 8 is row 3 of the new version.
    both = [number for number in range(5, 30) if number not in (8, 11)]
    one, other = new[[number - 5 for number in both]], accepted[both]
    expected, _ = orthogonal_procrustes(one.astype(float), other.astype(float))
    assert found.shared == len(both)
    np.testing.assert_allclose(found.rotation, expected, atol=1e-5)
    distance = np.linalg.norm(one @ expected - other) / np.linalg.norm(other)
    assert found.residual == pytest.approx(distance, rel=1e-5)
    cosines = ((one @ expected) * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert found.cosine == pytest.approx(cosines.mean(), abs=1e-6)


def test_versions_that_cannot_be_aligned():
    with pytest.raises(ConvoyError, match="expected 8 dimensions; found 3"):
        align(some_ids(4), some_vectors(4, 3), some_ids(4), some_vectors(4))
    with pytest.raises(ConvoyError, match="share no item"):
        align(some_ids(8)[4:], some_vectors(4), some_ids(4), some_vectors(4))


def test_churn_of_a_turned_version_is_none_and_of_shuffled_items_nearly_all():
    vectors, ids = some_vectors(400), some_ids(400)
    turned = (vectors @ ortho_group.rvs(8, random_state=2)).astype(np.float32)
    assert churn(ids, turned, ids, vectors) < 0.01
    shuffled = vectors[RANDOM.permutation(400)]
    assert churn(ids, shuffled, ids, vectors) == pytest.approx(1 - 10 / 399, abs=0.02)
    assert np.isnan(churn(ids[:1], vectors[:1], ids, vectors))


def test_churn_counts_neighbours_that_are_others():
    # On a line of angles the two nearest of each item are known; the last item moves to the other end.
    angles = np.radians([0, 10, 21, 33, 46])
    moved = np.radians([0, 10, 21, 33, -9])
    versions = [np.stack([np.cos(a), np.sin(a)], 1).astype(np.float32) for a in (angles, moved)]
    before = [{1, 2}, {0, 2}, {1, 3}, {2, 4}, {2, 3}]
    after = [{4, 1}, {0, 2}, {1, 3}, {2, 1}, {0, 1}]
    expected = np.mean([1 - len(one & other) / 2 for one, other in zip(before, after, strict=True)])
    assert churn(some_ids(5), versions[1], some_ids(5), versions[0], k=2) == pytest.approx(expected)


@pytest.mark.parametrize("n", [5, 300, 9_000])
def test_nearest_finds_what_scikit_learn_finds(n):
    vectors, queries = some_vectors(n, 5), some_vectors(300, 5)
    found = nearest(vectors, queries, 4)
    distances, rows = (
        NearestNeighbors(n_neighbors=4, metric="cosine", algorithm="brute").fit(vectors).kneighbors(queries)
    )
    np.testing.assert_allclose(found.cosines, 1 - distances, atol=2e-6)
    assert (found.rows == rows).mean() > 0.995  # the others are ties to six decimals


def test_an_item_is_not_its_own_neighbour_and_equal_vectors_come_by_row():
    vectors = np.repeat(some_vectors(3), 3, axis=0)
    found = nearest(vectors, vectors, 2, own=np.arange(9))
    assert found.rows.tolist() == [[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4], [7, 8], [6, 8], [6, 7]]
    assert found.cosines == pytest.approx(1)


def test_k_beyond_the_items_returns_them_all():
    vectors = some_vectors(4)
    assert nearest(vectors, vectors[:2], 99, own=np.arange(2)).rows.shape == (2, 3)
    assert nearest(vectors, vectors[:2], 99).rows.shape == (2, 4)
    assert nearest(vectors[:1], vectors[:1], 10, own=np.arange(1)).rows.shape == (1, 0)
