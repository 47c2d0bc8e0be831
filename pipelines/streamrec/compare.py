"""Stage streamrec-compare: compare the models with each other and the Bayes accuracy; write the report."""

from pathlib import Path

from convoy.classifiers.comparison.compare import compare
from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.comparison.report import accuracy_picture, page
from convoy.classifiers.evaluation.evaluate import EvaluateParams
from convoy.classifiers.evaluation.io import read_predictions
from convoy.core.files import write_json, write_text
from convoy.core.models import models_in_use
from convoy.core.params import load
from convoy.core.printable import one_line
from convoy.core.stage import run
from convoy.metrics_io import DETAILS, read_metrics
from convoy.report.io import read_plots, write_plots
from convoy.report.themes import LIGHT
from convoy.streamrec.classification.models.specs import MODELS
from convoy.streamrec.classification.subject import SUBJECT

DATA = Path("data/streamrec")


def main() -> None:
    """Write comparison.json and report.html from the metrics, predictions and plots of the models in use."""
    params = load("streamrec.evaluate", EvaluateParams)
    models = models_in_use("streamrec", MODELS)
    metrics = {
        model: read_metrics(DATA / "metrics" / f"{model}.json", DATA / "plots" / model / DETAILS)
        for model in models
    }
    predictions = {model: read_predictions(DATA / "predictions" / f"{model}.parquet") for model in models}
    tables = {model: read_plots(DATA / "plots" / model) for model in models}
    comparison = compare(metrics, predictions, params)
    words = [headline(SUBJECT, comparison), *findings(SUBJECT, comparison)]
    html = page(SUBJECT, comparison, metrics, tables)
    write_plots(DATA / "plots" / "comparison", {"accuracy.png": accuracy_picture(SUBJECT, comparison, LIGHT)})
    write_json(DATA / "metrics" / "comparison.json", {**comparison, "words": words})
    write_text(DATA / "report.html", html)
    print("\n".join(map(one_line, words)))


if __name__ == "__main__":
    run(main)
