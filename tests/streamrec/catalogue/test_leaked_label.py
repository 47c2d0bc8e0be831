"""Labels named in their own texts, against a count by regular expressions."""

import re

import numpy as np
import pytest

from convoy.streamrec.catalogue import leaked_label
from convoy.streamrec.catalogue.leaked_label import LabelMentions, count_mentions
from tests.support import sources


def mentions_of(texts, label_of_text, names):
    labels = np.array([names.index(label) for label in label_of_text])
    return {m.label: m for m in count_mentions(texts, labels, names)}


def test_whole_words_whatever_the_case_and_punctuation():
    texts = [
        "An ART piece",
        "a party",
        "art, art and art",
        "start",
        "Sci-Fi night",
        "sci fi",
        "sci x fi",
        "Fi sci",
    ]
    found = mentions_of(texts, ["art"] * 4 + ["Sci-Fi"] * 4, ["art", "Sci-Fi"])
    assert found["art"] == LabelMentions("art", 2, 4, 0, 4)
    assert found["Sci-Fi"] == LabelMentions("Sci-Fi", 2, 4, 0, 4)


def test_a_phrase_does_not_run_from_one_text_into_the_next():
    found = mentions_of(["crime", "shows crime", "shows"], ["Crime Shows", "x", "x"], ["Crime Shows", "x"])
    assert found["Crime Shows"] == LabelMentions("Crime Shows", 0, 1, 0, 2)


def test_letters_beyond_ascii_and_names_without_letters():
    found = mentions_of(["Ein KRIMI über Käse", "über-alt", "x ★ y"], ["ÜBER", "a", "★"], ["ÜBER", "a", "★"])
    assert found["ÜBER"] == LabelMentions("ÜBER", 1, 1, 1, 2)
    assert found["★"] == LabelMentions("★", 0, 1, 0, 2)


@pytest.mark.parametrize("chunk", [leaked_label.CHUNK_ROWS, 7])
def test_counts_agree_with_regular_expressions(monkeypatch, chunk):
    monkeypatch.setattr(leaked_label, "CHUNK_ROWS", chunk)
    rng = np.random.default_rng(1)
    names = ["a b", "b", "b a", "a b a", "c", "d e f", "a a"]
    texts = [" ".join(rng.choice(list("abcdefg"), rng.integers(0, 9))) for _ in range(400)]
    labels = rng.integers(0, len(names), len(texts))
    for label, m in enumerate(count_mentions(texts, labels, names)):
        holds = np.array([bool(re.search(rf"\b{names[label]}\b", text)) for text in texts])
        own = labels == label
        expected = (np.sum(holds & own), np.sum(own), np.sum(holds & ~own), np.sum(~own))
        assert (m.own, m.own_texts, m.other, m.other_texts) == expected


def test_real_labels_agree_with_regular_expressions(real_data):
    import csv

    with open(real_data / "catalogue" / "netflix_titles.csv", encoding="utf-8", newline="") as file:
        found = [(row["title"] + " " + row["description"], row["listed_in"]) for row in csv.DictReader(file)]
    texts, firsts = [text for text, _ in found], [labels.split(", ")[0] for _, labels in found]
    names = sorted(set(firsts))
    counted = mentions_of(texts, firsts, names)
    for name in ("Dramas", "Documentaries", "Thrillers", "TV Shows", "Movies"):
        pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        own = sum(
            bool(pattern.search(text)) for text, first in zip(texts, firsts, strict=True) if first == name
        )
        assert counted[name].own == own
        assert counted[name].own + counted[name].other == sum(bool(pattern.search(text)) for text in texts)


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [(20, 0, False), (21, 0, True), (30, 60, True), (30, 61, False), (100, 1000, False)],
)
def test_more_than_a_fifth_and_five_times_as_often(own, other, expected):
    assert LabelMentions("x", own, 100, other, 1000).is_leaked(0.2, 5) is expected


def test_a_sound_catalogue_has_none():
    items = sources.rows()
    found = mentions_of([i["synopsis"] for i in items], [i["category"] for i in items], list(sources.LABELS))
    assert all(m.own == m.other == 0 for m in found.values())
