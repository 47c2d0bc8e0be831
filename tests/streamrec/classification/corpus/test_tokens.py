"""Tokens: the words of real text, and the fast way held to the library's own ids on nasty Unicode."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from convoy.core.errors import ConvoyError
from convoy.nn.kernels import word_scan as scan
from convoy.streamrec.classification.corpus import tokens
from tests.conftest import ROOT

# What per-character rules could get wrong: case that changes length or block, joiners, marks, apostrophes,
# blanks of all kinds, characters on both sides of every length of UTF-8 and of the scan's limit.
NASTY = "aAzZ09'’ʼ`\"_-.…¿$€™ \t\n\x00\u00a0\u00adéÉßẞıİKÅΣςϊʹДж\u0301\u0345اب\u200c\u200dक्षิ\u1e9e\u2028"
NASTY += "\u007f\u0080\u07ff\u0800\u2fff\u3000\u3001ー東京タひ한ﬁＡａ\ufeff\ufffd\uffff🙂👩𝐀𐐀\U0010ffff"


def by_library(tokenizer_json, texts, max_tokens=10**6):
    """The ids that `tokenizers` gives, which is the definition of right."""
    library = Tokenizer.from_str(tokenizer_json)
    return [library.encode(text).ids[:max_tokens] for text in texts]


def rows(encoded):
    flat, offsets = encoded
    assert (flat.dtype, offsets.dtype) == (np.int32, np.int64)
    assert offsets[-1] == len(flat)
    return [flat[start:end].tolist() for start, end in itertools.pairwise(offsets)]


def words_of(text):
    """The words that a `word` tokenizer fitted on `text` alone sees in it, by their ids."""
    tokenizer_json = tokens.fit([text], "word", 1000, 1)
    names = {number: word for word, number in json.loads(tokenizer_json)["model"]["vocab"].items()}
    return [names[number] for number in rows(tokens.encode(tokenizer_json, [text], 1000))[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The DOG barks", ["the", "dog", "barks"]),
        ("Don't stop, rock'n'roll!", ["don't", "stop", ",", "rock'n'roll", "!"]),
        ("don’t ’tis dogs’ '90s''x", ["don't", "'", "tis", "dogs", "'", "'", "90s", "'", "'", "x"]),
        ("15-Aug: $5.50 a_b", ["15", "-", "aug", ":", "$", "5", ".", "50", "a", "_", "b"]),
        ("naïve CAFÉ – e\u0301t\u0301e\u0301", ["naïve", "café", "–", "e\u0301t\u0301e\u0301"]),
        ("東京タワー met Q東", ["東", "京", "タ", "ワ", "ー", "met", "q", "東"]),
        ("می‌خواهم a\u200d b👩‍👧", ["می‌خواهم", "a", "b", "👩", "👧"]),
        ("[PAD] [UNK]", ["[", "pad", "]", "[", "unk", "]"]),
        ("\t \u00a0\n\u2028", []),
        ("", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.one_of(st.text(NASTY, max_size=30), st.text(max_size=20)), max_size=8),
    known=st.integers(0, 8),
    max_tokens=st.integers(1, 12),
)
def test_the_fast_way_gives_the_librarys_ids(texts, known, max_tokens):
    tokenizer_json = tokens.fit(texts[:known], "word", 1000, 1)
    assert rows(tokens.encode(tokenizer_json, texts, max_tokens)) == by_library(
        tokenizer_json, texts, max_tokens
    )


def test_every_character_alone_and_between_letters():
    texts = [form.format(chr(code)) for code in range(scan.LIMIT + 300) for form in ("{}", "a{}b", "'{}'a")]
    tokenizer_json = tokens.fit(texts[::2], "word", 100_000, 1)
    assert rows(tokens.encode(tokenizer_json, texts, 10)) == by_library(tokenizer_json, texts)


def test_words_that_collide_in_the_table_are_told_apart():
    # With 20,000 words in 131,072 slots, some 1,400 find theirs taken; unknown ones meet them as well.
    words = [np.base_repr(number, 36).lower() for number in range(40_000)]
    tokenizer_json = tokens.fit(words[::2], "word", 30_000, 1)
    assert rows(tokens.encode(tokenizer_json, words, 5)) == by_library(tokenizer_json, words)


def test_rows_for_the_library_and_for_the_scan_come_back_in_order():
    texts = ["a b", "東 a", "", "b", "京", "c c c"]
    tokenizer_json = tokens.fit(texts, "word", 100, 1)
    expected = by_library(tokenizer_json, texts)
    sliced = pa.array(["x", *texts, "y"]).slice(1, len(texts))
    chunked = pa.chunked_array([texts[:2], [], texts[2:]], pa.string())
    for given_texts in (texts, tuple(texts), sliced, sliced.cast(pa.large_string()), chunked):
        assert rows(tokens.encode(tokenizer_json, given_texts, 256)) == expected


def test_blocks_join_without_a_seam(monkeypatch):
    texts = [f"w{number % 50} " * (number % 7) for number in range(500)]
    tokenizer_json = tokens.fit(texts, "word", 40, 1)
    whole = rows(tokens.encode(tokenizer_json, texts, 256))
    monkeypatch.setattr(tokens, "_BLOCK_BYTES", 17)
    monkeypatch.setattr(tokens, "_LIBRARY_ROWS", 3)
    assert rows(tokens.encode(tokenizer_json, texts, 256)) == whole == by_library(tokenizer_json, texts)


@pytest.mark.parametrize("texts", [[], pa.array([], pa.string()), pa.chunked_array([], pa.string())])
@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_no_texts(texts, kind):
    tokenizer_json = tokens.fit(["a"], kind, 300, 1)
    assert rows(tokens.encode(tokenizer_json, texts, 5)) == []


def test_a_null_is_refused():
    with pytest.raises(ValueError, match="1 texts are null"):
        tokens.encode(tokens.fit(["a"], "word", 10, 1), pa.array(["a", None]), 5)


def test_vocabulary_by_count_then_by_word():
    tokenizer_json = tokens.fit(["b a c a", "c d b e", "f"], "word", 6, 1)
    vocabulary = json.loads(tokenizer_json)["model"]["vocab"]
    assert vocabulary == {"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3, "c": 4, "d": 5}
    assert tokens.vocabulary_size(tokenizer_json) == 6
    rare_left_out = json.loads(tokens.fit(["b a c a", "c d b e", "f"], "word", 100, 2))["model"]["vocab"]
    assert set(rare_left_out) == {"[PAD]", "[UNK]", "a", "b", "c"}


FIT_HASH = """
import hashlib
from convoy.streamrec.classification.corpus import tokens
texts = [" ".join(f"w{(i * j) % 997}" for j in range(20)) for i in range(500)]
print([hashlib.sha256(tokens.fit(texts, kind, 600, 2).encode()).hexdigest() for kind in ("word", "bpe")])
"""


def test_the_same_texts_give_the_same_json_in_every_process():
    printed = [
        subprocess.run(
            [sys.executable, "-c", FIT_HASH],
            env={"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "3"))
    ]
    assert printed[0] == printed[1] != ""


def test_bpe_spells_what_it_never_saw():
    tokenizer_json = tokens.fit(["low lower lowest newest widest"] * 5, "bpe", 300, 2)
    texts = ["LOWEST", "東京 🙂", "[PAD] [UNK]", "x\x00y", ""]
    encoded = rows(tokens.encode(tokenizer_json, texts, 256))
    assert encoded == by_library(tokenizer_json, texts)
    assert len(encoded[0]) < len("LOWEST")
    assert not any({tokens.PADDING, tokens.UNKNOWN} & set(row) for row in encoded)
    library = Tokenizer.from_str(tokenizer_json)
    assert library.get_vocab_size() == tokens.vocabulary_size(tokenizer_json) <= 300


def test_a_tokenizer_with_other_rules_is_left_to_the_library():
    other = json.loads(tokens.fit(["a-b Cd"], "word", 100, 1))
    other["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    other["model"]["vocab"]["a-b"] = len(other["model"]["vocab"])
    tokenizer_json = json.dumps(other)
    texts = ["a-b cd", "CD"]
    assert rows(tokens.encode(tokenizer_json, texts, 9)) == by_library(tokenizer_json, texts)


def test_what_is_no_tokenizer_is_refused_in_one_line():
    with pytest.raises(ConvoyError, match=r"^tokenizer\.json: not a tokenizer that this version reads: "):
        tokens.encode('{"version": "9"}', ["a"], 5)


def test_real_synopses(real_data):
    text = (real_data / "catalogue" / "netflix_titles.csv").read_text(encoding="utf-8")
    lines = text.splitlines()[:3000]
    assert not all(line.isascii() for line in lines)
    tokenizer_json = tokens.fit(lines[:2000], "word", 5000, 2)
    encoded = rows(tokens.encode(tokenizer_json, lines, 64))
    assert encoded == by_library(tokenizer_json, lines, 64)


STARTS = """
import sys
from convoy.streamrec.classification.corpus import tokens
tokens.encode(tokens.fit(["a b"], "word", 9, 1), ["a b", "\u6771"], 5)
print(*sorted({"pandas", "torch", "sklearn", "matplotlib"} & set(sys.modules)))
"""


def test_encoding_starts_without_libraries_that_it_does_not_need():
    command = [sys.executable, "-c", STARTS]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
