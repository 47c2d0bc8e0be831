"""The corpus: the split by hash, the tokenizer of the training split, labels, and refusals in one line."""

import hashlib
import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from convoy.core import params
from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue.cleaning import text_of
from convoy.streamrec.classification.corpus import build as corpus
from convoy.streamrec.classification.corpus.data import TEST, TRAIN, VALIDATION

FACTS = {"source": "items.csv", "source_sha256": None, "max_characters": 500}


def section(**values):
    return params.parse(values, corpus.CorpusParams, where="test")


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def catalogue(texts, categories):
    titles = [text.split(" ", 1)[0] for text in texts]
    synopses = [text[len(title) :].strip() for title, text in zip(titles, texts, strict=True)]
    columns = {
        "item_id": [f"i{number}" for number in range(len(texts))],
        "title": titles,
        "synopsis": synopses,
        "category": categories,
        "text_sha256": [digest(text) for text in texts],
    }
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return pa.concat_tables([table.slice(0, 7), table.slice(7)])


def on_side(side, count):
    """The first `count` texts of the form `text 17` that the split puts on `side`."""
    texts = (f"text {number}" for number in itertools.count())
    return list(itertools.islice((text for text in texts if corpus.split([digest(text)]) == side), count))


@pytest.mark.parametrize(
    ("leading", "side"),
    [
        ("00000000", TRAIN),
        ("cccccccc", TRAIN),  # 0xcccccccc / 2^32 = 0.79999999995
        ("cccccccd", VALIDATION),
        ("e6666665", VALIDATION),
        ("e6666666", VALIDATION),  # 0.8999999999
        ("e6666667", TEST),
        ("ffffffff", TEST),
    ],
)
def test_the_split_is_cut_at_eight_and_nine_tenths(leading, side):
    assert (int(leading, 16) / 2**32 >= 0.8) + (int(leading, 16) / 2**32 >= 0.9) == side
    found = corpus.split([leading + "f" * 56, leading + "0" * 56])
    assert (found.dtype, found.tolist()) == (np.uint8, [side, side])


def test_the_shares_of_the_split():
    shares = np.bincount(corpus.split([digest(f"text {number}") for number in range(20_000)])) / 20_000
    # Four standard deviations of a share of 20,000 draws.
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=4 * (0.8 * 0.2 / 20_000) ** 0.5)


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=20), st.lists(st.text(max_size=8), max_size=20))
def test_equal_texts_stand_on_one_side_and_new_items_move_no_old_one(old, new):
    old_digests, new_digests = [digest(text) for text in old], [digest(text) for text in new]
    before = corpus.split(old_digests)
    together = corpus.split(old_digests + new_digests)
    assert together[: len(old)].tolist() == before.tolist()
    sides = dict(zip(old_digests + new_digests, together.tolist(), strict=True))
    assert [sides[found] for found in old_digests + new_digests] == together.tolist()


def test_tokens_labels_and_facts():
    train, validation, test = on_side(TRAIN, 6), on_side(VALIDATION, 1), on_side(TEST, 1)
    texts = [*test, *train, *validation, ""]
    built = corpus.build_corpus(
        catalogue(texts, list("babababab")), FACTS, section(min_count=1, max_tokens=1)
    )
    assert built.item_ids.to_pylist() == [f"i{number}" for number in range(9)]
    assert built.text_sha256.to_pylist() == [digest(text) for text in texts]
    assert built.categories == ("a", "b")
    assert built.labels.tolist() == [1, 0] * 4 + [1]
    assert built.text == {"max_characters": 500, "max_tokens": 1}
    assert built.lengths.tolist() == [1] * 8 + [0]
    vocabulary = json.loads(built.tokenizer_json)["model"]["vocab"]
    assert built.tokens.tolist() == [vocabulary["text"]] * 8
    # Words of the training texts only: "text" six times, then their numbers.
    assert built.vocab_size == len(vocabulary) == 2 + 1 + 6
    assert set(vocabulary) == {"[PAD]", "[UNK]", "text"} | {text.split()[1] for text in train}
    assert (built.labels.dtype, built.split.dtype) == (np.int64, np.uint8)


