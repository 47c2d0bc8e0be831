"""Each planted fault of a corpus is found, and only what repeats across splits counts as a repetition."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from convoy.streamrec.classification import gate
from convoy.streamrec.classification.corpus.data import Corpus
from convoy.streamrec.classification.gate import judge


def corpus(**changes):
    """40 items of 1 to 5 tokens in three splits; the eighth has none."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 6, 40)
    lengths[7] = 0
    sound = Corpus(
        item_ids=pa.array([f"s{i}" for i in range(1, 41)]),
        tokens=np.arange(lengths.sum(), dtype=np.int32) + 1,
        offsets=np.r_[0, np.cumsum(lengths)],
        labels=np.arange(40) % 4,
        split=np.repeat(np.array([0, 1, 2], np.uint8), [28, 6, 6]),
        text_sha256=pa.array([f"{i:064x}" for i in range(40)]),
        categories=("a", "b", "c", "d"),
        tokenizer_json="{}",
        vocab_size=int(lengths.sum()) + 1,
        text={"max_characters": 100, "max_tokens": 5},
    )
    return dataclasses.replace(sound, **changes)


def replaced(array, at, value):
    array = array.copy()
    array[at] = value
    return array


def test_a_sound_corpus_passes():
    verdict = judge(corpus())
    assert verdict.summary() == "gate passed: 12 expectations on 40 items of the corpus"
    assert verdict.metrics() == {
        "success": True,
        "expectations": 12,
        "items": 40,
        "splits": {"train": 27, "validation": 6, "test": 6},  # items with a token
        "warnings": {},
    }


def test_a_text_on_two_sides():
    hashes = [f"{i:064x}" for i in range(40)]
    hashes[30] = hashes[2]  # train and validation
    hashes[5] = hashes[6]  # both in train
    verdict = judge(corpus(text_sha256=pa.array(hashes)))
    (finding,) = verdict.failures
    assert (finding.name, finding.count) == ("text_repeated_across_splits", 2)
    shown = hashes[2][:59]
    assert [str(example) for example in finding.examples] == [
        f"row 3 (item_id 's3'): '{shown}…' (64 characters) in train",
        f"row 31 (item_id 's31'): '{shown}…' (64 characters) in validation",
    ]


SOUND = corpus()


@pytest.mark.parametrize(
    ("name", "changes", "row"),
    [
        ("token_range", {"tokens": replaced(SOUND.tokens, SOUND.offsets[9], 0)}, 10),
        ("token_range", {"tokens": replaced(SOUND.tokens, SOUND.offsets[9] - 1, SOUND.vocab_size)}, 9),
        ("token_range", {"tokens": replaced(SOUND.tokens, SOUND.offsets[7], -1)}, 9),  # item 8 has no token
        ("label_range", {"labels": replaced(SOUND.labels, 3, 4)}, 4),
        ("label_range", {"labels": replaced(SOUND.labels, 3, -1)}, 4),
        ("split_range", {"split": replaced(SOUND.split, 3, 3)}, 4),
        ("split_empty", {"split": np.where(SOUND.split == 1, 2, SOUND.split).astype(np.uint8)}, None),
        ("category_unlearnt", {"split": np.where(SOUND.labels == 2, 1, SOUND.split).astype(np.uint8)}, None),
        ("text_sha256_rows", {"text_sha256": SOUND.text_sha256[:39]}, None),
        ("offsets_rows", {"offsets": SOUND.offsets[:-1]}, None),
        ("offsets_order", {"offsets": replaced(SOUND.offsets, 5, 10_000)}, None),
        ("offsets_order", {"offsets": replaced(SOUND.offsets, 0, 1)}, None),
    ],
)
def test_fault(name, changes, row):
    verdict = judge(corpus(**changes))
    assert name in [finding.name for finding in verdict.failures]
    if row is not None:
        places = [e.place for finding in verdict.failures for e in finding.examples if finding.name == name]
        assert places == [f"row {row} (item_id 's{row}')"]


def test_no_items_do_not_pass():
    none = np.empty(0, np.int64)
    empty = corpus(
        item_ids=pa.array([], pa.string()),
        tokens=none.astype(np.int32),
        offsets=np.zeros(1, np.int64),
        labels=none,
        split=none.astype(np.uint8),
        text_sha256=pa.array([], pa.string()),
    )
    assert not judge(empty).success


@pytest.mark.parametrize("chunk", [gate.CHUNK_ITEMS, 3])
def test_equal_tokens_of_other_texts_are_a_warning(monkeypatch, chunk):
    monkeypatch.setattr(gate, "CHUNK_ITEMS", chunk)
    rows = [[1, 2, 3], [3, 2, 1], [1, 2], [], [1, 2, 3, 1], [2, 2], [], [1, 2, 3], [3, 2, 1], [4]]
    verdict = judge(
        corpus(
            item_ids=pa.array([str(i) for i in range(10)]),
            tokens=np.concatenate(rows).astype(np.int32),
            offsets=np.r_[0, np.cumsum([len(row) for row in rows])],
            labels=np.zeros(10, np.int64),
            split=np.array([0, 0, 0, 0, 0, 0, 1, 1, 0, 2], np.uint8),
            text_sha256=pa.array([f"{i:064x}" for i in range(10)]),
            categories=("a",),
        )
    )
    # [1, 2, 3] stands in train and validation; [3, 2, 1] twice in train; no tokens at all are no repetition
    (warning,) = verdict.warnings
    assert [example.place for example in warning.examples] == ["row 1 (item_id '0')", "row 8 (item_id '7')"]
    assert verdict.success
    assert verdict.metrics()["warnings"] == {"same_tokens_across_splits": 2}
