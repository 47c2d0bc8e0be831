"""Test items as cases of an evaluation, and their Bayes accuracies."""

import numpy as np
import pyarrow as pa

from convoy.classifiers.evaluation.evaluate import Cases
from convoy.classifiers.evaluation.io import Predictions
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue.synthetic.bayes import accuracy_bayes
from convoy.streamrec.classification.corpus.data import TEST, TRAIN, Corpus
from convoy.streamrec.classification.models.specs import probabilities


def check_belongs(model: str, stored: StoredModel, corpus: Corpus) -> None:
    """Raise ConvoyError where a model was trained on another corpus."""
    for what, own, other in (
        ("categories", tuple(stored.config["categories"]), corpus.categories),
        ("tokens", stored.tokenizer_json, corpus.tokenizer_json),
    ):
        if own != other:
            raise ConvoyError(
                f"{model}: trained on other {what} than the corpus has; run `dvc repro` to train it again"
            )


def cases_of_test_split(corpus: Corpus) -> Cases:
    """The items of the test split; ConvoyError where it holds none."""
    items = corpus.items(TEST)
    if len(items) == 0:
        raise ConvoyError("the test split holds no item: about 1 in 10 texts goes there; add items")
    frequencies = np.bincount(corpus.labels[corpus.items(TRAIN)], minlength=len(corpus.categories))
    return Cases(
        ids=corpus.item_ids.take(pa.array(items)),
        labels=corpus.labels[items],
        categories=corpus.categories,
        majority=int(frequencies.argmax()),
    )


def predictions_of_test_split(stored: StoredModel, corpus: Corpus) -> Predictions:
    """The categories that a model predicts for the items of the test split."""
    cases = cases_of_test_split(corpus)
    by_seed = probabilities(stored, corpus, corpus.items(TEST))
    predicted = {seed: cases.names(table.argmax(axis=1)) for seed, table in by_seed.items()}
    return Predictions(cases.ids, cases.names(cases.labels), predicted)


def bayes_accuracies(truth: pa.Table, cases: Cases) -> dict[str, float] | None:
    """Accuracies of the order-blind and the full Bayes rule on the cases; None for a real catalogue."""
    names = np.asarray(cases.categories, dtype=object)
    return accuracy_bayes(truth, cases.ids, names[cases.labels])
