"""Initial embeddings of a vocabulary out of the vectors of some of its words."""

import hashlib

import numpy as np
import pytest

from convoy.streamrec.classification.networks.vectors import WordVectors, coverage


def word_vectors(n=400, dimension=50):
    rng = np.random.default_rng(0)
    return WordVectors(np.arange(2, 2 + n), rng.normal(0.5, 0.3, (n, dimension)).astype(np.float32))


def test_words_that_were_found_keep_their_vectors_and_others_have_the_same_variance():
    vectors = word_vectors()
    table = vectors.table(1002, seed=3)
    assert table.shape == (1002, 50)
    assert table.dtype == np.float32
    assert not table[0].any()
    assert np.array_equal(table[2:402], vectors.rows)
    drawn = table[[1, *range(402, 1002)]]  # the unknown word among them
    assert drawn.var() == pytest.approx(0.3**2, rel=0.02)
    assert np.abs(drawn).max() <= np.sqrt(3) * 0.3 * 1.01  # uniform
    assert drawn.mean() == pytest.approx(0, abs=0.01)


def test_the_draw_depends_on_the_seed_alone():
    vectors = word_vectors()
    assert np.array_equal(vectors.table(500, 1), vectors.table(500, 1))
    assert not np.array_equal(vectors.table(500, 1), vectors.table(500, 2))


def test_coverage_counts_words_and_tokens():
    vectors = WordVectors(np.array([2, 4]), np.ones((2, 3), np.float32))
    facts = vectors.facts(6, np.array([2, 2, 3, 1], np.int32))
    digest = hashlib.sha256(np.array([2, 4]).tobytes() + np.ones((2, 3), np.float32).tobytes()).hexdigest()
    assert facts == {"found": 2, "vocabulary": 4, "tokens": 0.5, "sha256": digest}
    assert coverage(facts) == (
        "vectors: found for 2 of 4 words of the vocabulary (50.0%), which are 50.0% of the training texts; "
        "the others were drawn with the same variance"
    )
