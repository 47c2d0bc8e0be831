"""Embeddings folders of items whose vectors tell which item they belong to."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.embeddings import write_io
from convoy.embeddings.io import Embedded
from convoy.streamrec.catalogue.source_io import Items

DIM = 6
FACTS = {"model": "textcnn", "pooling": "max", "normalise": "none"}


def embed(batch):
    """Vectors that tell which item they belong to; an item without a synopsis has none."""
    texts = [
        f"{title} {synopsis}".strip() for title, synopsis in zip(*batch.to_pydict().values(), strict=True)
    ]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    vectors = np.array([vector_of(text) for text in texts], np.float32)
    return Embedded(vectors, digests, np.array([0 if text else 1 for text in texts], np.uint8))


def vector_of(text):
    rng = np.random.default_rng(list(text.encode()))
    return rng.standard_normal(DIM) if text else np.zeros(DIM)


def without_ids(batch):
    return embed(batch.select(["title", "synopsis"]))


def items(count):
    """Ids whose order as UTF-8, as UTF-16 and as found all differ; the last item has no text."""
    ids = [f"item-{number * 7919 % count}" for number in range(count - 3)] + ["\U0001f600", "\uff5e", "Z"]
    synopses = [f"synopsis {number}" for number in range(count - 1)] + [""]
    return pa.table({"item_id": ids, "title": [""] * count, "synopsis": synopses})


def write(folder, table=None, name="items.parquet", **changes):
    folder.mkdir(exist_ok=True)
    table = items(100) if table is None else table
    pq.write_table(table, folder / name)
    return write_items(folder / "out", folder / name, **changes)


def write_items(out, path, dimension=DIM, **changes):
    return write_io.write(out, Items(path, {}), without_ids, dimension, FACTS, **changes)


def parts(folder):
    return sorted((folder / "out/parquet").glob("part-*.parquet"))
