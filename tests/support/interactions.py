"""Small synthetic interactions and catalogues for tests of the recommender."""

import numpy as np
import pyarrow as pa

from convoy.streamrec.catalogue.synthetic.interactions import (
    Drawn,
    SyntheticInteractionsParams,
    draw_interactions,
)
from convoy.streamrec.recommender.data.io import Interactions
from convoy.streamrec.recommender.params import InteractionsParams
from convoy.streamrec.recommender.sources.build import build


def item_ids(count: int) -> pa.Array:
    return pa.array([f"i{number:04d}" for number in range(count)])


def tastes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)


def drawn(items: int = 300, users: int = 40, slates: int = 20, seed: int = 0) -> Drawn:
    params = SyntheticInteractionsParams(users=users, slates=slates, days=40, seed=seed)
    return draw_interactions(item_ids(items), tastes(items), params)


def interactions(**sizes: int) -> Interactions:
    made = drawn(**sizes)
    return build(made.events, made.users, InteractionsParams.model_validate({}), {"source": "synthetic"})


def catalogue(items: int = 300, categories: int = 3) -> pa.Table:
    ids = item_ids(items).to_pylist()
    kinds = [f"c{number % categories}" for number in range(items)]
    words = ["alpha beta", "gamma delta", "epsilon zeta"]
    return pa.table(
        {
            "item_id": ids,
            "title": [f"title {number % 7}" for number in range(items)],
            "synopsis": [f"{words[number % categories % 3]} word{number % 11}" for number in range(items)],
            "category": kinds,
        }
    )
