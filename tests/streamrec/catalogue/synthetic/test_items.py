import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2_contingency

from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.streamrec.catalogue.synthetic import items as synthetic
from convoy.streamrec.catalogue.synthetic import words
from convoy.streamrec.catalogue.synthetic.distribution import Distribution, draw_distribution
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from tests.conftest import ROOT
from tests.support.reading import ORDERS, digest, ids_of, read_part


@pytest.fixture(scope="module")
def made() -> synthetic.Synthetic:
    return generate(SyntheticParams(items=20_000))


@pytest.fixture(scope="module")
def distribution() -> Distribution:
    return draw_distribution(seed=0, n_categories=20)


@pytest.fixture(scope="module")
def parsed(made, distribution):
    ids = ids_of(distribution)
    columns = (made.catalogue[name].to_pylist() for name in ("title", "synopsis"))
    parts = [
        (read_part(title, ids), read_part(synopsis, ids)) for title, synopsis in zip(*columns, strict=True)
    ]
    return [tuple(first + second for first, second in zip(*pair, strict=True)) for pair in parts]


@pytest.fixture(scope="module")
def labels(made, distribution) -> np.ndarray:
    return np.array([distribution.categories.index(name) for name in made.catalogue["category"].to_pylist()])


def test_table_has_the_columns_lengths_and_ids_of_the_design(made, distribution):
    table = made.catalogue
    assert table.schema == pa.schema(
        [(name, pa.string()) for name in ("item_id", "title", "synopsis", "category")]
    )
    table.validate(full=True)
    assert table["item_id"].to_pylist() == [f"item-{number:07d}" for number in range(1, 20_001)]
    titles = [len(text.split()) for text in table["title"].to_pylist()]
    whole = [
        len(text.split()) + title for text, title in zip(table["synopsis"].to_pylist(), titles, strict=True)
    ]
    assert (min(titles), max(titles), min(whole), max(whole)) == (2, 6, 15, 63)
    assert len(set(table["category"].to_pylist())) == 20
    assert table.num_rows == 20_000
    assert not {
        text for name in ("title", "synopsis") for text in table[name].to_pylist() if text != text.strip()
    }
    assert set(distribution.categories).isdisjoint(distribution.words)


def test_pools_are_disjoint_readable_words(distribution):
    assert len(set(distribution.words)) == len(distribution.words) == 9000 + 800 + 12 * 3 * 16
    assert all(word.isascii() and word.isalpha() and word.islower() for word in distribution.words)
    owns = distribution.owns()
    assert owns.shape == (800, 20)
    assert (owns.sum(axis=0) == 50).all()
    assert owns.sum(axis=1).max() > 1


def test_each_slot_has_eight_synonyms_and_every_phrase_is_whole(made, distribution, parsed):
    # Reading the texts back (fixture `parsed`) already found every phrase whole and inside one part.
    ids = ids_of(distribution)
    texts = made.catalogue["title"].to_pylist() + made.catalogue["synopsis"].to_pylist()
    seen = {ids[word] for text in texts for word in text.split()}
    assert sum(number >= words.FIRST_PHRASE for number in seen) == 12 * 3 * 8
    title_phrases = sum(
        1 for text in texts[:20_000] if any(ids[w] >= words.FIRST_PHRASE for w in text.split())
    )
    assert title_phrases > 1000


def test_shares_and_fidelities_are_those_of_the_recipe(distribution, parsed, labels):
    n_words = sum(len(noise) + len(signature) + 3 * len(phrases) for noise, signature, phrases in parsed)
    signature = [(c, w) for c, (_, own, _) in zip(labels, parsed, strict=True) for w in own]
    phrases = [(c, *phrase) for c, (_, _, own) in zip(labels, parsed, strict=True) for phrase in own]
    assert len(signature) / n_words == pytest.approx(0.20, abs=0.01)
    assert 3 * len(phrases) / n_words == pytest.approx(1 / 3, abs=0.03)
    category, word = np.array(signature).T
    # The pool as a whole holds the category's own words too: 50 of 800.
    assert distribution.owns()[word, category].mean() == pytest.approx(0.35 + 0.65 * 50 / 800, abs=0.005)
    category, triple, order = np.array(phrases).T
    assert (distribution.orders[category, triple] == order).mean() == pytest.approx(0.9 + 0.1 / 6, abs=0.004)


