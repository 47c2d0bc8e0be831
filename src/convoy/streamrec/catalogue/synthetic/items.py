"""The synthetic catalogue: texts whose Bayes accuracies are known exactly."""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from convoy.core.params import Section
from convoy.streamrec.catalogue.synthetic import bayes, drawing, words
from convoy.streamrec.catalogue.synthetic.distribution import (
    TASTE_DIMENSIONS,
    Distribution,
    draw_distribution,
)
from convoy.streamrec.catalogue.synthetic.drawing import BLOCK, Draw, Recipe

PRESETS = {
    "default": Recipe(
        categories=20,
        signature_share=0.20,
        word_fidelity=0.35,
        phrase_share=1 / 3,
        phrase_fidelity=0.9,
        synonyms=8,
        zipf_exponent=1.0,
    ),
    "chapter": Recipe(
        categories=20,
        signature_share=0.60,
        word_fidelity=1.0,
        phrase_share=0.0,
        phrase_fidelity=0.0,
        synonyms=8,
        zipf_exponent=0.0,
    ),
}


class SyntheticParams(Section):
    """A preset and changes to it: a key that is left out or null has the preset's value."""

    preset: Literal["default", "chapter"] = Field(
        "default", description="default: word order matters; chapter: word order has no information"
    )
    items: int = Field(45_000, ge=1, le=5_000_000, description="Number of items.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of the distribution and of the items.")
    categories: int | None = Field(None, ge=2, le=len(words.CATEGORIES), description="Number of categories.")
    signature_share: float | None = Field(
        None, ge=0, le=1, description="Share of words that are signature words."
    )
    word_fidelity: float | None = Field(
        None, ge=0, le=1, description="Probability that a signature word is one of the category's own 50."
    )
    phrase_share: float | None = Field(
        None, ge=0, le=1, description="Share of words in phrases of three words."
    )
    phrase_fidelity: float | None = Field(
        None, ge=0, le=1, description="Probability that a phrase has the category's own word order."
    )
    synonyms: int | None = Field(
        None, ge=1, le=words.MAX_SYNONYMS, description="Synonyms of each word of a phrase."
    )
    zipf_exponent: float | None = Field(
        None, ge=0, le=2, description="All other words: rank r has weight r ** -exponent; 0: uniform."
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> "SyntheticParams":
        recipe = self.recipe()
        if recipe.signature_share + recipe.phrase_share > 1:
            raise ValueError(
                f"signature_share and phrase_share must not exceed 1 together; found "
                f"{recipe.signature_share:g} and {recipe.phrase_share:g} (the preset's where left out)"
            )
        return self

    def recipe(self) -> Recipe:
        """The preset's recipe with the values that this section sets."""
        own = {field.name: getattr(self, field.name) for field in fields(Recipe)}
        given = {key: value for key, value in own.items() if value is not None}
        return replace(PRESETS[self.preset], **given)


@dataclass(frozen=True)
class Synthetic:
    """A synthetic catalogue and its truth, both in item order.

    catalogue: item_id, title, synopsis, category. truth: item_id, order_blind and full (the category
    that each Bayes rule predicts), taste (list<float32> of 16). The truth is never an input of a model.
    """

    catalogue: pa.Table
    truth: pa.Table


def generate(params: SyntheticParams) -> Synthetic:
    """Draw the catalogue of `params`, deterministically; more items do not change the earlier ones."""
    recipe = params.recipe()
    distribution = draw_distribution(params.seed, recipe.categories)
    spelling = _spelling(distribution)
    drawn = drawing.blocks(distribution, recipe, params.seed, -(-params.items // BLOCK))
    catalogues, truths = [], []
    for number, block in enumerate(drawn):
        catalogues.append(_catalogue(distribution, spelling, block, number))
        truths.append(_truth(distribution, recipe, block, number))
    return Synthetic(_first(params.items, catalogues), _first(params.items, truths))


def _first(items: int, tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).slice(0, items)


def _catalogue(distribution: Distribution, spelling: pa.StringArray, drawn: Draw, number: int) -> pa.Table:
    titles, synopses = _texts(spelling, drawn)
    categories = _names(distribution, drawn.category)
    return pa.table(
        {"item_id": _item_ids(number), "title": titles, "synopsis": synopses, "category": categories}
    )


def _truth(distribution: Distribution, recipe: Recipe, drawn: Draw, number: int) -> pa.Table:
    blind, full = bayes.bayes_rules(
        distribution, drawn.evidence, recipe.word_fidelity, recipe.phrase_fidelity
    )
    taste = distribution.category_taste[drawn.category] + drawn.evidence.sum_phrases(
        distribution.phrase_taste
    )
    bounds = np.arange(BLOCK + 1, dtype=np.int32) * TASTE_DIMENSIONS
    return pa.table(
        {
            "item_id": _item_ids(number),
            "order_blind": _names(distribution, blind),
            "full": _names(distribution, full),
            "taste": pa.ListArray.from_arrays(pa.array(bounds), pa.array(taste.ravel())),
        }
    )


def _spelling(distribution: Distribution) -> pa.StringArray:
    """Words by id, followed by a blank; from N_WORDS on the same words without, for the end of a part."""
    return pa.array([word + " " for word in distribution.words] + distribution.words, pa.string())


def _texts(spelling: pa.StringArray, drawn: Draw) -> tuple[pa.Array, pa.Array]:
    """Titles and synopses: the words gathered into one buffer, of which every part is a slice."""
    ids = drawn.word_ids.copy()
    ids[drawn.part_offsets[1:] - 1] += words.N_WORDS
    _, bounds, characters = spelling.take(pa.array(ids)).buffers()
    part_bounds = np.frombuffer(bounds, np.int32)[drawn.part_offsets]
    parts = pa.StringArray.from_buffers(2 * BLOCK, pa.py_buffer(part_bounds), characters)
    return parts[:BLOCK], parts[BLOCK:]


def _names(distribution: Distribution, category: np.ndarray) -> pa.StringArray:
    return pa.array(distribution.categories, pa.string()).take(pa.array(category))


def _item_ids(number: int) -> pa.StringArray:
    """`item-0000001` and on: the ids of block `number`, counted from 1."""
    counts = np.arange(number * BLOCK + 1, (number + 1) * BLOCK + 1)
    characters = np.tile(np.frombuffer(b"item-0000000", np.uint8), (BLOCK, 1))
    characters[:, -7:] += (counts[:, None] // 10 ** np.arange(6, -1, -1) % 10).astype(np.uint8)
    bounds = np.arange(BLOCK + 1, dtype=np.int32) * characters.shape[1]
    return pa.StringArray.from_buffers(BLOCK, pa.py_buffer(bounds), pa.py_buffer(characters))
