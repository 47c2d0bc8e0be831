"""The exact likelihood of the regimes, compared with a filter that reads one day after the other."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from convoy.climate.series.sources.synthetic import bayes
from convoy.climate.series.sources.synthetic.regimes import REGIMES, dynamics
from convoy.climate.series.sources.synthetic.weather import (
    SyntheticParams,
    effects_sd,
    harmonics,
    latent,
    mean_effects,
    simulate,
    variables,
)


def test_log_likelihood_is_that_of_each_day_given_those_before():
    """A Kalman filter whose state is b: each day's normal density, then b's mean and covariance given it."""
    u = simulate(SyntheticParams(sites=10, years=1)).u[:2]
    contrast = 0.8
    columns = [np.kron(row, np.eye(6)) for row in harmonics()]  # of b (3, 6), row by row: (6, 18)
    expected = np.zeros((len(u), len(REGIMES)))
    for number, (A, response, root, mean) in enumerate(zip(*dynamics(contrast), mean_effects(), strict=True)):
        for case, days in enumerate(u):
            b, spread = mean.ravel(), np.diag(effects_sd().ravel() ** 2)
            for day, today in enumerate(days):
                seen, design, noise = today, columns[0], np.eye(6)
                if day:
                    before = days[day - 1]
                    seen = today - A @ before - response * (before[1] ** 2 - 1) / np.sqrt(2)
                    design, noise = columns[day] - A @ columns[day - 1], root @ root.T
                covariance = design @ spread @ design.T + noise
                expected[case, number] += multivariate_normal(design @ b, covariance).logpdf(seen)
                gain = spread @ design.T @ np.linalg.inv(covariance)
                b, spread = b + gain @ (seen - design @ b), spread - gain @ design @ spread
    found = bayes.log_likelihood(u, contrast)
    np.testing.assert_allclose(
        found - found.mean(axis=1, keepdims=True), expected - expected.mean(axis=1, keepdims=True), atol=1e-5
    )


@pytest.fixture(scope="module")
def params():
    return SyntheticParams(sites=600, years=1)


def test_probabilities_are_calibrated_and_their_accuracy_is_their_mean_maximum(params):
    weather = simulate(params)
    found = bayes.posterior(weather.u, params)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    correct = found.argmax(axis=1) == weather.regime
    # Within four standard errors: the most probable regime is correct as often as it states.
    sure = found.max(axis=1)
    assert abs(correct.mean() - sure.mean()) < 4 * np.sqrt((sure * (1 - sure)).sum()) / len(sure)
    assert 0.84 < correct.mean() < 0.95


def test_without_the_order_of_days_half_of_that_is_left(params):
    """The rule that takes all dynamics for equal sees yearly cycles alone."""
    weather = simulate(params)
    blind = bayes.log_likelihood(weather.u, 0.0).argmax(axis=1) == weather.regime
    assert 0.35 < blind.mean() < 0.6


def test_a_share_of_sheltered_sites_mixes_two_likelihoods(params):
    u = simulate(params).u[:50]
    exposed, sheltered = (params.model_copy(update={"sheltered": share}) for share in (0.0, 1.0))
    for given, contrast in ((exposed, params.contrast), (sheltered, 0.0)):
        logs = bayes.log_likelihood(u, contrast)
        expected = np.exp(logs - logs.max(axis=1, keepdims=True))
        expected /= expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(bayes.posterior(u, given), expected, atol=1e-12)


def test_stored_values_have_the_same_probabilities(params):
    u = simulate(params).u[:50]
    stored = latent(variables(u))
    np.testing.assert_allclose(bayes.posterior(stored, params), bayes.posterior(u, params), atol=0.01)
