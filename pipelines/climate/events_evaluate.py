"""Stage climate-events-evaluate@MODEL: score one network and its explanations on the test images."""

from pathlib import Path

from convoy.classifiers.evaluation.outputs_io import write_evaluation
from convoy.classifiers.evaluation.plots import pictures
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.events.data.io import read
from convoy.climate.events.evaluation.evaluate import EvaluateParams, score
from convoy.climate.events.evaluation.examples_io import EXAMPLES, write_examples
from convoy.climate.events.evaluation.files import FILES
from convoy.climate.events.evaluation.overlays import with_overlays
from convoy.climate.events.models.specs import MODELS, checked
from convoy.core import artifact
from convoy.core.params import load
from convoy.core.plots_io import read_curve
from convoy.core.stage import run

DATA = Path("data/climate/events")


def main(model: str) -> None:
    """Write metrics, predictions, plots and overlays of `model` on the test images."""
    params = load("climate.events.evaluate", EvaluateParams)
    images = read(DATA / "images")
    stored = checked(artifact.read(DATA / "models" / model))
    scored = score(model, stored, images, params)
    files = tables(scored.evaluation, read_curve(DATA / "models" / model))
    drawn = pictures(MODELS[model], files, images.facts.classes)
    plots = with_overlays({**files, **drawn}, scored.examples, images.facts)
    write_examples(FILES.folder_of(model) / EXAMPLES, scored.examples)
    write_evaluation(FILES, model, scored.metrics, scored.evaluation.predictions(), plots)
    print(f"{model}: accuracy {scored.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
