"""Stage climate-series-evaluate@MODEL: score one network on the test sites."""

from pathlib import Path

from convoy.classifiers.evaluation.evaluate import EvaluateParams, evaluate
from convoy.classifiers.evaluation.outputs_io import write_evaluation
from convoy.classifiers.evaluation.plots import pictures
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.series.data.io import read, read_truth
from convoy.climate.series.data.site_years import TEST
from convoy.climate.series.evaluation.cases import bayes_accuracies, cases_of_test_split, check_belongs
from convoy.climate.series.evaluation.files import FILES
from convoy.climate.series.models.specs import MODELS, probabilities
from convoy.climate.series.models.stored import check_model
from convoy.core import artifact
from convoy.core.params import load
from convoy.core.plots_io import read_curve
from convoy.core.stage import run

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
    plots: dict[str, str | bytes] = {**files, **pictures(MODELS[model], files, cases.categories)}
    write_evaluation(FILES, model, evaluation.metrics, evaluation.predictions(), plots)
    print(f"{model}: accuracy {evaluation.metrics['test']['accuracy']:.4f}")


if __name__ == "__main__":
    run(main)
