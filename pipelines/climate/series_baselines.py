"""Stage climate-series-baselines: fit every baseline on the training sites and score it on the test sites."""

from pathlib import Path

from convoy.classifiers.evaluation.evaluate import EvaluateParams, evaluate
from convoy.classifiers.evaluation.io import write_predictions
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.series.cases import bayes_accuracies, cases_of_test_split
from convoy.climate.series.data.io import read, read_truth
from convoy.climate.series.data.site_years import TEST
from convoy.climate.series.models.specs import MODELS, probabilities, train
from convoy.core import artifact
from convoy.core.files import write_json
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run
from convoy.metrics_io import CLASSIFIER, DETAILS, split_figures
from convoy.report.io import write_plots

DATA = Path("data/climate/series")
METRICS = Path("data/climate/metrics/series")


def main() -> None:
    """Write model, metrics, predictions and tables of each baseline."""
    evaluation_params = load("climate.series.evaluate", EvaluateParams)
    names = names_of(MODELS, "baseline")
    params = {name: load(f"climate.series.models.{name}", MODELS[name].params) for name in names}
    held = read(DATA / "site_years")
    cases = cases_of_test_split(held)
    bayes = bayes_accuracies(read_truth(DATA / "truth.parquet"), cases)
    for name in names:
        folder = DATA / "models" / name
        config, tensors, _ = train(name, params[name], held, (0,))
        artifact.write(folder, config, tensors, None)
        predicted = probabilities(artifact.read(folder), held.of(TEST).values)
        evaluation = evaluate(name, predicted, cases, evaluation_params, bayes)
        write_predictions(DATA / "predictions" / f"{name}.parquet", evaluation.predictions())
        headline, details = split_figures(evaluation.metrics, CLASSIFIER)
        write_plots(DATA / "plots" / name, {**tables(evaluation, None), DETAILS: details})
        write_json(METRICS / f"{name}.json", headline)
        print(f"{name}: accuracy {evaluation.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
