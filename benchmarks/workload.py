"""What the benchmarks work on: the default synthetic catalogue, its corpus, a model of the default size.

`python -m benchmarks.workload FOLDER ITEMS …` writes catalogue-ITEMS.parquet for each, and model/.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from convoy.streamrec.catalogue import build as catalogue
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.synthetic.items import SyntheticParams, generate
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus
from convoy.streamrec.classification.corpus.data import Corpus

ITEMS = 50_000


def raw(items: int) -> pa.Table:
    """The synthetic catalogue as it is before any cleaning: item_id, title, synopsis, category."""
    return generate(SyntheticParams(items=items)).catalogue


def cleaned(table: pa.Table) -> pa.Table:
    return catalogue.build(table, CatalogueParams())[0]


def corpus(table: pa.Table) -> Corpus:
    """Corpus of a cleaned catalogue with the default params, its tokenizer fitted on the training split."""
    return build_corpus(table, {"max_characters": CatalogueParams().max_characters}, CorpusParams())


def write_model(folder: Path, corpus: Corpus) -> None:
    """A textcnn model folder: the default network with random weights, which cost as much as trained ones."""
    from convoy.core import artifact as models
    from convoy.nn.text import TextCNN
    from convoy.streamrec.classification.models.params import TextCNNParams
    from convoy.training.loop import seeded

    network = {
        "vocab_size": corpus.vocab_size,
        "num_classes": len(corpus.categories),
        **TextCNNParams().arguments(),
    }
    with seeded(0):
        tensors = {name: tensor.numpy() for name, tensor in TextCNN(**network).state_dict().items()}
    config = {
        "schema": 1,
        "kind": "textcnn",
        "network": network,
        "categories": list(corpus.categories),
        "text": corpus.text,
        "training": {},
    }
    models.write(folder, config, {0: tensors}, corpus.tokenizer_json)


def write(folder: Path, sizes: Sequence[int]) -> Corpus:
    """Write catalogue-ITEMS.parquet for each size, and model/; return the corpus that the model is for."""
    table = raw(max(sizes))
    for items in sizes:
        pq.write_table(table.slice(0, items), folder / f"catalogue-{items}.parquet")
    vocabulary = corpus(cleaned(table.slice(0, ITEMS)))
    write_model(folder / "model", vocabulary)
    return vocabulary


if __name__ == "__main__":
    write(Path(sys.argv[1]), [int(items) for items in sys.argv[2:]])
