"""A sweep over synthetic catalogues: where word order has value, and where pairs of words suffice for it."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from convoy.core.artifact import StoredModel
from convoy.core.models import names_of
from convoy.core.params import Section
from convoy.streamrec.catalogue.build import build
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.synthetic.bayes import accuracy_bayes
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from convoy.streamrec.catalogue.synthetic.words import MAX_SYNONYMS
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus
from convoy.streamrec.classification.corpus.data import TEST, Corpus
from convoy.streamrec.classification.models import specs
from convoy.streamrec.classification.models.params import LinearParams

# Where the two Bayes accuracies differ by less than this, order has no value.
NEGLIGIBLE = 0.02
# Pairs suffice where their share of the full Bayes accuracy is at least this much of the words' share of the
# order-blind one: both are below 1 for lack of items, that of pairs a little more, since there are more of
# them.
AS_GOOD = 0.95

# The models that the verdict compares.
WORDS, PAIRS_TOO = "linear", "linear_pairs"

NO_ORDER, PAIRS, ORDER = "order carries nothing", "memorised pairs do", "room for learned order"

# Fits on a corpus and predicts the categories of its test split: labels (n,), aligned with items(TEST).
Fitter = Callable[[Corpus], np.ndarray]

Fidelities = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=8)]


class SweepParams(Section):
    """A grid of synthetic catalogues whose other params are the defaults."""

    networks: bool = Field(
        False, description="true: bow and textcnn as well, with default params; takes minutes"
    )
    items: int = Field(8000, ge=1000, le=200_000, description="in each catalogue")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of each catalogue and network")
    phrase_fidelity: Fidelities = Field((0.0, 0.5, 0.9), description="x axis of each panel of the figure")
    word_fidelity: Fidelities = Field((0.15, 0.35), description="one row of panels each")
    synonyms: tuple[Annotated[int, Field(ge=1, le=MAX_SYNONYMS)], ...] = Field(
        (1, 8), min_length=1, max_length=4, description="one column of panels each"
    )
    C: float = Field(3.0, ge=1e-6, le=1e6, description="inverse strength of the baselines' L2 penalty")

    @model_validator(mode="after")
    def _values_rise(self) -> "SweepParams":
        for key in ("phrase_fidelity", "word_fidelity", "synonyms"):
            values = getattr(self, key)
            if sorted(set(values)) != list(values):
                raise ValueError(f"{key} must rise from value to value; found {list(values)}")
        return self

    @property
    def cells(self) -> int:
        """Number of catalogues in the grid."""
        return len(self.phrase_fidelity) * len(self.word_fidelity) * len(self.synonyms)


@dataclass(frozen=True)
class Cell:
    """One catalogue of the sweep; all accuracies in [0, 1], on its test split.

    `order_blind` and `full` are the exact Bayes accuracies; `accuracy` holds that of each fitter by name.
    """

    synonyms: int
    word_fidelity: float
    phrase_fidelity: float
    items: int
    test_items: int
    order_blind: float
    full: float
    accuracy: dict[str, float]

    @property
    def words_share(self) -> float:
        """Share of the order-blind Bayes accuracy that `linear` reaches."""
        return self.accuracy[WORDS] / self.order_blind

    @property
    def pairs_share(self) -> float:
        """Share of the full Bayes accuracy that `linear_pairs` reaches."""
        return self.accuracy[PAIRS_TOO] / self.full

    @property
    def verdict(self) -> str:
        """NO_ORDER, PAIRS or ORDER."""
        if self.full - self.order_blind < NEGLIGIBLE:
            return NO_ORDER
        return PAIRS if self.pairs_share >= AS_GOOD * self.words_share else ORDER

    def row(self) -> dict[str, Any]:
        """The cell as one row of sweep.csv; accuracies and shares with four decimals."""
        return {
            "synonyms": self.synonyms,
            "word_fidelity": self.word_fidelity,
            "phrase_fidelity": self.phrase_fidelity,
            "items": self.items,
            "test_items": self.test_items,
            "order_blind": round(self.order_blind, 4),
            "full": round(self.full, 4),
            **{name: round(value, 4) for name, value in self.accuracy.items()},
            "words_share": round(self.words_share, 4),
            "pairs_share": round(self.pairs_share, 4),
            "verdict": self.verdict,
        }

    def summary(self) -> str:
        """The cell in one line, for the log."""
        reached = ", ".join(f"{name} {value:.3f}" for name, value in self.accuracy.items())
        return (
            f"synonyms {self.synonyms}, word fidelity {self.word_fidelity:g}, phrase fidelity "
            f"{self.phrase_fidelity:g}: Bayes accuracies {self.order_blind:.3f} and {self.full:.3f}; "
            f"{reached}: "
            f"{self.verdict}"
        )


def fitters(params: SweepParams) -> dict[str, Fitter]:
    """The models of the sweep by name: both linear baselines, with `params.networks` the networks too."""
    networks = names_of(specs.MODELS, "network") if params.networks else ()
    of_models: dict[str, Section] = {name: LinearParams(C=(params.C,)) for name in (WORDS, PAIRS_TOO)}
    of_models |= {name: specs.MODELS[name].params() for name in networks}
    return {name: partial(_fit, name, own, params.seed) for name, own in of_models.items()}


def _fit(name: str, params: Section, seed: int, encoded: Corpus) -> np.ndarray:
    config, tensors, _ = specs.train(name, params, encoded, (seed,))
    stored = StoredModel(config, tensors, encoded.tokenizer_json, sha256={})
    return specs.probabilities(stored, encoded, encoded.items(TEST))[seed].argmax(axis=1)


def sweep(params: SweepParams, fitters: Mapping[str, Fitter]) -> Iterator[Cell]:
    """Yield a cell for each combination of synonyms, word fidelity and phrase fidelity, in that order.

    `fitters` must include `linear` and `linear_pairs`, which the verdict uses.
    """
    for synonyms, word_fidelity, phrase_fidelity in itertools.product(
        params.synonyms, params.word_fidelity, params.phrase_fidelity
    ):
        synthetic = SyntheticParams(
            items=params.items,
            seed=params.seed,
            synonyms=synonyms,
            word_fidelity=word_fidelity,
            phrase_fidelity=phrase_fidelity,
        )
        yield _cell(synthetic, fitters)


def _cell(params: SyntheticParams, fitters: Mapping[str, Fitter]) -> Cell:
    made = generate(params)
    recipe = params.recipe()
    settings = CatalogueParams(synthetic=params)
    table, _ = build(made.catalogue, settings)
    encoded = build_corpus(table, {"max_characters": settings.max_characters}, CorpusParams())
    items = encoded.items(TEST)
    labels = encoded.labels[items]
    bayes = accuracy_bayes(
        made.truth, encoded.item_ids.take(pa.array(items)), [encoded.categories[label] for label in labels]
    )
    assert bayes is not None, "a synthetic catalogue comes with its truth"
    return Cell(
        synonyms=recipe.synonyms,
        word_fidelity=recipe.word_fidelity,
        phrase_fidelity=recipe.phrase_fidelity,
        items=params.items,
        test_items=len(items),
        order_blind=bayes["order_blind"],
        full=bayes["full"],
        accuracy={name: float(np.mean(fit(encoded) == labels)) for name, fit in fitters.items()},
    )
