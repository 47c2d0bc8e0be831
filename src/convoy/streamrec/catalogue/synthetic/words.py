"""The vocabulary of the synthetic catalogue: readable pseudo-words in three disjoint pools."""

import numpy as np

N_NOISE = 9000
N_SIGNATURE = 800
N_TRIPLES = 12
MAX_SYNONYMS = 16
N_PHRASE = N_TRIPLES * 3 * MAX_SYNONYMS
# Word ids run through the pools in this order: noise, signature, phrase.
FIRST_SIGNATURE = N_NOISE
FIRST_PHRASE = N_NOISE + N_SIGNATURE
N_WORDS = N_NOISE + N_SIGNATURE + N_PHRASE

# fmt: off
# Names for the categories; a catalogue of C categories uses the first C.
CATEGORIES = (
    "action", "adventure", "animation", "biography", "comedy", "crime", "documentary", "drama", "family",
    "fantasy", "history", "horror", "music", "mystery", "romance", "satire", "sport", "thriller", "war",
    "western", "classics", "cooking", "education", "espionage", "musical", "nature", "noir", "politics",
    "reality", "religion", "science", "superhero", "suspense", "tragedy", "travel",
)
_ONSETS = (
    "b", "br", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl", "r",
    "s", "sk", "st", "t", "tr", "v", "w", "z",
)
# fmt: on
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea")
_CODAS = ("", "", "l", "m", "n", "r", "s", "x")


def spell(rng: np.random.Generator) -> list[str]:
    """N_WORDS distinct lower-case pseudo-words of two or three syllables, by word id.

    No category name is among them, so a label never occurs in a text that it labels. The lowest ids of noise
    words, which are the most frequent by Zipf's law, are the shortest, as in natural languages.
    """
    taken = set(CATEGORIES)
    words: list[str] = []
    while len(words) < N_WORDS:
        for word in _candidates(rng, 2 * N_WORDS):
            if word not in taken:
                taken.add(word)
                words.append(word)
    return sorted(words[:N_NOISE], key=len) + words[N_NOISE:N_WORDS]


def phrase_word_ids(triple: np.ndarray, slot: np.ndarray, synonym: np.ndarray) -> np.ndarray:
    """Ids of the words that fill `slot` (0..2) of `triple` (0..11); arrays broadcast together."""
    return FIRST_PHRASE + (triple * 3 + slot) * MAX_SYNONYMS + synonym


def _candidates(rng: np.random.Generator, count: int) -> list[str]:
    onsets, vowels, codas = np.array(_ONSETS), np.array(_VOWELS), np.array(_CODAS)
    open_syllables = [np.char.add(rng.choice(onsets, count), rng.choice(vowels, count)) for _ in range(2)]
    # One word in five begins with one more syllable.
    first = np.char.add(rng.choice(onsets, count), rng.choice(vowels[:5], count))
    first = np.where(rng.random(count) < 0.2, first, "")
    bodies = np.char.add(first, np.char.add(*open_syllables))
    return np.char.add(bodies, rng.choice(codas, count)).tolist()
