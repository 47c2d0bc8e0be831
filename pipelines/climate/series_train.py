"""Stage climate-series-train@MODEL: fit one network on the training sites."""

from pathlib import Path

from convoy.climate.series.data.io import read
from convoy.climate.series.models import specs
from convoy.climate.series.models.stored import TASK
from convoy.core import artifact
from convoy.core.files import MANIFEST, sha256
from convoy.core.models import model_named
from convoy.core.params import load
from convoy.core.stage import run
from convoy.core.training_params import TrainParams
from convoy.training.checkpoints import Checkpoint, run_key
from convoy.training.device_choice import device_of
from convoy.training.event_log import recorded

SITE_YEARS = Path("data/climate/series/site_years")


def main(model: str) -> None:
    """Fit `model` and write its folder; resumes from a checkpoint of the same run."""
    params = load(f"climate.series.models.{model}", model_named(specs.MODELS, model).params)
    shared = load("climate.series.train", TrainParams)
    held = read(SITE_YEARS)
    key = run_key(params.model_dump(mode="json"), sha256(SITE_YEARS / MANIFEST), specs.TRAINED_BY)

    def checkpoint(seed: int) -> Checkpoint:
        return Checkpoint(Path("data/checkpoints"), f"{model}-{seed}", key)

    facts = {
        "task": TASK,
        "model": model,
        "key": key,
        "seeds": list(shared.seeds),
        "device": device_of(params),
        "params": params.model_dump(mode="json"),
    }
    with recorded(facts, follower="convoy.tracking.live") as events:
        config, tensors, curve = specs.train(model, params, held, shared.seeds, checkpoint, events.epoch)
        out = Path("data/climate/series/models") / model
        artifact.write(out, config, tensors, None, curve)
        events.finished(sha256(out / MANIFEST))
    for seed in shared.seeds:
        checkpoint(seed).remove()


if __name__ == "__main__":
    run(main)
