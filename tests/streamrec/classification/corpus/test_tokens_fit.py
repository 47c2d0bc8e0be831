"""Fitting a tokenizer: the fast count of words held to the JSON of the library's own trainer."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, trainers

from convoy.nn.kernels import word_scan as scan
from convoy.streamrec.classification.corpus import tokens
from tests.streamrec.classification.corpus.test_tokens import NASTY

# So few characters that words tie and come again; on both sides of every step in the length of UTF-8, so that
# an order by bytes, by 16-bit units or by characters would show.
TIES = "aA b'’éÉ\u07ff\u0800\u2c60\ufb01ア東\U00010428🙂 "


def by_library(texts, kind, vocab_size, min_count):
    """The tokenizer whose vocabulary the trainers of `tokenizers` learn, with the rules of ours, as JSON."""
    rules = json.loads(tokens.fit([], kind, 300, 1))
    library = Tokenizer.from_str(json.dumps(rules))
    options = {"vocab_size": vocab_size, "min_frequency": min_count, "show_progress": False}
    options["special_tokens"] = list(tokens.SPECIAL_TOKENS)
    if kind == "bpe":
        options["initial_alphabet"] = sorted(pre_tokenizers.ByteLevel.alphabet())
    library.train_from_iterator(
        texts, {"word": trainers.WordLevelTrainer, "bpe": trainers.BpeTrainer}[kind](**options)
    )
    rules["model"] = json.loads(library.to_str())["model"]
    return Tokenizer.from_str(json.dumps(rules)).to_str()


def assert_as_the_library(texts, vocab_size=1000, min_count=1):
    assert tokens.fit(texts, "word", vocab_size, min_count) == by_library(
        texts, "word", vocab_size, min_count
    )


@pytest.mark.parametrize("left_over", [0.0, 0.5, 1.0], ids="share of rows left to the library {}".format)
@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.one_of(st.text(TIES, max_size=12), st.text(NASTY, max_size=30), st.text(max_size=20)), max_size=12
    ),
    vocab_size=st.integers(0, 30),
    min_count=st.integers(0, 3),
)
def test_the_librarys_json(texts, vocab_size, min_count, left_over):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_LEFT_OVER", left_over)
        patch.setattr(tokens, "_THREADS", 3)
        patch.setattr(scan, "_ROOM", 1)  # the table grows all the time
        patch.setattr(scan, "_CHARACTERS", 2)
        assert_as_the_library(texts, vocab_size, min_count)


def test_equal_counts_by_the_characters_of_the_word():
    vocabulary = json.loads(tokens.fit(["🙂 é z' 10 a zz b a. ア東 Z"], "word", 100, 1))["model"]["vocab"]
    # "a" and "z" are there twice; the others follow in the order of Unicode.
    assert list(vocabulary) == ["[PAD]", "[UNK]", "a", "z", "'", ".", "10", "b", "zz", "é", "ア", "東", "🙂"]
    assert list(vocabulary.values()) == list(range(13))


def test_every_character_counts_as_the_library_has_it():
    codes = [code for code in range(scan.LIMIT + 300) if not 0xD800 <= code < 0xE000]
    texts = [form.format(chr(code)) for code in codes for form in ("{}", "a{}b", "'{}'a")]
    assert_as_the_library(texts, 100_000)


def test_more_words_than_there_is_room_for_at_first():
    words = [np.base_repr(number, 36).lower() for number in range(3 * scan._ROOM)]
    long = ["x" * (scan._ROOM * scan._CHARACTERS + 1), " ".join(f"w{number}" for number in range(70_000))]
    texts = [" ".join(words[start::100]) for start in range(100)]
    for chosen in (texts, texts[::-1] + long, long + texts + ["w1 w2"]):
        assert_as_the_library(chosen, 200_000)
        assert_as_the_library(chosen, 30_000, 2)


def test_rows_for_the_library_are_counted_with_the_others():
    texts = ["plain words, plain"] * 30 + ["plain 東京 Words", "🙂🙂 plain", "ẞ İ"]
    assert_as_the_library(texts)
    vocabulary = json.loads(tokens.fit(texts, "word", 100, 1))["model"]["vocab"]
    assert {"東", "🙂", "plain", "ß"} <= set(vocabulary)


def test_what_holds_the_texts_does_not_matter():
    texts = ["b a", "", "a 東", "c'c c'c", "ü"]
    expected = by_library(texts, "word", 100, 1)
    sliced = pa.array(["x", *texts, "y"]).slice(1, len(texts))
    chunked = pa.chunked_array([texts[:2], [], texts[2:]], pa.string())
    for held in (texts, tuple(texts), iter(texts), sliced, sliced.cast(pa.large_string()), chunked):
        assert tokens.fit(held, "word", 100, 1) == expected


@pytest.mark.parametrize("texts", [[], [""] * 5, ["\t \n", ""], pa.array([], pa.string())])
def test_no_words(texts):
    vocabulary = json.loads(tokens.fit(texts, "word", 100, 1))["model"]["vocab"]
    assert vocabulary == {"[PAD]": 0, "[UNK]": 1}


def test_a_null_is_refused():
    with pytest.raises(ValueError, match="1 texts are null"):
        tokens.fit(pa.array(["a", None]), "word", 10, 1)


def test_bpe_learns_what_the_library_learns(monkeypatch):
    texts = [f"low lower lowest newest widest {number} 東京" for number in range(50)]
    expected = by_library(texts, "bpe", 320, 2)
    monkeypatch.setattr(tokens, "_LIBRARY_ROWS", 7)
    assert tokens.fit(texts, "bpe", 320, 2) == tokens.fit(pa.array(texts), "bpe", 320, 2) == expected


def test_real_synopses(real_data):
    text = (real_data / "catalogue" / "netflix_titles.csv").read_text(encoding="utf-8")
    assert_as_the_library(text.splitlines(), 30_000, 2)
    assert_as_the_library(text.splitlines(), 5_000, 1)
