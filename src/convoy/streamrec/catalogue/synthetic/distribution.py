"""The distribution of a synthetic catalogue, and the evidence about categories in items drawn from it."""

import itertools
from dataclasses import dataclass

import numpy as np

from convoy.streamrec.catalogue.synthetic import words

OWN_WORDS = 50
TASTE_DIMENSIONS = 16
# The six orders of the slots of a triple; row `order` lists the slots from left to right.
ORDERS = np.array(list(itertools.permutations(range(3))))
N_PHRASE_KINDS = words.N_TRIPLES * len(ORDERS)


@dataclass(frozen=True)
class Distribution:
    """The parameters of the distribution from which all items of a seed are drawn, for C categories.

    words: spelling by word id, see `words`. categories: C names. owned (C, 50): each category's own words, as
    positions in the signature pool. orders (C, 12): each category's own order of each triple, 0..5.
    category_taste (C, 16), phrase_taste (12 * 6, 16): float32; a phrase's row is its `kind`.
    """

    words: list[str]
    categories: tuple[str, ...]
    owned: np.ndarray
    orders: np.ndarray
    category_taste: np.ndarray
    phrase_taste: np.ndarray

    def owns(self) -> np.ndarray:
        """(800, C): 1 where the category owns the signature word, else 0."""
        owns = np.zeros((words.N_SIGNATURE, len(self.categories)), np.int32)
        owns[self.owned.T, np.arange(len(self.categories))] = 1
        return owns

    def agrees(self) -> np.ndarray:
        """(72, C): 1 where the kind's order is the category's own order of the kind's triple, else 0."""
        triples, orders = np.divmod(np.arange(N_PHRASE_KINDS), len(ORDERS))
        return (self.orders[:, triples] == orders).T.astype(np.int32)


@dataclass(frozen=True)
class Evidence:
    """Signature words and phrases of N items, in no particular order.

    signature: positions in the signature pool, 0..799, of items signature_item, 0..N-1.
    phrases: kinds, triple * 6 + order, of items phrase_item.
    """

    n_items: int
    signature: np.ndarray
    signature_item: np.ndarray
    phrases: np.ndarray
    phrase_item: np.ndarray

    def sum_signature(self, values: np.ndarray) -> np.ndarray:
        """(800, K) values by signature word -> (N, K), summed over each item's signature words."""
        return _sum_by_item(self.n_items, self.signature_item, self.signature, values)

    def sum_phrases(self, values: np.ndarray) -> np.ndarray:
        """(72, K) values by kind of phrase -> (N, K), summed over each item's phrases."""
        return _sum_by_item(self.n_items, self.phrase_item, self.phrases, values)


def draw_distribution(seed: int, n_categories: int) -> Distribution:
    """The distribution of `seed`; a larger `n_categories` does not change the earlier categories."""
    spelling, owners, orders, tastes = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed, spawn_key=(0,)).spawn(4)
    )
    everyone = len(words.CATEGORIES)
    owned = owners.permuted(np.tile(np.arange(words.N_SIGNATURE), (everyone, 1)), axis=1)[:, :OWN_WORDS]
    return Distribution(
        words=words.spell(spelling),
        categories=words.CATEGORIES[:n_categories],
        owned=owned[:n_categories],
        orders=orders.integers(len(ORDERS), size=(everyone, words.N_TRIPLES))[:n_categories],
        # A text has about four phrases: at half the scale their sum varies as much as that of categories.
        phrase_taste=_taste(tastes, N_PHRASE_KINDS, 0.5),
        category_taste=_taste(tastes, everyone, 1.0)[:n_categories],
    )


def _taste(rng: np.random.Generator, count: int, scale: float) -> np.ndarray:
    # Multiples of 2**-12: float32 sums of them are exact, so their order does not matter.
    return (np.round(rng.normal(scale=scale, size=(count, TASTE_DIMENSIONS)) * 4096) / 4096).astype(
        np.float32
    )


def _sum_by_item(n_items: int, items: np.ndarray, ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    columns = [np.bincount(items, column[ids], minlength=n_items) for column in values.T]
    return np.stack(columns, axis=1).astype(values.dtype)