def test_phrases_say_nothing_as_a_bag_of_words_but_much_in_order(made, distribution, labels):
    ids = ids_of(distribution)
    bag, order = np.zeros((20, 12 * 8)), np.zeros((20, 12 * 6))
    for label, text in zip(labels, made.catalogue["synopsis"].to_pylist(), strict=True):
        found = [ids[word] - words.FIRST_PHRASE for word in text.split() if ids[word] >= words.FIRST_PHRASE]
        for three in zip(found[0::3], found[1::3], found[2::3], strict=True):
            slots = [number // words.MAX_SYNONYMS % 3 for number in three]
            triple = three[0] // words.MAX_SYNONYMS // 3
            # One word of each phrase, that of slot 0 wherever it stands: independent observations.
            synonym = three[slots.index(0)] % words.MAX_SYNONYMS
            bag[label, triple * 8 + synonym] += 1
            order[label, triple * 6 + ORDERS.index(tuple(slots))] += 1
    assert chi2_contingency(bag).pvalue > 0.001
    assert chi2_contingency(order).pvalue < 1e-300


def test_lengths_and_numbers_of_phrases_do_not_depend_on_the_category(parsed, labels):
    for counts in ([len(phrases) for _, _, phrases in parsed], [len(own) for _, own, _ in parsed]):
        table = np.zeros((20, max(counts) + 1))
        np.add.at(table, (labels, np.array(counts)), 1)
        common = table[:, table.sum(axis=0) >= 100]
        assert chi2_contingency(common).pvalue > 0.001


def test_noise_follows_the_zipf_law_and_is_uniform_in_the_chapter(distribution, parsed):
    counts = np.bincount([word for noise, _, _ in parsed for word in noise], minlength=9000)
    harmonic = (1 / np.arange(1, 9001)).sum()
    for rank in (1, 2, 10, 100):
        assert counts[rank - 1] / counts.sum() == pytest.approx(1 / rank / harmonic, rel=0.15)
    chapter = generate(SyntheticParams(preset="chapter", items=5000))
    ids = ids_of(distribution)
    numbers = np.array(
        [ids[word] for text in chapter.catalogue["synopsis"].to_pylist() for word in text.split()]
    )
    noise = np.bincount(numbers[numbers < 9000], minlength=9000)
    # Of Poisson counts the variance is the mean.
    assert noise.var() / noise.mean() == pytest.approx(1, abs=0.1)
    assert (numbers < 9000).mean() == pytest.approx(0.4, abs=0.01)
    assert numbers.max() < words.FIRST_PHRASE


def test_taste_is_that_of_the_category_and_its_phrases(made, distribution, parsed, labels):
    assert made.truth.schema.field("taste").type == pa.list_(pa.float32())
    for number in range(200):
        expected = distribution.category_taste[labels[number]].copy()
        for triple, order in parsed[number][2]:
            expected += distribution.phrase_taste[triple * 6 + order]
        assert made.truth["taste"][number].as_py() == expected.tolist()


def test_more_items_keep_the_earlier_ones_and_the_bytes_repeat(made):
    fewer = generate(SyntheticParams(items=7001))
    assert fewer.catalogue.equals(made.catalogue.slice(0, 7001))
    assert fewer.truth.equals(made.truth.slice(0, 7001))
    code = (
        "from convoy.streamrec.catalogue.synthetic.items import *; from tests.support.reading import digest\n"
        "made = generate(SyntheticParams(items=7001)); print(digest(made.catalogue), digest(made.truth))"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert elsewhere.stdout.split() == [digest(fewer.catalogue), digest(fewer.truth)]


def test_seed_changes_the_items_and_the_distribution(made, distribution):
    other = generate(SyntheticParams(items=100, seed=1)).catalogue
    assert not set(other["synopsis"].to_pylist()) & set(made.catalogue["synopsis"].to_pylist())
    assert draw_distribution(1, 20).words != distribution.words


def test_distribution_of_more_categories_keeps_the_earlier_ones(distribution):
    more = draw_distribution(seed=0, n_categories=30)
    assert more.words == distribution.words
    assert more.categories[:20] == distribution.categories
    for name in ("owned", "orders", "category_taste"):
        assert np.array_equal(getattr(more, name)[:20], getattr(distribution, name))
    assert np.array_equal(more.phrase_taste, distribution.phrase_taste)


def test_keys_left_out_or_null_have_the_presets_value():
    params = parse({"preset": "chapter", "synonyms": 2, "word_fidelity": None}, SyntheticParams, "here")
    recipe = params.recipe()
    assert (recipe.synonyms, recipe.word_fidelity, recipe.phrase_share) == (2, 1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"preset": "hard"}, "key 'preset'"),
        ({"items": 0}, "key 'items'"),
        ({"word_fidelity": 1.2}, "key 'word_fidelity'"),
        ({"signature_share": 0.7}, "must not exceed 1 together; found 0.7 and 0.333333"),
        ({"fidelity": 0.3}, "unknown key 'fidelity'"),
    ],
)
def test_impossible_params_are_refused_in_one_line(values, expected):
    with pytest.raises(ConvoyError, match=expected) as refused:
        parse(values, SyntheticParams, "params.yaml: section 'streamrec.catalogue.synthetic'")
    assert "\n" not in str(refused.value)
