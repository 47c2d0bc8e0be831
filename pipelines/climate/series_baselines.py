"""Stage climate-series-baselines: fit every baseline on the training sites and score it on the test sites."""

from pathlib import Path

from convoy.classifiers.evaluation.evaluate import EvaluateParams, evaluate
from convoy.classifiers.evaluation.outputs_io import write_evaluation
from convoy.classifiers.evaluation.tables import tables
from convoy.climate.series.data.io import read, read_truth
from convoy.climate.series.data.site_years import TEST
from convoy.climate.series.evaluation.cases import bayes_accuracies, cases_of_test_split
from convoy.climate.series.evaluation.files import FILES
from convoy.climate.series.models.specs import MODELS, probabilities, train
from convoy.core import artifact
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run

DATA = Path("data/climate/series")


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
        plots = tables(evaluation, None)
        write_evaluation(FILES, name, evaluation.metrics, evaluation.predictions(), plots)
        print(f"{name}: accuracy {evaluation.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
