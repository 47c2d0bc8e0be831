"""Stage climate-series-evaluate@MODEL: score one network on the test sites."""

from pathlib import Path

from convoy.classifiers.evaluation.evaluate import EvaluateParams, evaluate
from convoy.classifiers.evaluation.io import write_predictions
from convoy.classifiers.evaluation.plots import pictures
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.series.cases import bayes_accuracies, cases_of_test_split, check_belongs
from convoy.climate.series.data.io import read, read_truth
from convoy.climate.series.data.site_years import TEST
from convoy.climate.series.models.specs import MODELS, probabilities
from convoy.climate.series.models.stored import check_model
from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.params import load
from convoy.core.stage import run
from convoy.metrics_io import CLASSIFIER, DETAILS, split_figures
from convoy.report.io import read_curve, write_plots

DATA = Path("data/climate/series")


def main(model: str) -> None:
    """Write metrics, predictions and plots of `model` on the test split."""
    params = load("climate.series.evaluate", EvaluateParams)
    held = read(DATA / "site_years")
    stored = check_model(artifact.read(DATA / "models" / model))
    check_belongs(model, stored, held)
    cases = cases_of_test_split(held)
    predicted = probabilities(stored, held.of(TEST).values)
    bayes = bayes_accuracies(read_truth(DATA / "truth.parquet"), cases)
    evaluation = evaluate(model, predicted, cases, params, bayes)
    files = tables(evaluation, read_curve(DATA / "models" / model))
    write_predictions(DATA / "predictions" / f"{model}.parquet", evaluation.predictions())
    drawn = pictures(MODELS[model], files, cases.categories)
    headline, details = split_figures(evaluation.metrics, CLASSIFIER)
    write_plots(DATA / "plots" / model, {**files, **drawn, DETAILS: details})
    write_json(Path("data/climate/metrics/series") / f"{model}.json", headline)
    print(f"{model}: accuracy {evaluation.metrics['test']['accuracy']:.4f}")


if __name__ == "__main__":
    run(main)
