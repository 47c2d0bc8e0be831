"""Batches of texts: of similar length, padded, with words dropped in training alone."""

import numpy as np
import torch

from convoy.streamrec.classification.networks.batches import WIDTH_STEP, TextBatches
from convoy.training.batches import Batch


def texts(count: int, seed: int = 0, word_dropout: float = 0.0) -> TextBatches:
    """Random texts of 1 to 12 words, numbered from 2."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 13, count)
    tokens = torch.from_numpy(random.integers(2, 10, lengths.sum()).astype(np.int32))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    names = [f"text-{i}" for i in range(count)]
    return TextBatches(tokens, offsets, torch.arange(count), names, word_dropout)


def test_training_batches_cover_all_texts_once_and_hold_those_of_similar_length() -> None:
    data = texts(1000)
    plan = data.plan(32, np.random.default_rng(0))
    assert sorted(plan.order.tolist()) == list(range(1000))
    assert sum(plan.sizes()) == 1000
    padded = sum(len(batch.items) * int(data.lengths[batch.items].max()) for batch in plan)
    assert padded < 1.1 * data.lengths.sum()
    other = data.plan(32, np.random.default_rng(1))
    assert plan.order.tolist() != other.order.tolist()


def test_a_shape_is_the_number_of_texts_and_the_width_of_their_tokens() -> None:
    data = texts(100)
    for random in (np.random.default_rng(0), None):
        for batch in data.plan(32, random):
            tokens_NL, labels_N = data.draw(batch, training=False)
            assert tokens_NL.shape == batch.shape
            assert batch.shape[1] % WIDTH_STEP == 0
            assert labels_N.tolist() == batch.items.tolist()
            for item, row in zip(batch.items.tolist(), tokens_NL, strict=True):
                own = data.tokens[data.offsets[item] : data.offsets[item + 1]]
                assert row[: len(own)].tolist() == own.tolist()
                assert not row[len(own) :].any()


def test_no_training_batch_holds_a_single_text() -> None:
    assert sorted(texts(65).plan(32, np.random.default_rng(0)).sizes()) == [32, 33]


def test_batches_for_evaluation_are_larger_and_sorted_by_length() -> None:
    data = texts(1000)
    plan = data.plan(32, None)
    assert plan.sizes() == [512, 488]
    lengths = data.lengths[plan.order.numpy()]
    assert (np.diff(lengths) >= 0).all()


def test_word_dropout_writes_unknown_and_never_padding() -> None:
    data = texts(200, word_dropout=0.5)
    batch = Batch(torch.arange(200), (200, 16))
    plain, _ = data.draw(batch, training=False)
    torch.manual_seed(0)
    dropped, _ = data.draw(batch, training=True)
    assert torch.equal(plain == 0, dropped == 0)
    changed = dropped != plain
    assert set(dropped[changed].tolist()) == {1}
    assert 0.4 < changed.sum() / (plain > 0).sum() < 0.6
