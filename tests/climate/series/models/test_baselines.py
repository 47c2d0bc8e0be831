"""Features of the baselines in closed form, and their fit compared with the optimum of the penalised loss."""

import numpy as np
import pytest
from scipy.special import log_softmax

from convoy.climate.series.models import baselines
from convoy.climate.series.models.params import LinearParams
from convoy.climate.series.sources.io import SeriesParams, made
from convoy.core.errors import ConvoyError

DAY = np.arange(365)
ANGLE = 2 * np.pi * DAY / 365


@pytest.fixture(scope="module")
def held():
    return made(SeriesParams.model_validate({"synthetic": {"sites": 150, "years": 1}}))[0]


def test_harmonics_of_a_known_cycle():
    cycle = 280 + 9 * np.cos(ANGLE) - 4 * np.sin(ANGLE) + 2 * np.cos(2 * ANGLE) + 0.5 * np.sin(2 * ANGLE)
    wave = 3 * np.sqrt(2) * np.cos(40 * ANGLE)  # orthogonal to all of them, of standard deviation 3
    found = baselines.harmonics((cycle + wave).astype(np.float32)[None, None])
    np.testing.assert_allclose(found, [[280, 9, -4, 2, 0.5, np.log(3)]], atol=1e-3)


def test_correlations_are_numpys_on_anomalies_that_harmonics_do_not_change():
    rng = np.random.default_rng(0)
    waves = np.stack([f(k * ANGLE) for k in range(3, 40) for f in (np.cos, np.sin)])
    anomalies = rng.standard_normal((3, len(waves))) @ waves  # orthogonal to the first two harmonics
    found = baselines.correlations((280 + 9 * np.cos(ANGLE)[None] + anomalies)[None].astype(np.float32))[0]
    np.testing.assert_allclose(found[18:21], np.corrcoef(anomalies)[[1, 2, 2], [0, 0, 1]], atol=1e-4)
    z = anomalies / anomalies.std(axis=1, keepdims=True)
    next_day = [[(z[i, 1:] * z[j, :-1]).mean() for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found[21:].reshape(3, 3), next_day, atol=1e-4)


def test_monthly_means_are_those_of_the_calendar():
    first = np.array(["2001-01-01"], "datetime64[D]") + DAY
    month = first.astype("datetime64[M]").astype(int) % 12
    values = (100.0 * month).astype(np.float32)[None, None]
    np.testing.assert_allclose(baselines.monthly_means(values), [100.0 * np.arange(12)])


def test_quantiles_do_not_depend_on_the_order_of_days():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, 2, 365)).astype(np.float32)
    found = baselines.quantiles(values)
    assert found.shape == (3, 14)
    np.testing.assert_allclose(found, baselines.quantiles(values[:, :, rng.permutation(365)]))
    assert found[0, 3] == pytest.approx(np.median(values[0, 0]))


@pytest.mark.parametrize("kind", baselines.FEATURES)
def test_features_are_as_many_as_the_table_states(kind):
    for variables in (1, 3):
        found = baselines.FEATURES[kind](np.ones((2, variables, 365), np.float32))
        assert found.shape == (2, baselines.feature_count(kind, variables))


@pytest.mark.parametrize("kind", baselines.FEATURES)
def test_the_fit_is_the_minimum_of_the_penalised_loss(held, kind):
    """The gradient of C * sum of losses + |coef|^2 / 2 is zero."""
    tensors = baselines.fit(kind, held, LinearParams(C=(0.1,)))
    train = held.of("train")
    inputs = (baselines.FEATURES[kind](train.values) - tensors["mean"]) / tensors["scale"]
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(inputs.std(axis=0), 1, atol=1e-6)
    wrong = np.exp(log_softmax(inputs @ tensors["coef"].T + tensors["intercept"], axis=1))
    np.testing.assert_allclose(wrong, baselines.probabilities(kind, tensors, train.values))
    wrong[np.arange(len(train)), train.labels] -= 1
    gradient = 0.1 * wrong.T @ inputs + tensors["coef"]
    np.testing.assert_allclose(gradient, 0, atol=2e-3)


def test_the_strength_is_chosen_on_the_validation_split(held):
    strengths = (1e-4, 0.01, 1.0, 100.0)
    chosen = baselines.fit("harmonics", held, LinearParams(C=strengths))
    validation = held.of("validation")

    def loss(tensors):
        logs = np.log(baselines.probabilities("harmonics", tensors, validation.values))
        return -logs[np.arange(len(validation)), validation.labels].mean()

    losses = [loss(baselines.fit("harmonics", held, LinearParams(C=(C,)))) for C in strengths]
    assert chosen["C"].item() == strengths[int(np.argmin(losses))]
    assert 1e-4 < chosen["C"].item() < 100


def test_a_class_without_training_is_refused(held):
    without = held.at((held.label != "coast") | (held.split != "train"))
    with pytest.raises(ConvoyError, match="harmonics: no training site-year with the label 'coast'"):
        baselines.fit("harmonics", without, LinearParams())


def test_frequencies():
    np.testing.assert_allclose(
        baselines.frequencies(("a", "b", "c"), np.array([0, 0, 2, 0])), [0.75, 0, 0.25]
    )
