"""Synthetic weather: physics of the variables, its dynamics, and where its information lies."""

import numpy as np
import pytest

from convoy.climate.data.variables import VARIABLES
from convoy.climate.series.sources.synthetic.regimes import (
    _FRONTS,
    _PERSISTENCE,
    COMPONENTS,
    REGIMES,
    Dynamics,
    disturbance,
    dynamics,
)
from convoy.climate.series.sources.synthetic.weather import (
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


def test_without_contrast_all_regimes_have_the_same_dynamics():
    for part in dynamics(0.0):
        assert np.ptp(part, axis=0).max() < 1e-12
    assert np.linalg.norm(dynamics(1.0).A, 2, axis=(1, 2)).max() < 1


@pytest.mark.parametrize("regime", range(len(REGIMES)))
def test_disturbances_show_in_no_correlation_of_one_day_or_two(regime):
    """Those of each regime are I and its table, of which the mean of all is left without contrast."""
    own = dynamics(1.0)
    count = 300
    tiled = Dynamics(*(np.tile(part[regime], (count, *[1] * (part.ndim - 1))) for part in own))
    z = autoregression(tiled, np.zeros((count, 365, 6)), np.random.default_rng(regime))
    today, before = z[:, 30:].reshape(-1, 6), z[:, 29:-1].reshape(-1, 6)
    np.testing.assert_allclose(today.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(today.T @ today / len(today), np.eye(6), atol=0.05)
    lagged = np.diag(_PERSISTENCE[REGIMES[regime]])
    for (to, of), effect in _FRONTS[REGIMES[regime]].items():
        lagged[COMPONENTS.index(to), COMPONENTS.index(of)] = effect
    np.testing.assert_allclose(today.T @ before / len(today), lagged, atol=0.04)
    # What is left of today without A times yesterday is the response to the disturbance, and noise.
    left = today - before @ own.A[regime].T
    found = left.T @ disturbance(before[:, 1]) / len(left)
    np.testing.assert_allclose(found, own.response[regime], atol=0.03)


def test_the_disturbance_has_mean_0_and_variance_1_and_no_correlation_with_pressure():
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights /= weights.sum()  # of the standard normal distribution
    found = disturbance(nodes)
    np.testing.assert_allclose(
        [weights @ found, weights @ found**2, weights @ (found * nodes)], [0, 1, 0], atol=1e-12
    )
