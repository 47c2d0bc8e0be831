"""Stage streamrec-baselines: fit every baseline on the training split and score it on the test split."""

from pathlib import Path

from convoy.classifiers.evaluation.evaluate import EvaluateParams, evaluate
from convoy.classifiers.evaluation.outputs_io import write_evaluation
from convoy.classifiers.evaluation.tables import tables
from convoy.core import artifact
from convoy.core.models import names_of
from convoy.core.params import load
from convoy.core.stage import run
from convoy.streamrec.catalogue.io import read_truth
from convoy.streamrec.classification.corpus.data import TEST, read
from convoy.streamrec.classification.evaluation.cases import bayes_accuracies, cases_of_test_split
from convoy.streamrec.classification.evaluation.files import FILES
from convoy.streamrec.classification.models.specs import MODELS, probabilities, train

DATA = Path("data/streamrec")


def main() -> None:
    """Write model, metrics, predictions and tables of each baseline."""
    evaluation_params = load("streamrec.evaluate", EvaluateParams)
    names = names_of(MODELS, "baseline")
    params = {name: load(f"streamrec.models.{name}", MODELS[name].params) for name in names}
    corpus = read(DATA / "corpus")
    truth = read_truth(DATA / "truth.parquet")
    cases = cases_of_test_split(corpus)
    bayes = bayes_accuracies(truth, cases)
    for name in names:
        folder = DATA / "models" / name
        config, tensors, _ = train(name, params[name], corpus, (0,))
        artifact.write(folder, config, tensors, corpus.tokenizer_json)
        predicted = probabilities(artifact.read(folder), corpus, corpus.items(TEST))
        evaluation = evaluate(name, predicted, cases, evaluation_params, bayes)
        plots = tables(evaluation, None)
        write_evaluation(FILES, name, evaluation.metrics, evaluation.predictions(), plots)
        print(f"{name}: accuracy {evaluation.metrics['test']['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    run(main)
