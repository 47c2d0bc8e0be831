"""Stage streamrec-retrain: TextCNN with another seed, a new version for consumers of the first one."""

from pathlib import Path

from convoy.core import artifact
from convoy.core.params import load
from convoy.core.stage import run
from convoy.embeddings.write_io import write
from convoy.streamrec.catalogue.io import Items
from convoy.streamrec.classification.corpus.data import read
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models import specs
from convoy.streamrec.recommender.params import RetrainParams

DATA = Path("data/streamrec")
MODEL = "textcnn"


def main() -> None:
    """Write data/streamrec/retrained: the model and its embeddings of the catalogue."""
    retrain = load("streamrec.recommender.retrain", RetrainParams)
    params = retrain.shortened(load(f"streamrec.models.{MODEL}", specs.MODELS[MODEL].params))
    corpus = read(DATA / "corpus")
    config, tensors, curve = specs.train(MODEL, params, corpus, (retrain.seed,))
    folder = DATA / "retrained" / "model"
    artifact.write(folder, config, tensors, corpus.tokenizer_json, curve)
    embedder = Embedder(artifact.read(folder), load("streamrec.embed", EmbedParams))
    items = Items(DATA / "catalogue.parquet", {})
    write(DATA / "retrained" / "embeddings", items, embedder, embedder.dimension, embedder.facts)


if __name__ == "__main__":
    run(main)
