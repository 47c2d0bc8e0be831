"""Stage streamrec-evaluate@MODEL: score one model on the test split, beside the ceilings."""

from pathlib import Path

from convoy.params import load
from convoy.stage import run
from convoy.storage import catalogues, models, plots, predictions
from convoy.storage import corpus as corpora
from convoy.storage.files import write_json
from convoy.streamrec.evaluation import EvaluateParams, check_belongs, evaluate
from convoy.streamrec.evaluation_plots import plots as plots_of
from convoy.streamrec.models import probabilities

DATA = Path("data/streamrec")


def main(model: str) -> None:
    """Write metrics, predictions and plots of `model` on the test split."""
    params = load("streamrec.evaluate", EvaluateParams)
    corpus = corpora.read(DATA / "corpus")
    truth = catalogues.read_truth(DATA / "truth.parquet")
    stored = models.read(DATA / "models" / model)
    check_belongs(model, stored, corpus)
    items = corpus.items(corpora.TEST)
    evaluation = evaluate(model, probabilities(stored, corpus, items), corpus, items, truth, params)
    files = plots_of(evaluation, plots.read_curve(DATA / "models" / model))
    predictions.write(DATA / "predictions" / f"{model}.parquet", evaluation.predictions())
    plots.write(DATA / "plots" / model, files)
    write_json(DATA / "metrics" / f"{model}.json", evaluation.metrics)


if __name__ == "__main__":
    run(main)
