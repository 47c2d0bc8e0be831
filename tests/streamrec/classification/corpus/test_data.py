"""The corpus folder: what is written comes back, bytes repeat, and a changed or foreign folder is refused."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from convoy.core import artifact as models
from convoy.core import files
from convoy.core.errors import ConvoyError
from convoy.streamrec.classification.corpus import data as corpus


@pytest.fixture
def small():
    return corpus.Corpus(
        item_ids=pa.array(["a", "b", "c", "d"]),
        tokens=np.array([2, 3, 1, 5], np.int32),
        offsets=np.array([0, 2, 2, 3, 4], np.int64),
        labels=np.array([0, 1, 1, 0]),
        split=np.array([0, 0, 2, 1], np.uint8),
        text_sha256=pa.array(["0" * 64, "1" * 64, "2" * 64, "3" * 64]),
        categories=("Ärger", "drama"),
        tokenizer_json='{"vocab": "naïve\\r\\n"}\n',
        vocab_size=6,
        text={"max_characters": 9, "max_tokens": 2},
    )


def test_what_is_written_comes_back(tmp_path, small):
    corpus.write(tmp_path / "corpus", small)
    back = corpus.read(tmp_path / "corpus")
    for field in dataclasses.fields(corpus.Corpus):
        written, found = getattr(small, field.name), getattr(back, field.name)
        if isinstance(written, np.ndarray):
            np.testing.assert_array_equal(found, written)
            assert found.dtype == written.dtype
            assert found.flags.writeable
        else:
            assert found == written, field.name


def test_items_of_a_split_have_tokens(small):
    assert [small.items(side).tolist() for side in (corpus.TRAIN, corpus.VALIDATION, corpus.TEST)] == [
        [0],
        [3],
        [2],
    ]
    assert small.lengths.tolist() == [2, 0, 1, 1]


def test_the_same_corpus_gives_the_same_bytes(tmp_path, small):
    corpus.write(tmp_path / "one", small)
    corpus.write(tmp_path / "two", small)
    assert files.check_manifest(tmp_path / "one") == files.check_manifest(tmp_path / "two")


@pytest.mark.parametrize(
    "name", [corpus.ITEMS, corpus.TOKENS, corpus.OFFSETS, corpus.FACTS, corpus.TOKENIZER]
)
def test_a_changed_byte_is_refused(tmp_path, small, name):
    corpus.write(tmp_path / "corpus", small)
    path = tmp_path / "corpus" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConvoyError, match=f"{name}: sha256 differs"):
        corpus.read(tmp_path / "corpus")


def test_what_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no such corpus folder; run `dvc repro streamrec-corpus`"):
        corpus.read(tmp_path / "corpus")
    models.write(tmp_path / "model", {}, {0: {"w": np.zeros(1)}}, "{}")
    with pytest.raises(ConvoyError, match=r"no items\.parquet, so this is not a corpus folder"):
        corpus.read(tmp_path / "model")
