"""Builders of tiny scored corpora: labels, probabilities and truth without texts."""

import numpy as np
import pyarrow as pa

from convoy.classifiers.evaluation.io import Predictions
from convoy.streamrec.catalogue.io import TRUTH
from convoy.streamrec.classification.corpus.data import TEST, TRAIN, Corpus


def corpus(test_labels, categories=("a", "b", "c"), train_labels=(0, 0, 1)):
    """A corpus of items of one token each: the training items first, then the test items."""
    labels = np.array([*train_labels, *test_labels], np.int64)
    n = len(labels)
    return Corpus(
        item_ids=pa.array([f"item-{i}" for i in range(n)]),
        tokens=np.full(n, 2, np.int32),
        offsets=np.arange(n + 1),
        labels=labels,
        split=np.array([TRAIN] * len(train_labels) + [TEST] * len(test_labels), np.uint8),
        text_sha256=pa.array(["0" * 64] * n),
        categories=tuple(categories),
        tokenizer_json="{}",
        vocab_size=3,
        text={"max_characters": 10, "max_tokens": 10},
    )


def guesses(labels, categories=3, accuracy=0.7, seed=0):
    """Random probabilities (n, C) whose largest is the label's with the given chance."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(categories, 0.8), size=len(labels))
    named = np.where(rng.random(len(labels)) < accuracy, labels, rng.integers(0, categories, len(labels)))
    rows = np.arange(len(labels))
    best = table.argmax(axis=1)
    table[rows, best], table[rows, named] = table[rows, named], table[rows, best]
    return table


def certain(named, categories=3):
    """All probability on the categories named."""
    return np.eye(categories)[named]


def truth(item_ids, order_blind, full):
    """The hidden table of a synthetic catalogue."""
    taste = [[0.0]] * len(item_ids)
    return pa.table(
        {"item_id": item_ids, "order_blind": order_blind, "full": full, "taste": taste}, schema=TRUTH
    )


def predictions(*correct):
    """Predictions of one seed per sequence of rights (True) and wrongs."""
    n = len(correct[0])
    named = {seed: pa.array(["a" if right else "b" for right in row]) for seed, row in enumerate(correct)}
    return Predictions(pa.array([f"item-{i}" for i in range(n)]), pa.array(["a"] * n), named)
