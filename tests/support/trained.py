"""What the pipeline leaves behind, small: a source with dirty rows, its catalogue, corpus and four models."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core import artifact as models
from convoy.core.artifact import StoredModel
from convoy.streamrec.catalogue import source_io as sources
from convoy.streamrec.catalogue.build import build
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus
from convoy.streamrec.classification.corpus.data import Corpus
from convoy.streamrec.classification.models.params import (
    BowParams,
    BowTraining,
    LinearParams,
    MajorityParams,
    NetworkTraining,
    TextCNNParams,
)
from convoy.streamrec.classification.models.specs import train

QUICK = {"epochs": 2, "patience": 2, "threads": 1}
PARAMS = {
    "bow": BowParams(embedding_dim=8, training=BowTraining(**QUICK)),
    "textcnn": TextCNNParams(embedding_dim=8, num_filters=4, training=NetworkTraining(**QUICK)),
    "linear": LinearParams(C=(10.0,)),
    "linear_pairs": LinearParams(C=(10.0,)),
    "majority": MajorityParams(),
}
MAX_CHARACTERS, MAX_TOKENS = 400, 60
DIRTY = (
    (None, "<b>caf\u00c3\u00a9</b> &amp;amp; {}"),
    ("  a\u200b title\tof two ", "{}\x00<br>{}"),
    ("\u201cquoted\u201d", "e\u0301t\u00e9 {} " * 60),
    ("", "\u6620\u753b {} \u3042"),
)
"""Titles and synopses that cleaning changes; {} stands for words of a synopsis."""


@dataclass(frozen=True)
class Product:
    """`source` is a Parquet file as others write them, `catalogue` and `corpus` are made of it."""

    source: Path
    catalogue: pa.Table
    corpus: Corpus
    folders: dict[str, Path]

    def stored(self, kind: str) -> StoredModel:
        return models.read(self.folders[kind])

    def raw(self) -> tuple[list[str | None], list[str | None]]:
        """Titles and synopses of the source."""
        table = pq.read_table(self.source)
        return table["title"].to_pylist(), table["synopsis"].to_pylist()


def make(folder: Path, kinds: tuple[str, ...] = tuple(PARAMS), seeds: tuple[int, ...] = (0,)) -> Product:
    """Generate 400 items, dirty some, and run what the stages run."""
    made = generate(SyntheticParams(items=400, categories=5, seed=3)).catalogue
    titles, synopses = made["title"].to_pylist(), made["synopsis"].to_pylist()
    for row in range(0, len(titles), 7):
        title, synopsis = DIRTY[row // 7 % len(DIRTY)]
        titles[row], synopses[row] = title, synopsis.replace("{}", synopses[row])
    source = folder / "items.parquet"
    made = made.set_column(1, "title", [titles]).set_column(2, "synopsis", [synopses])
    assert made.column_names == ["item_id", "title", "synopsis", "category"]
    pq.write_table(made, source)
    read = sources.read_source(source, {}, need_category=True)
    catalogue, _ = build(read, CatalogueParams(source=str(source), max_characters=MAX_CHARACTERS))
    params = CorpusParams(min_count=1, max_tokens=MAX_TOKENS)
    corpus = build_corpus(catalogue, {"max_characters": MAX_CHARACTERS}, params)
    folders = {}
    for kind in kinds:
        config, tensors, curve = train(kind, PARAMS[kind], corpus, seeds)
        folders[kind] = folder / "models" / kind
        models.write(folders[kind], config, tensors, corpus.tokenizer_json, curve)
    return Product(source, catalogue, corpus, folders)
