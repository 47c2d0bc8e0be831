"""Stage streamrec-train@MODEL: fit one model on the training split."""

from pathlib import Path

from convoy.params import load
from convoy.stage import run
from convoy.storage import corpus as corpora
from convoy.storage import models as folders
from convoy.storage.checkpoints import Checkpoint, run_key
from convoy.storage.files import MANIFEST, sha256
from convoy.streamrec import models

CORPUS = Path("data/streamrec/corpus")


def main(model: str) -> None:
    """Fit `model` on the corpus and write its folder; goes on from a checkpoint of the same run."""
    params = load(f"streamrec.models.{model}", models.params_model(model))
    shared = load("streamrec.train", models.TrainParams)
    corpus = corpora.read(CORPUS)
    key = run_key(params.model_dump(mode="json"), sha256(CORPUS / MANIFEST))
    config, tensors, curve = models.train(
        model,
        params,
        corpus,
        shared.seeds,
        lambda seed: Checkpoint(Path("data/checkpoints"), f"{model}-{seed}", key),
    )
    folders.write(Path("data/streamrec/models") / model, config, tensors, corpus.tokenizer_json, curve)
    for seed in shared.seeds:
        Checkpoint(Path("data/checkpoints"), f"{model}-{seed}", key).remove()


if __name__ == "__main__":
    run(main)
