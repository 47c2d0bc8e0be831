"""Stage streamrec-compare: compare the models with each other and the Bayes accuracy; write the report."""

from pathlib import Path

from convoy.classifiers.comparison.compare import compare
from convoy.classifiers.comparison.findings import findings, headline
from convoy.classifiers.comparison.report import accuracy_picture, page
from convoy.classifiers.evaluation.evaluate import EvaluateParams
from convoy.classifiers.evaluation.outputs_io import read_evaluations
from convoy.core.files import write_json, write_text
from convoy.core.models import models_in_use
from convoy.core.params import load
from convoy.core.plots_io import write_plots
from convoy.core.printable import one_line
from convoy.core.stage import run
from convoy.report.themes import LIGHT
from convoy.streamrec.classification.evaluation.files import FILES
from convoy.streamrec.classification.models.specs import MODELS
from convoy.streamrec.classification.subject import SUBJECT

DATA = Path("data/streamrec")


def main() -> None:
    """Write comparison.json and report.html from the metrics, predictions and plots of the models in use."""
    params = load("streamrec.evaluate", EvaluateParams)
    models = models_in_use("streamrec", MODELS)
    made = read_evaluations(FILES, models)
    comparison = compare(made.figures, made.predictions, params)
    words = [headline(SUBJECT, comparison), *findings(SUBJECT, comparison)]
    html = page(SUBJECT, comparison, made.figures, made.tables)
    write_plots(DATA / "plots" / "comparison", {"accuracy.png": accuracy_picture(SUBJECT, comparison, LIGHT)})
    write_json(DATA / "metrics" / "comparison.json", {**comparison, "words": words})
    write_text(DATA / "report.html", html)
    print("\n".join(map(one_line, words)))


if __name__ == "__main__":
    run(main)
