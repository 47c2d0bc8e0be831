"""Test site-years as cases, their Bayes accuracy, and params that cannot be."""

import numpy as np
import pyarrow as pa
import pytest

from convoy.climate.series.evaluation.cases import bayes_accuracies, cases_of_test_split, check_belongs
from convoy.climate.series.sources.io import SeriesParams, made
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import parse


@pytest.fixture(scope="module")
def held():
    return made(SeriesParams.model_validate({"synthetic": {"sites": 60, "years": 1}}))[0]


def truth(ids, categories, best):
    """A table of probabilities that are 1 for one category of each item."""
    columns = np.eye(len(categories))[best]
    return pa.table({"item_id": ids, **{name: columns[:, n] for n, name in enumerate(categories)}})


def test_the_cases_are_the_test_split_and_the_majority_that_of_the_training(held):
    cases = cases_of_test_split(held)
    test = held.of("test")
    assert cases.ids.to_pylist() == test.item_ids
    assert cases.labels.tolist() == test.labels.tolist()
    assert cases.groups is not None
    assert (
        len(set(zip(cases.groups, test.site, strict=True))) == len(set(test.site)) == len(set(cases.groups))
    )
    train = held.of("train").label.tolist()
    assert train.count(held.categories[cases.majority]) == max(map(train.count, held.categories))


def test_the_bayes_accuracy_counts_the_most_probable_regimes(held):
    cases = cases_of_test_split(held)
    best = cases.labels.copy()
    best[:3] = (best[:3] + 1) % len(held.categories)
    table = truth(cases.ids, held.categories, best)
    shuffled = table.take(np.random.default_rng(0).permutation(len(best)))
    assert bayes_accuracies(shuffled, cases) == {"full": pytest.approx(1 - 3 / len(best))}
    assert bayes_accuracies(table.slice(0, 0), cases) is None
    with pytest.raises(ConvoyError, match="truth: no row of 'site-"):
        bayes_accuracies(table.slice(1), cases)


def test_an_empty_test_split_and_a_foreign_model_are_refused(held):
    with pytest.raises(ConvoyError, match="the test split holds no site-year"):
        cases_of_test_split(held.of("train"))
    config = {"categories": list(held.categories), "variables": ["tas"]}
    with pytest.raises(ConvoyError, match="x: trained on other variables than the site-years have"):
        check_belongs("x", StoredModel(config, {}, None, {}), held)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inputs": ["tas", "rain"]}, "unknown variable 'rain'"),
        ({"inputs": ["tas", "tas"]}, "inputs: expected each variable once"),
        ({"variables": {"pr": "rain"}}, "unknown variable 'pr'"),
        ({"split": {"validation": 0.5, "test": 0.5}}, "leave sites for training"),
        ({"source": {"paths": []}}, "source"),
        ({"source": "stations.csv"}, "source"),
        ({"synthetic": {"contrast": 2}}, "at most 1"),
    ],
)
def test_params_that_cannot_be_are_refused(values, message):
    with pytest.raises(ConvoyError, match=message):
        parse(values, SeriesParams, "params.yaml", "climate.series.data")


def test_files_outside_the_watched_folder_are_named():
    values = {"source": {"paths": "a/x.csv", "labels": "b/labels.csv"}, "folder": "a"}
    assert parse(values, SeriesParams, "params.yaml").unwatched() == ["b/labels.csv"]
