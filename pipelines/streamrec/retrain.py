"""Stage streamrec-retrain: TextCNN trained again in three ways, for consumers of the first version."""

from pathlib import Path

from convoy.classifiers.evaluation.io import write_predictions
from convoy.core import artifact
from convoy.core.params import load
from convoy.core.stage import run
from convoy.embeddings.write_io import write
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.corpus.data import read
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.evaluation.cases import predictions_of_test_split
from convoy.streamrec.classification.models import specs
from convoy.streamrec.classification.models.start_io import begun_with
from convoy.streamrec.recommender.params import RetrainParams

DATA = Path("data/streamrec")
OUT, MODEL = DATA / "retrained", "textcnn"


def main() -> None:
    """Write data/streamrec/retrained: by retraining a model, its embeddings and its predictions."""
    retrain = load("streamrec.recommender.retrain", RetrainParams)
    params, embed = (
        load(f"streamrec.models.{MODEL}", specs.MODELS[MODEL].params),
        load("streamrec.embed", EmbedParams),
    )
    OUT.mkdir(parents=True, exist_ok=True)
    if not (accepted := DATA / "models" / MODEL).is_dir():
        print(f"no {MODEL} to train again: streamrec.networks does not name it")
        return
    corpus, items = read(DATA / "corpus"), Items(DATA / "catalogue.parquet", {})
    for name, own in retrain.versions(params, str(accepted)).items():
        config, tensors, curve = specs.train(MODEL, own, corpus, (retrain.seed,), accepted=begun_with(own))
        artifact.write(OUT / name / "model", config, tensors, corpus.tokenizer_json, curve)
        stored = artifact.read(OUT / name / "model")
        embedder = Embedder(stored, embed)
        write(OUT / name / "embeddings", items, embedder, embedder.dimension, embedder.facts)
        write_predictions(OUT / name / "predictions.parquet", predictions_of_test_split(stored, corpus))


if __name__ == "__main__":
    run(main)
