"""The change of accuracy of a retrained classifier, compared with scipy and with what promotion computes."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from convoy.classifiers.comparison.promotion import difference
from convoy.classifiers.evaluation.io import Predictions
from convoy.core.errors import ConvoyError
from convoy.core.statistics import wilson
from convoy.streamrec.recommender.evaluation.accuracy import change_of_accuracy
from convoy.streamrec.recommender.params import EvaluateParams

PARAMS = EvaluateParams(resamples=4000)


def predictions(wrong, n=400):
    """Predictions of `n` items, per seed with these items wrong."""
    ids, truth = [f"{number:03}" for number in range(n)], np.array(["a", "b"])[np.arange(n) % 2]
    predicted = {}
    for seed, rows in enumerate(wrong):
        names = truth.copy()
        names[list(rows)] = "c"
        predicted[seed] = pa.array(names)
    return Predictions(pa.array(ids), pa.array(truth), predicted)


def test_difference_and_p_are_those_of_the_counts():
    new, old = predictions([range(40)]), predictions([range(30, 90)])
    found = change_of_accuracy(new, old, PARAMS)
    assert found["difference"] == pytest.approx((60 - 40) / 400)
    assert found["mcnemar_p"] == pytest.approx(binomtest(30, 80).pvalue)
    error = np.sqrt((80 / 400 - 0.05**2) / 400)
    assert found["low"] == pytest.approx(0.05 - 1.96 * error, abs=0.2 * error)
    assert found["high"] == pytest.approx(0.05 + 1.96 * error, abs=0.2 * error)


def test_several_seeds_as_in_promotion():
    new, old = predictions([range(20), range(35)]), predictions([range(30), range(10, 90), range(5)])
    expected = difference(new, old, PARAMS.resamples, PARAMS.seed)
    found = change_of_accuracy(new, old, PARAMS)
    values = (expected.difference, expected.low, expected.high, expected.details["mcnemar_p"])
    assert tuple(found.values()) == pytest.approx(values)


def test_equal_predictions_have_an_interval():
    found = change_of_accuracy(predictions([range(9)]), predictions([range(9)]), PARAMS)
    assert (found["difference"], found["mcnemar_p"]) == (0, 1)
    assert found["high"] == -found["low"] == wilson(0, 400)[1] > 0


def test_other_items_are_refused():
    with pytest.raises(ConvoyError, match="not of the same test items"):
        change_of_accuracy(predictions([[]]), predictions([[]], n=399), PARAMS)
