"""Stage climate-events-evaluate@MODEL: score one network and its explanations on the test images."""

from pathlib import Path

from convoy.classifiers.evaluation.io import write_predictions
from convoy.classifiers.evaluation.plots import pictures
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.events.data.io import read
from convoy.climate.events.evaluation.evaluate import EvaluateParams, score
from convoy.climate.events.evaluation.examples_io import write_examples
from convoy.climate.events.evaluation.overlays import with_overlays
from convoy.climate.events.models.specs import MODELS, checked
from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.metrics_io import DETAILS, EVENTS, split_figures
from convoy.report.io import read_curve, write_plots

DATA, METRICS = Path("data/climate/events"), Path("data/climate/metrics/events")


def main(model: str) -> None:
    """Write metrics, predictions, plots and overlays of `model` on the test images."""
    params = load("climate.events.evaluate", EvaluateParams)
    images = read(DATA / "images")
    stored = checked(artifact.read(DATA / "models" / model))
    scored = score(model, stored, images, params)
    headline, details = split_figures(scored.metrics, EVENTS)
    files = tables(scored.evaluation, read_curve(DATA / "models" / model))
    drawn = pictures(MODELS[model], files, images.facts.classes)
    write_predictions(DATA / "predictions" / f"{model}.parquet", scored.evaluation.predictions())
    shown = with_overlays({**files, **drawn}, scored.examples, images.facts)
    write_plots(DATA / "plots" / model, {**shown, DETAILS: details})
    write_examples(DATA / "explained" / model, scored.examples)
    write_json(METRICS / f"{model}.json", headline)
    print(f"{model}: accuracy {scored.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
