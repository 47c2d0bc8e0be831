"""Stage climate-events-baselines: fit every baseline, and score it on the test images."""

from pathlib import Path

from convoy.classifiers.evaluation.io import write_predictions
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.events.data.io import read
from convoy.climate.events.evaluation.evaluate import EvaluateParams, score
from convoy.climate.events.models.specs import MODELS, train
from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run
from convoy.metrics_io import DETAILS, EVENTS, split_figures
from convoy.report.io import write_plots

DATA, METRICS = Path("data/climate/events"), Path("data/climate/metrics/events")


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
        write_predictions(DATA / "predictions" / f"{name}.parquet", scored.evaluation.predictions())
        headline, details = split_figures(scored.metrics, EVENTS)
        write_plots(DATA / "plots" / name, {**tables(scored.evaluation, None), DETAILS: details})
        write_json(METRICS / f"{name}.json", headline)
        print(f"{name}: accuracy {scored.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
