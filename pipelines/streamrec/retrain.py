"""Stage streamrec-retrain: TextCNN trained again in three ways, for consumers of the first version."""

from pathlib import Path

from convoy.classifiers.comparison.promotion import difference
from convoy.classifiers.evaluation.evaluate import EvaluateParams
from convoy.classifiers.evaluation.io import read_predictions
from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.embeddings.write_io import write
from convoy.streamrec.catalogue.io import Items
from convoy.streamrec.classification.cases import predictions_of_test_split
from convoy.streamrec.classification.corpus.data import read
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models import specs
from convoy.streamrec.recommender.params import RetrainParams

DATA = Path("data/streamrec")
OUT, MODEL = DATA / "retrained", "textcnn"


def main() -> None:
    """Write data/streamrec/retrained: a model and its embeddings per retraining, and their accuracies."""
    retrain = load("streamrec.recommender.retrain", RetrainParams)
    accepted, own = DATA / "models" / MODEL, load(f"streamrec.models.{MODEL}", specs.MODELS[MODEL].params)
    if not accepted.is_dir():
        print(f"no {MODEL} to train again: streamrec.networks does not name it")
        write_json(OUT / "accuracies.json", {})
        return
    evaluation, embed = load("streamrec.evaluate", EvaluateParams), load("streamrec.embed", EmbedParams)
    corpus, items = read(DATA / "corpus"), Items(DATA / "catalogue.parquet", {})
    before = read_predictions(DATA / "predictions" / f"{MODEL}.parquet")
    accuracies = {}
    for name, params in retrain.versions(own, str(accepted)).items():
        begun = specs.begun_with(params)
        config, tensors, curve = specs.train(MODEL, params, corpus, (retrain.seed,), accepted=begun)
        artifact.write(OUT / name / "model", config, tensors, corpus.tokenizer_json, curve)
        stored = artifact.read(OUT / name / "model")
        embedder = Embedder(stored, embed)
        write(OUT / name / "embeddings", items, embedder, embedder.dimension, embedder.facts)
        found = predictions_of_test_split(stored, corpus)
        change = difference(found, before, evaluation.resamples, evaluation.seed)
        accuracies[name] = {
            "difference": change.difference, "low": change.low, "high": change.high, **change.details
        }  # fmt: skip
    write_json(OUT / "accuracies.json", accuracies)


if __name__ == "__main__":
    run(main)