def test_an_item_without_a_token_is_kept_but_in_no_split():
    texts = [*on_side(TRAIN, 3), *on_side(VALIDATION, 2), *on_side(TEST, 2), "", ""]
    built = corpus.build_corpus(catalogue(texts, ["a"] * len(texts)), FACTS, section())
    assert [built.items(side).tolist() for side in (TRAIN, VALIDATION, TEST)] == [[0, 1, 2], [3, 4], [5, 6]]
    assert len(built.item_ids) == len(built.split) == 9
    assert "3 train, 2 validation, 2 test" in corpus.summary(built)
    assert corpus.summary(built).endswith("; 2 without a token are in no split")


@pytest.mark.parametrize("tokenizer", ["word", "bpe"])
def test_the_texts_are_those_that_were_hashed(tokenizer):
    # A blank at either end would be a token of bpe.
    blanks = [chr(code) for code in range(0x110000) if chr(code).isspace()]
    titles = [*(f"{blank}T é {number}" for number, blank in enumerate(blanks)), "", " ", "東京", "title", ""]
    synopses = [*(f"{blank}🙂 b{blank}" for blank in blanks), "no title", "", "タ", "", ""]
    texts = [text_of(title, synopsis) for title, synopsis in zip(titles, synopses, strict=True)]
    more = [text for side in (TRAIN, VALIDATION, TEST) for text in on_side(side, 3)]
    columns = {"title": titles + [""] * 9, "synopsis": synopses + more}
    texts += more
    columns |= {"item_id": texts, "category": ["a"] * len(texts), "text_sha256": map(digest, texts)}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    built = corpus.build_corpus(
        pa.concat_tables([table[:5], table[5:]]), FACTS, section(tokenizer=tokenizer, vocab_size=300)
    )
    library = Tokenizer.from_str(built.tokenizer_json)
    assert len(blanks) > 20
    assert built.tokens.tolist() == [number for text in texts for number in library.encode(text).ids]
    assert built.vocab_size == library.get_vocab_size()


def test_bpe_corpus():
    texts = [*on_side(TRAIN, 30), *on_side(VALIDATION, 2), *on_side(TEST, 2)]
    built = corpus.build_corpus(catalogue(texts, ["a"] * 34), FACTS, section(tokenizer="bpe", vocab_size=300))
    assert 258 < built.vocab_size <= 300
    assert built.tokens.min() > 1


@pytest.mark.parametrize("side", [TRAIN, VALIDATION, TEST])
def test_an_empty_split_is_refused(side):
    others = [other for other in (TRAIN, VALIDATION, TEST) if other != side]
    texts = [text for other in others for text in on_side(other, 3)] * 2
    with pytest.raises(ConvoyError) as caught:
        corpus.build_corpus(catalogue(texts, ["a"] * len(texts)), FACTS, section())
    name = ("train", "validation", "test")[side]
    assert str(caught.value) == (
        f"catalogue: no item falls into the {name} split; found 6 distinct texts, expected 50 or more; "
        "add items"
    )


def test_a_category_that_cannot_be_learnt_is_refused():
    train, validation, test = on_side(TRAIN, 4), on_side(VALIDATION, 3), on_side(TEST, 2)
    labels = ["common"] * 4 + ["rare", "rare", "single"] + ["common", "rare"]
    table = catalogue([*train, *validation, *test], labels)
    with pytest.raises(ConvoyError) as caught:
        corpus.build_corpus(table, FACTS, section())
    assert str(caught.value) == (
        "catalogue, column category: no training item in 'rare' (3), 'single' (1) (items in all); set "
        "streamrec.catalogue.min_category_size to 4 or more, or add items"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tokenizer": "sentencepiece"}, "key 'tokenizer'"),
        ({"vocab_size": 2}, "key 'vocab_size'"),
        ({"max_tokens": 0}, "key 'max_tokens'"),
        ({"min_count": 0}, "key 'min_count'"),
        ({"tokenizer": "bpe", "vocab_size": 299}, "needs vocab_size of 300 or more; found 299"),
    ],
)
def test_impossible_params(values, message):
    with pytest.raises(ConvoyError, match=message):
        section(**values)
