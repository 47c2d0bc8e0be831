"""The ladder: one row per representation of items, from none at all to the true taste."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.core.models import ModelSpec, registry
from convoy.streamrec.recommender.params import LinearPairsParams, NoParams, RandomParams

if TYPE_CHECKING:
    from convoy.streamrec.recommender.representations import Sources

Vectors: TypeAlias = npt.NDArray[np.float32]
MakeVectors: TypeAlias = "Callable[[Sources, Any], Vectors]"
"""Sources and params -> (N, D) vectors."""
Retrieval: TypeAlias = Literal["content", "popularity"] | None
"""How items are ranked for a user: by the cosine to the mean of liked ones, by training clicks, or not."""


@dataclass(frozen=True, kw_only=True)
class Representation(ModelSpec[MakeVectors, Retrieval]):
    """A representation of items. `fit` makes the vectors, `predict` is the way of retrieval."""

    clicks: bool = True
    """Whether the click model is fitted with it."""
    with_category: bool = True
    """Whether the click model sees the category as well, as the chapter's M2 does."""
    delta: bool = False
    """Whether the click model adds a trained vector per item."""
    embedding: str | None = None
    """The model whose embeddings it needs."""
    synthetic_only: bool = False


def _made(name: str) -> MakeVectors:
    def make(sources: "Sources", params: Any) -> Vectors:
        from convoy.streamrec.recommender import representations

        return getattr(representations, name)(sources, params)

    return make


def _embedding(model: str, sources: "Sources", _params: Any) -> Vectors:
    from convoy.streamrec.recommender import representations

    return representations.embedding(sources, model)


MODELS: dict[str, Representation] = registry(
    Representation(
        name="none",
        label="No item",
        phrase="the model without items",
        summary="Age, tier and position alone: the model sees nothing of the item.",
        colour=3,
        role="baseline",
        params=NoParams,
        fit=_made("nothing"),
        predict=None,
        with_category=False,
    ),
    Representation(
        name="random",
        label="Random vectors",
        phrase="random vectors",
        summary="Standard normal vectors, which identify an item and hold no information on it.",
        colour=3,
        role="baseline",
        params=RandomParams,
        fit=_made("random"),
        predict="content",
        with_category=False,
    ),
    Representation(
        name="popularity",
        label="Popularity",
        phrase="popularity",
        summary="The number of clicks in the training split, the same for all users.",
        colour=3,
        role="baseline",
        params=NoParams,
        fit=_made("nothing"),
        predict="popularity",
        clicks=False,
    ),
    Representation(
        name="category",
        label="Category",
        phrase="the category alone",
        summary="The category alone, as in the chapter's model M2.",
        colour=3,
        role="baseline",
        params=NoParams,
        fit=_made("category"),
        predict="content",
    ),
    Representation(
        name="bow",
        label="Bag of words",
        phrase="bag-of-words",
        summary="Category and the embedding of the bag-of-words network.",
        colour=0,
        role="network",
        params=NoParams,
        fit=partial(_embedding, "bow"),
        embedding="bow",
        predict="content",
    ),
    Representation(
        name="linear_pairs",
        label="TF-IDF pairs + SVD",
        phrase="TF-IDF of words and pairs",
        summary="Category and TF-IDF of words and adjacent pairs, reduced by a truncated SVD (scikit-learn).",
        colour=2,
        role="baseline",
        params=LinearPairsParams,
        fit=_made("linear_pairs"),
        predict="content",
    ),
    Representation(
        name="textcnn",
        label="TextCNN",
        phrase="TextCNN",
        summary="Category and the embedding of TextCNN (Kim, 2014).",
        colour=1,
        role="network",
        params=NoParams,
        fit=partial(_embedding, "textcnn"),
        embedding="textcnn",
        predict="content",
    ),
    Representation(
        name="textcnn_delta",
        label="TextCNN + delta",
        phrase="TextCNN with a trained delta",
        summary="The same with a small trained vector per item added to the projected embedding.",
        colour=4,
        role="network",
        params=NoParams,
        fit=partial(_embedding, "textcnn"),
        embedding="textcnn",
        predict=None,
        delta=True,
    ),
    Representation(
        name="taste",
        label="True taste",
        phrase="the true taste",
        summary="Category and the hidden taste vector from which the clicks are drawn: the upper bound.",
        colour=5,
        role="baseline",
        params=NoParams,
        fit=_made("taste"),
        predict="content",
        synthetic_only=True,
    ),
)
"""In the order in which they are expected, worst first."""


def usable(names: Iterable[str], embeddings: Iterable[str], synthetic: bool) -> tuple[str, ...]:
    """Those of `names` that can be made: their embeddings exist; the true taste of a synthetic catalogue."""
    wanted, made = set(names), {None, *embeddings}
    return tuple(
        name
        for name, row in MODELS.items()
        if name in wanted and row.embedding in made and (synthetic or not row.synthetic_only)
    )
