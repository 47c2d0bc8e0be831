"""Stage streamrec-evaluate@MODEL: score one network on the test split, compared with the Bayes accuracies."""

from pathlib import Path

from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.report.io import read_curve, write_plots
from convoy.streamrec.catalogue.io import read_truth
from convoy.streamrec.classification.corpus.data import TEST, read
from convoy.streamrec.classification.evaluation.evaluate import EvaluateParams, check_belongs, evaluate
from convoy.streamrec.classification.evaluation.io import write_predictions
from convoy.streamrec.classification.evaluation.plots import pictures
from convoy.streamrec.classification.evaluation.tables import tables
from convoy.streamrec.classification.models.specs import checked, probabilities

DATA = Path("data/streamrec")


def main(model: str) -> None:
    """Write metrics, predictions and plots of `model` on the test split."""
    params = load("streamrec.evaluate", EvaluateParams)
    corpus = read(DATA / "corpus")
    truth = read_truth(DATA / "truth.parquet")
    stored = checked(artifact.read(DATA / "models" / model))
    check_belongs(model, stored, corpus)
    items = corpus.items(TEST)
    evaluation = evaluate(model, probabilities(stored, corpus, items), corpus, items, truth, params)
    files = tables(evaluation, read_curve(DATA / "models" / model))
    write_predictions(DATA / "predictions" / f"{model}.parquet", evaluation.predictions())
    write_plots(DATA / "plots" / model, {**files, **pictures(model, files, evaluation.categories)})
    write_json(DATA / "metrics" / f"{model}.json", evaluation.metrics)


if __name__ == "__main__":
    run(main)
