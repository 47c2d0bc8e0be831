"""Stage climate-events-train@MODEL: fit one network on the training images."""

from pathlib import Path

from convoy.climate.events.data.io import read
from convoy.climate.events.models import specs
from convoy.core import artifact
from convoy.core.files import MANIFEST, sha256
from convoy.core.models import model_named
from convoy.core.params import load
from convoy.core.stage import run
from convoy.core.training_params import TrainParams
from convoy.training.checkpoints import Checkpoint, run_key
from convoy.training.device_choice import device_of
from convoy.training.event_log import recorded

DATA = Path("data/climate/events")


def main(model: str) -> None:
    """Fit `model` and write its folder; resumes from a checkpoint of the same run."""
    params = load(f"climate.events.models.{model}", model_named(specs.MODELS, model).params)
    shared = load("climate.events.train", TrainParams)
    images = read(DATA / "images")
    key = run_key(params.model_dump(mode="json"), sha256(DATA / "images" / MANIFEST), specs.TRAINED_BY)

    def checkpoint(seed: int) -> Checkpoint:
        return Checkpoint(Path("data/checkpoints"), f"events-{model}-{seed}", key)

    facts = {
        "task": "climate/events",
        "model": model,
        "key": key,
        "seeds": list(shared.seeds),
        "device": device_of(params),
        "params": params.model_dump(mode="json"),
    }
    with recorded(facts, follower="convoy.tracking.live") as events:
        config, tensors, curve = specs.train(model, params, images, shared.seeds, checkpoint, events.epoch)
        out = DATA / "models" / model
        artifact.write(out, config, tensors, None, curve)
        events.finished(sha256(out / MANIFEST))
    for seed in shared.seeds:
        checkpoint(seed).remove()


if __name__ == "__main__":
    run(main)
