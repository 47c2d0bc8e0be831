"""The exact likelihood of the regimes, compared with the normal density of the whole year."""

import numpy as np
import pytest
from scipy.stats import Covariance, multivariate_normal

from convoy.climate.series.synthetic import bayes
from convoy.climate.series.synthetic.regimes import REGIMES, dynamics
from convoy.climate.series.synthetic.weather import (
    SyntheticParams,
    effects_sd,
    harmonics,
    latent,
    mean_effects,
    simulate,
    variables,
)


def test_log_likelihood_is_that_of_the_normal_density():
    """With the covariance of all 6 x 365 values written out: H Omega H' + A^|lag|."""
    u = simulate(SyntheticParams(sites=10, years=1)).u[:2]
    contrast, h = 0.8, harmonics()
    expected = np.empty((len(u), len(REGIMES)))
    for number, (A, mean) in enumerate(zip(dynamics(contrast), mean_effects(), strict=True)):
        powers = [np.eye(6)]
        for _ in range(364):
            powers.append(powers[-1] @ A)
        lags = np.subtract.outer(np.arange(365), np.arange(365))
        blocks = np.stack(powers)[np.abs(lags)]
        blocks = np.where((lags >= 0)[..., None, None], blocks, blocks.swapaxes(2, 3))
        covariance = blocks.transpose(0, 2, 1, 3).reshape(365 * 6, 365 * 6)
        columns = np.einsum("dk,ij->dikj", h, np.eye(6)).reshape(365 * 6, 18)
        covariance = covariance + columns * effects_sd().ravel() ** 2 @ columns.T
        root = Covariance.from_cholesky(np.linalg.cholesky(covariance))
        density = multivariate_normal((h @ mean).ravel(), root)
        expected[:, number] = density.logpdf(u.reshape(len(u), -1))
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
    assert 0.85 < correct.mean() < 0.97


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
