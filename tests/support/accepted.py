"""Item embeddings by a small trained network with their catalogue and model, and ways to damage them."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core import artifact
from convoy.core.files import write_manifest
from convoy.embeddings import io, write_io
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue.build import build
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models.params import NetworkTraining, TextCNNParams
from convoy.streamrec.classification.models.specs import train

ITEMS = 600
TRAINING = NetworkTraining(epochs=6, patience=6, threads=1, batch_size=32)
PARAMS = TextCNNParams(embedding_dim=16, num_filters=8, kernel_sizes=(2, 3), training=TRAINING)


@cache
def catalogue_table():
    params = SyntheticParams(items=ITEMS, categories=4, seed=3, signature_share=0.5, word_fidelity=0.8)
    return build(generate(params).catalogue, CatalogueParams(max_characters=400))[0]


@cache
def corpus():
    return build_corpus(catalogue_table(), {"max_characters": 400}, CorpusParams(min_count=1, max_tokens=60))


def make(folder, seed=0, normalise="none"):
    """catalogue.parquet, model/ and vectors/ in a new folder, by a network trained with a seed."""
    folder.mkdir(exist_ok=True)
    catalogue = folder / "catalogue.parquet"
    facts = {"source": "synthetic", "source_sha256": None, "max_characters": 400}
    catalogues.write(catalogue, catalogue_table(), facts)
    config, tensors, curve = train("textcnn", PARAMS, corpus(), (seed,))
    artifact.write(folder / "model", config, tensors, corpus().tokenizer_json, curve)
    embed(folder, normalise=normalise)
    return folder


def embed(folder, out="vectors", catalogue="catalogue.parquet", normalise="none"):
    embedder = Embedder(artifact.read(folder / "model"), EmbedParams(normalise=normalise))
    items = Items(folder / catalogue, {})
    return write_io.write(folder / out, items, embedder, embedder.dimension, embedder.facts)


@dataclass(frozen=True)
class Rows:
    """The contents of an embeddings folder."""

    ids: np.ndarray
    vectors: np.ndarray
    digests: list
    status: list
    facts: dict

    def taken(self, order):
        """These rows in this order."""
        order = np.asarray(order)
        if order.dtype == bool:
            order = np.flatnonzero(order)
        return replace(
            self, ids=self.ids[order], vectors=self.vectors[order],
            digests=[self.digests[row] for row in order], status=[self.status[row] for row in order],
        )  # fmt: skip


def contents(path):
    manifest = io.read_manifest(path)
    table = pa.concat_tables(pq.read_table(path / name) for name in sorted(manifest["rows"]))
    ids, vectors = io.read(path)
    facts = {key: value for key, value in manifest.items() if key not in ("files", "rows")}
    columns = (table[name].to_pylist() for name in ("text_sha256", "status"))
    return Rows(ids, vectors, *columns, facts)


def store(path: Path, rows: Rows, parts: int = 2, **of_second_part) -> None:
    """Write rows as an embeddings folder whose checksums, counts and facts agree, whatever is in it."""
    (path / io.PARTS).mkdir(parents=True)
    (path / io.SIDECAR).mkdir()
    counts = {name: rows.status.count(name) for name in io.STATUSES}
    facts = {**rows.facts, "items": len(rows.ids), "dimension": rows.vectors.shape[1], "status": counts}
    np.save(path / io.VECTORS, rows.vectors.astype(np.float32))
    np.save(path / io.IDS, rows.ids)
    found = {}
    for number, places in enumerate(np.array_split(np.arange(len(rows.ids)), parts)):
        own = rows.taken(places)
        table = pa.table(
            {"item_id": own.ids.tolist(), "embedding": own.vectors.astype(np.float32).tolist(),
             "text_sha256": own.digests, "status": own.status}, io.SCHEMA,
        )  # fmt: skip
        of_part = {**facts, **(of_second_part if number else {})}
        name = f"{io.PARTS}/part-{number:05}.parquet"
        pq.write_table(table.replace_schema_metadata({io.METADATA: json.dumps(of_part)}), path / name)
        found[name] = len(places)
    write_manifest(path, io.MANIFEST, **facts, rows=found)
