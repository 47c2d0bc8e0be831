"""Items of the synthetic catalogue as numbers: lengths, categories, and the word at every position."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convoy.streamrec.catalogue.synthetic import words
from convoy.streamrec.catalogue.synthetic.distribution import ORDERS, OWN_WORDS, Distribution, Evidence

TEXT_WORDS = (15, 63)
TITLE_WORDS = (2, 6)
# Items are drawn in whole blocks, each with its own seed: more items do not change the earlier ones.
BLOCK = 5000


@dataclass(frozen=True)
class Recipe:
    """The composition of a catalogue's texts; the fields of SyntheticParams, all with values."""

    categories: int
    signature_share: float
    word_fidelity: float
    phrase_share: float
    phrase_fidelity: float
    synonyms: int
    zipf_exponent: float

    @property
    def signature_chance(self) -> float:
        """Probability that a word outside phrases is a signature word; `signature_share` is of all words."""
        outside = 1 - self.phrase_share
        return self.signature_share / outside if outside > 0 else 0.0


@dataclass(frozen=True)
class Draw:
    """One block of N items as ids. The 2N parts are the N titles, then the N synopses.

    category (N,); word_ids flat over the parts, with part_offsets (2N + 1,).
    """

    category: np.ndarray
    word_ids: np.ndarray
    part_offsets: np.ndarray
    evidence: Evidence


def blocks(distribution: Distribution, recipe: Recipe, seed: int, count: int) -> Iterator[Draw]:
    """The first `count` blocks of BLOCK items of `seed`; a block does not depend on the count."""
    deck = _noise_deck(recipe)
    for number in range(count):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, number)))
        yield _block(rng, distribution, recipe, deck)


def _block(rng: np.random.Generator, distribution: Distribution, recipe: Recipe, deck: np.ndarray) -> Draw:
    category = rng.integers(len(distribution.categories), size=BLOCK)
    text = rng.integers(TEXT_WORDS[0], TEXT_WORDS[1] + 1, size=BLOCK)
    title = rng.integers(TITLE_WORDS[0], TITLE_WORDS[1] + 1, size=BLOCK)
    n_words = np.concatenate([title, text - title])
    part_offsets = offsets(n_words)
    part_category = np.tile(category, 2)
    word_ids = np.empty(part_offsets[-1], np.int32)

    phrase_part, positions = _phrase_places(rng, recipe, n_words, part_offsets)
    kinds, word_ids[positions] = _phrases(rng, distribution, recipe, part_category[phrase_part])

    outside = np.ones(len(word_ids), bool)
    outside[positions] = False
    is_signature = rng.random(len(word_ids)) < recipe.signature_chance
    places = np.flatnonzero(outside & is_signature)
    part = np.searchsorted(part_offsets, places, side="right") - 1
    signature = _signature(rng, distribution, recipe, part_category[part])
    word_ids[places] = words.FIRST_SIGNATURE + signature
    places = np.flatnonzero(outside & ~is_signature)
    word_ids[places] = deck[rng.integers(len(deck), size=len(places))]

    evidence = Evidence(BLOCK, signature, part % BLOCK, kinds, phrase_part % BLOCK)
    return Draw(category, word_ids, part_offsets, evidence)


def _phrase_places(
    rng: np.random.Generator, recipe: Recipe, n_words: np.ndarray, part_offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Parts (P,) and positions (P, 3) of the phrases' words.

    Each phrase is inserted into a random gap between the other words of its part.
    """
    n_phrases = rng.binomial(n_words // 3, recipe.phrase_share)
    part = np.repeat(np.arange(len(n_words)), n_phrases)
    gaps = (n_words - 3 * n_phrases + 1)[part]
    # Sorted by part, then gap, which is below 64.
    gap = np.sort(part * 64 + (rng.random(len(part)) * gaps).astype(np.int64)) % 64
    phrases_before = np.arange(len(part)) - offsets(n_phrases)[part]
    return part, (part_offsets[part] + gap + 3 * phrases_before)[:, None] + np.arange(3)


def _phrases(
    rng: np.random.Generator, distribution: Distribution, recipe: Recipe, category: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Kinds (P,) and word ids (P, 3) of one phrase for each entry of `category`."""
    triple = rng.integers(words.N_TRIPLES, size=len(category))
    faithful = rng.random(len(category)) < recipe.phrase_fidelity
    other = rng.integers(len(ORDERS), size=len(category))
    order = np.where(faithful, distribution.orders[category, triple], other)
    synonym = rng.integers(recipe.synonyms, size=(len(category), 3))
    return triple * len(ORDERS) + order, words.phrase_word_ids(triple[:, None], ORDERS[order], synonym)


def _signature(
    rng: np.random.Generator, distribution: Distribution, recipe: Recipe, category: np.ndarray
) -> np.ndarray:
    """Positions in the signature pool, one for each entry of `category`."""
    own = distribution.owned[category, rng.integers(OWN_WORDS, size=len(category))]
    anyone = rng.integers(words.N_SIGNATURE, size=len(category))
    return np.where(rng.random(len(category)) < recipe.word_fidelity, own, anyone)


def _noise_deck(recipe: Recipe) -> np.ndarray:
    """About a million noise words, each in proportion to its weight, so that one draw is one look-up."""
    weights = np.arange(1, words.N_NOISE + 1) ** -recipe.zipf_exponent
    bounds = np.round(np.cumsum(weights) / weights.sum() * 2**20).astype(np.int64)
    return np.repeat(np.arange(words.N_NOISE, dtype=np.int32), np.diff(bounds, prepend=0))


def offsets(counts: np.ndarray) -> np.ndarray:
    """Offsets (K + 1,) from counts (K,): the start of each run, and the end of the last one."""
    return np.concatenate([[0], np.cumsum(counts)])
