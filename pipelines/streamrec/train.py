"""Stage streamrec-train@MODEL: fit one network on the training split."""

from pathlib import Path

from convoy.core import artifact
from convoy.core.files import MANIFEST, sha256
from convoy.core.models import model_named
from convoy.core.params import load
from convoy.core.stage import run
from convoy.core.training_params import TrainParams
from convoy.streamrec.classification.corpus.data import read
from convoy.streamrec.classification.models import specs
from convoy.streamrec.classification.models.start_io import begun_with
from convoy.streamrec.classification.networks.vectors import coverage
from convoy.streamrec.classification.networks.vectors_io import pretrained
from convoy.training.checkpoints import Checkpoint, run_key
from convoy.training.device_choice import device_of
from convoy.training.event_log import recorded

CORPUS = Path("data/streamrec/corpus")


def main(model: str) -> None:
    """Fit `model` on the corpus and write its folder; resumes from a checkpoint of the same run."""
    params = load(f"streamrec.models.{model}", model_named(specs.MODELS, model).params)
    shared = load("streamrec.train", TrainParams)
    corpus = read(CORPUS)
    vectors = pretrained(params, corpus.tokenizer_json)
    accepted = begun_with(params)
    key = run_key(specs.inputs(params, vectors, accepted), sha256(CORPUS / MANIFEST), specs.TRAINED_BY)

    def checkpoint(seed: int) -> Checkpoint:
        return Checkpoint(Path("data/checkpoints"), f"{model}-{seed}", key)

    facts = {
        "task": "streamrec/text",
        "model": model,
        "key": key,
        "seeds": list(shared.seeds),
        "device": device_of(params),
        "params": params.model_dump(mode="json"),
    }
    with recorded(facts, follower="convoy.tracking.live") as events:
        config, tensors, curve = specs.train(
            model, params, corpus, shared.seeds, checkpoint, events.epoch, vectors, accepted
        )
        out = Path("data/streamrec/models") / model
        artifact.write(out, config, tensors, corpus.tokenizer_json, curve)
        events.finished(sha256(out / MANIFEST))
    if vectors is not None:
        print(coverage(config["vectors"]))
    for seed in shared.seeds:
        checkpoint(seed).remove()


if __name__ == "__main__":
    run(main)
