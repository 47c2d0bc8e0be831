"""Synthetic weather: physics of the variables, its dynamics, and where its information lies."""

import numpy as np
import pytest

from convoy.climate.data.variables import VARIABLES
from convoy.climate.series.synthetic.regimes import COMPONENTS, REGIMES, dynamics
from convoy.climate.series.synthetic.weather import (
    SyntheticParams,
    autoregression,
    latent,
    saturation,
    simulate,
    variables,
)

SITES, YEARS = 200, 2


@pytest.fixture(scope="module")
def weather():
    return simulate(SyntheticParams(sites=SITES, years=YEARS, sheltered=0.0, contrast=1.0))


@pytest.fixture(scope="module")
def daily(weather):
    return variables(weather.u)


def test_sites_have_consecutive_years_and_equally_frequent_regimes(weather):
    assert weather.u.shape == (SITES * YEARS, 365, len(COMPONENTS))
    np.testing.assert_array_equal(weather.site, np.repeat(np.arange(SITES), YEARS))
    assert np.bincount(weather.regime).tolist() == [SITES * YEARS // len(REGIMES)] * len(REGIMES)
    assert all(len(set(weather.regime[weather.site == site])) == 1 for site in range(SITES))


def test_the_seed_is_all_that_it_depends_on():
    params = SyntheticParams(sites=10, years=1)
    first, again, other = (
        simulate(p).u for p in (params, params, SyntheticParams(sites=10, years=1, seed=1))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_values_are_possible_and_ordered(daily):
    for name, values in daily.items():
        low, high = VARIABLES[name].values
        assert low < values.min(), name
        assert values.max() < high, name
    assert (daily["tasmin"] < daily["tas"]).all()
    assert (daily["tas"] < daily["tasmax"]).all()
    assert (daily["huss"] < saturation(daily["tas"].astype(float), daily["psl"].astype(float))).all()


def test_saturation_humidity_is_that_of_published_tables():
    """Saturation vapour pressure over water at 0, 20 and 30 degrees C: 6.11, 23.4 and 42.4 hPa (WMO)."""
    vapour = np.array([611.2, 2339.0, 4243.0])
    expected = 0.622 * vapour / (101_325 - 0.378 * vapour)
    found = saturation(np.array([273.15, 293.15, 303.15]), np.full(3, 101_325.0))
    np.testing.assert_allclose(found, expected, rtol=3e-3)


def test_variables_are_one_to_one(weather, daily):
    np.testing.assert_allclose(latent(daily), weather.u, atol=2e-3)


def test_every_regime_has_the_same_covariance_within_a_day_and_its_own_between_days():
    """The stationary covariance S solves S = A S A' + Q; with Q = I - A A' it is I."""
    for A in dynamics(1.0):
        assert np.linalg.norm(A, 2) < 1
        S = np.zeros_like(A)
        for _ in range(400):
            S = A @ S @ A.T + np.eye(len(A)) - A @ A.T
        np.testing.assert_allclose(S, np.eye(len(A)), atol=1e-9)
    assert np.ptp(dynamics(0.0), axis=0).max() < 1e-12


@pytest.mark.parametrize("regime", range(len(REGIMES)))
def test_correlations_with_the_day_before_are_those_of_the_regime(regime):
    A = dynamics(1.0)[regime]
    z = autoregression(np.tile(A, (200, 1, 1)), np.random.default_rng(regime))
    lagged = np.einsum("ndi,ndj->ij", z[:, 1:], z[:, :-1]) / (len(z) * 364)
    np.testing.assert_allclose(lagged, A, atol=0.03)
    np.testing.assert_allclose(np.einsum("ndi,ndj->ij", z, z) / (len(z) * 365), np.eye(len(A)), atol=0.03)
