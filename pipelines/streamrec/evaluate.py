"""Stage streamrec-evaluate@MODEL: score one network on the test split, compared with the Bayes accuracies."""

from pathlib import Path

from convoy.classifiers.evaluation.evaluate import EvaluateParams, evaluate
from convoy.classifiers.evaluation.outputs_io import write_evaluation
from convoy.classifiers.evaluation.plots import pictures
from convoy.classifiers.evaluation.tables import tables
from convoy.core import artifact
from convoy.core.params import load
from convoy.core.plots_io import read_curve
from convoy.core.stage import run
from convoy.streamrec.catalogue.io import read_truth
from convoy.streamrec.classification.corpus.data import TEST, read
from convoy.streamrec.classification.evaluation.cases import (
    bayes_accuracies,
    cases_of_test_split,
    check_belongs,
)
from convoy.streamrec.classification.evaluation.files import FILES
from convoy.streamrec.classification.models.specs import MODELS, checked, probabilities
from convoy.streamrec.classification.networks.vectors import used

DATA = Path("data/streamrec")


def main(model: str) -> None:
    """Write metrics, predictions and plots of `model` on the test split."""
    params = load("streamrec.evaluate", EvaluateParams)
    corpus = read(DATA / "corpus")
    truth = read_truth(DATA / "truth.parquet")
    stored = checked(artifact.read(DATA / "models" / model))
    check_belongs(model, stored, corpus)
    cases = cases_of_test_split(corpus)
    predicted = probabilities(stored, corpus, corpus.items(TEST))
    evaluation = evaluate(model, predicted, cases, params, bayes_accuracies(truth, cases))
    files = tables(evaluation, read_curve(DATA / "models" / model))
    plots: dict[str, str | bytes] = {**files, **pictures(MODELS[model], files, cases.categories)}
    figures = {**evaluation.metrics, **used(stored.config)}
    write_evaluation(FILES, model, figures, evaluation.predictions(), plots)


if __name__ == "__main__":
    run(main)
