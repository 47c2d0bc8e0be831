"""Cleaning: what is mended, what is honest text and stays, and that a second time changes nothing."""

import hashlib
import html
import unicodedata

import ftfy
import pyarrow as pa
import pytest
from ftfy.chardata import CHARMAP_ENCODINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from convoy.streamrec.catalogue import cleaning

LIMIT = 1000


@pytest.mark.parametrize(
    ("text", "expected", "kinds"),
    [
        ("cafÃ©", "café", {"encoding"}),
        ("â€œHiâ€\x9d", "“Hi”", {"encoding"}),
        ("\x93Hi\x94", "“Hi”", {"encoding"}),
        ("ÐŸÑ€Ð¸Ð²ÐµÑ‚", "Привет", {"encoding"}),
        ("Ã‰tÃ© Ã  Paris", "Été à Paris", {"encoding"}),
        ("<p>One<br/>two</p>", "One two", {"html", "white_space"}),
        ('H<b>ell</b>o <a href="x>y" target=_blank>you</a>', "Hello you", {"html"}),
        ("<SCRIPT>var a = 1;</script >a<!-- no -->b<style>p{}</style>", "a b", {"html", "white_space"}),
        ("<!DOCTYPE html><![CDATA[text]]>", "text", {"html"}),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold", {"html"}),
        ("Tom &amp;amp;amp; Jerry&#39;s", "Tom & Jerry's", {"html"}),
        ("&eacute;&#x1F600;&#55357;&#56832;", "é😀😀", {"html"}),
        ("a\x00b\x7fc\u200bd\ufeffe\xadf\u202eg", "abcdefg", {"control_characters"}),
        ("\x1b[31mred\x1b[0m", "red", {"control_characters"}),
        ("e\u0301", "é", {"not_nfc"}),
        ("  a\t\u00a0\u3000b\r\nc\x0bd\u2028e ", "a b c d e", {"white_space"}),
        ("x" * (LIMIT + 1), "x" * LIMIT, {"cut"}),
        ("x" * (LIMIT - 1) + " y", "x" * (LIMIT - 1), {"cut"}),
        ("a\ufffdb", "a\ufffdb", {"lost_characters"}),
        ("", "", set()),
    ],
)
def test_mended(text, expected, kinds):
    assert cleaning.mend(text, LIMIT) == (expected, kinds)


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "if a <b and c> d",
        "I <3 you",
        "<Narrator> says: <untitled>",
        "x <- y <= z",
        "an end <b",
        "<!-- never closed",
        "Tom & Jerry",
        "AT&T, R&D; Q&A",
        "?a=1&copy=2",
        "&nosuchentity;",
        "“Hello,” she said — “it’s…”",
        "L’été à l’école, où « ça » marche déjà",
        "Müßig übt „Größe“ · naïve Ünïcödé ©2020 ½ €5 × 3°",
        "ÀÉÎÕÜ, MÃE, São Tomé",
        "Съешь ещё этих мягких булок",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
        "Zażółć gęślą jaźń",
        "日本語のテキスト。全角！",
        "می‌خواهم",
        "क्‍ष",
        "👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿 ❤️",
    ],
)
def test_honest_text_stays(text):
    assert cleaning.mend(text, LIMIT) == (text, set())


PIECES = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(max_codepoint=0xFF), max_size=12),
    st.sampled_from(
        ["&amp;", "&lt;", "<b>", "</p>", "<!--", "-->", "&#8217;", "Ã©", "â€™", "Â ", "e\u0301", "\x00"]
    ),
    st.text(max_size=8).map(lambda text: text.encode(errors="replace").decode("cp437")),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join).map(lambda text: text.encode(errors="replace").decode())


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.integers(10, 60))
def test_clean_text_is_clean(text, limit):
    cleaned = cleaning.clean_text(text, limit)
    assert cleaning.clean_text(cleaned, limit) == cleaned
    assert len(cleaned) <= limit
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in cleaned)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=12), st.integers(10, 60))
def test_a_column_is_cleaned_as_its_texts_are(texts, limit):
    column, counts = cleaning.clean_column(pa.array(texts, pa.string()), limit)
    mended = [cleaning.mend(text or "", limit) for text in texts]
    assert column.type == pa.string()
    assert column.to_pylist() == [text for text, _ in mended]
    assert counts == {kind: sum(kind in kinds for _, kinds in mended) for kind in cleaning.KINDS}


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(max_codepoint=0x7F), max_size=40))
def test_no_dirty_ascii_escapes_the_quick_look(text):
    assert cleaning.clean_column(pa.array([text]), LIMIT)[0].to_pylist() == [cleaning.clean_text(text, LIMIT)]


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(max_codepoint=0x3100), min_size=1, max_size=20), st.sampled_from(CHARMAP_ENCODINGS)
)
def test_no_mojibake_escapes_the_quick_look(text, encoding):
    try:
        garbled = text.encode(errors="ignore").decode(encoding)
    except UnicodeDecodeError:
        return
    assert cleaning.fix_encoding(garbled) == ftfy.fixes.fix_c1_controls(ftfy.fix_encoding(garbled))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_escaped_text_comes_back(text):
    cleaned = cleaning.clean_text(text, LIMIT)
    assert cleaning.clean_text(html.escape(cleaned), LIMIT) == cleaned


def test_slices_chunks_and_nulls():
    column = pa.chunked_array(
        [pa.array(["x", " a "]).slice(1), pa.array([None, "é", "b"], pa.large_string())[:2].cast("string")]
    )
    cleaned, counts = cleaning.clean_column(column, LIMIT)
    assert cleaned.to_pylist() == ["a", "", "é"]
    assert counts["white_space"] == 1
    assert cleaning.clean_column(pa.array([], pa.string()), LIMIT)[0].to_pylist() == []


@pytest.mark.parametrize(
    "piece",
    ["<!--", "<script>", "<b a='", '<p class="x" ', "&amp;", "&#1", "é à", "Ã©", "<", "&", "\x1b[", "Â "],
)
def test_ten_megabytes_are_cut(piece):
    text = piece * (10_000_000 // len(piece))
    cleaned, kinds = cleaning.mend(text, 20_000)  # a pattern of quadratic cost would not come back
    assert len(cleaned) <= 20_000
    assert "cut" in kinds


def test_texts_and_their_hashes():
    titles, synopses = ["A title", "", "Only", ""], ["A synopsis", "Alone é", "", ""]
    texts, hashes = cleaning.texts_and_hashes(pa.array(titles), pa.array(synopses))
    assert texts == ["A title A synopsis", "Alone é", "Only", ""]
    assert hashes == [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    assert cleaning.texts_and_hashes(titles, synopses) == (texts, hashes)
