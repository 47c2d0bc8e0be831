"""Stage climate-events-baselines: fit every baseline, and score it on the test images."""

from pathlib import Path

from convoy.classifiers.evaluation.outputs_io import write_evaluation
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.events.data.io import read
from convoy.climate.events.evaluation.evaluate import EvaluateParams, score
from convoy.climate.events.evaluation.files import FILES
from convoy.climate.events.models.specs import MODELS, train
from convoy.core import artifact
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate/events")


def main() -> None:
    """Write model, metrics, predictions and tables of each baseline."""
    evaluation_params = load("climate.events.evaluate", EvaluateParams)
    names = names_of(MODELS, "baseline")
    params = {name: load(f"climate.events.models.{name}", MODELS[name].params) for name in names}
    images = read(DATA / "images")
    for name in names:
        folder = DATA / "models" / name
        config, tensors, _ = train(name, params[name], images, (0,))
        artifact.write(folder, config, tensors, None)
        scored = score(name, artifact.read(folder), images, evaluation_params)
        plots = tables(scored.evaluation, None)
        write_evaluation(FILES, name, scored.metrics, scored.evaluation.predictions(), plots)
        print(f"{name}: accuracy {scored.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
