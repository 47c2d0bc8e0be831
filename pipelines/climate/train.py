"""Stage climate-train@MODEL: fit one network on the training days."""

from pathlib import Path

from convoy.climate.data.io import read, read_facts
from convoy.climate.downscaling.models import specs
from convoy.climate.downscaling.models.stored import TASK
from convoy.core import artifact
from convoy.core.files import MANIFEST, sha256
from convoy.core.models import model_named, models_in_use
from convoy.core.params import load
from convoy.core.stage import run
from convoy.core.training_params import TrainParams
from convoy.training.checkpoints import Checkpoint, run_key
from convoy.training.device_choice import device_of
from convoy.training.event_log import recorded

GRIDS = Path("data/climate/grids")


def main(model: str) -> None:
    """Fit `model` and write its folder; resumes from a checkpoint of the same run."""
    # A wrong name is reported before the first training, not after the last.
    models_in_use("climate", specs.MODELS)
    params = load(f"climate.models.{model}", model_named(specs.MODELS, model).params)
    shared = load("climate.train", TrainParams)
    facts = read_facts(GRIDS)
    train, validation = (read(GRIDS, split) for split in ("train", "validation"))
    key = run_key(params.model_dump(mode="json"), sha256(GRIDS / MANIFEST), specs.TRAINED_BY)

    def checkpoint(seed: int) -> Checkpoint:
        return Checkpoint(Path("data/checkpoints"), f"{model}-{seed}", key)

    start = {
        "task": TASK,
        "model": model,
        "key": key,
        "seeds": list(shared.seeds),
        "device": device_of(params),
        "params": params.model_dump(mode="json"),
    }
    with recorded(start, follower="convoy.tracking.live") as events:
        config, tensors, curve = specs.train(
            model, params, train, validation, facts, shared.seeds, checkpoint, events.epoch
        )
        if conserve := config.get("conserve"):
            why = f": {conserve['reason']}" if conserve["reason"] else ""
            print(f"{model}: conserve '{conserve['setting']}' is {conserve['used']}{why}", flush=True)
        out = Path("data/climate/models") / model
        artifact.write(out, config, tensors, None, curve)
        events.finished(sha256(out / MANIFEST))
    for seed in shared.seeds:
        checkpoint(seed).remove()


if __name__ == "__main__":
    run(main)
