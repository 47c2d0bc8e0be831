"""Stage streamrec-evaluate@MODEL: score one network on the test split, compared with the Bayes accuracies."""

from pathlib import Path

from convoy.core.artifact import read as read_model
from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.report import io as plots
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.classification.corpus import data as corpora
from convoy.streamrec.classification.evaluation import io as predictions
from convoy.streamrec.classification.evaluation.evaluate import EvaluateParams, check_belongs, evaluate
from convoy.streamrec.classification.evaluation.plots import pictures
from convoy.streamrec.classification.evaluation.tables import tables
from convoy.streamrec.classification.models.specs import checked, probabilities

DATA = Path("data/streamrec")


def main(model: str) -> None:
    """Write metrics, predictions and plots of `model` on the test split."""
    params = load("streamrec.evaluate", EvaluateParams)
    corpus = corpora.read(DATA / "corpus")
    truth = catalogues.read_truth(DATA / "truth.parquet")
    stored = checked(read_model(DATA / "models" / model))
    check_belongs(model, stored, corpus)
    items = corpus.items(corpora.TEST)
    evaluation = evaluate(model, probabilities(stored, corpus, items), corpus, items, truth, params)
    files = tables(evaluation, plots.read_curve(DATA / "models" / model))
    predictions.write(DATA / "predictions" / f"{model}.parquet", evaluation.predictions())
    plots.write(DATA / "plots" / model, {**files, **pictures(model, files, evaluation.categories)})
    write_json(DATA / "metrics" / f"{model}.json", evaluation.metrics)


if __name__ == "__main__":
    run(main)
