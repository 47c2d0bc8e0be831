"""The regimes of the synthetic sites: how their weather goes on from day to day, and their yearly cycles.

Weather is described by six components of mean 0 and variance 1: temperature, pressure, humidity, wind, and
the two halves of the daily range (maximum above the mean, mean above the minimum).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

COMPONENTS = ("temperature", "pressure", "humidity", "wind", "upper_range", "lower_range")
REGIMES = ("coast", "lowland", "valley", "slope", "high_mountain")
HARMONICS = 3  # mean, cosine and sine of the yearly cycle

PRESSURE = COMPONENTS.index("pressure")

# Correlation of each component with its own value of the day before.
_PERSISTENCE: Mapping[str, tuple[float, ...]] = {
    "coast": (0.74, 0.65, 0.55, 0.35, 0.35, 0.35),
    "lowland": (0.72, 0.65, 0.55, 0.35, 0.35, 0.35),
    "valley": (0.72, 0.65, 0.55, 0.35, 0.40, 0.40),
    "slope": (0.70, 0.65, 0.55, 0.35, 0.35, 0.35),
    "high_mountain": (0.70, 0.65, 0.55, 0.40, 0.35, 0.35),
}
# (today, yesterday): correlation of one component with another of the day before. On the coast temperature
# falls the day after pressure does; on a slope falling pressure brings foehn, so that it rises.
_FRONTS: Mapping[str, Mapping[tuple[str, str], float]] = {
    "coast": {("temperature", "pressure"): 0.06},
    "lowland": {},
    "valley": {},
    "slope": {("temperature", "pressure"): -0.06},
    "high_mountain": {},
}
# Effect of yesterday's disturbance, deep lows and strong highs alike, on today: on the coast the sea keeps
# the air mild and moist, in a valley inversions under highs and snow under lows make it cold, on a slope
# foehn and sinking air are warm and dry, and on high mountains both bring wind.
_DISTURBED: Mapping[str, Mapping[str, float]] = {
    "coast": {"temperature": 0.25, "humidity": 0.30},
    "lowland": {},
    "valley": {"temperature": -0.30, "lower_range": 0.30},
    "slope": {"temperature": 0.25, "humidity": -0.35},
    "high_mountain": {"wind": 0.35, "upper_range": -0.30},
}

# Mean of the yearly cycle's (mean, cosine, sine) in a regime, in standard deviations of the sites of one
# regime; the cosine is 1 in mid-January. Components that are left out do not differ.
_CYCLES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "coast": {"temperature": (0.6, 0.9, -0.5), "wind": (0.7, 0.0, 0.0), "upper_range": (-0.6, 0.0, 0.0)},
    "lowland": {"temperature": (0.4, 0.0, 0.0), "upper_range": (0.3, 0.0, 0.0)},
    "valley": {"wind": (-0.6, 0.0, 0.0), "lower_range": (0.6, -0.4, 0.0), "humidity": (0.3, 0.0, 0.0)},
    "slope": {"wind": (0.2, 0.0, 0.0), "humidity": (-0.5, 0.0, 0.0), "lower_range": (-0.5, 0.0, 0.0)},
    "high_mountain": {"temperature": (-0.9, 0.3, 0.0), "wind": (0.6, 0.3, 0.0)},
}


class Dynamics(NamedTuple):
    """How a day follows from the one before: today = A @ yesterday + response * disturbance + noise.

    A (..., 6, 6), response (..., 6), and the lower Cholesky factor of the noise's covariance, (..., 6, 6).
    """

    A: Floats
    response: Floats
    root: Floats


def disturbance(pressure: Floats) -> Floats:
    """(p^2 - 1) / sqrt(2) of the pressure component p, whose yearly cycle is that of all sites.

    For a standard normal p it has mean 0 and variance 1 and is not correlated with p.
    """
    return (pressure**2 - 1) / np.sqrt(2)


def dynamics(contrast: float) -> Dynamics:
    """Those of each regime, (R, ...); `contrast` 0 makes all equal to their mean.

    A and the noise are such that the response leaves correlations as they are: within a day there are none,
    and those with the day before are the regime's own of the tables above. So regimes of equal persistence
    that respond in opposite ways differ in no mean and no correlation of one day or of two.
    """
    lagged = np.zeros((len(REGIMES), len(COMPONENTS), len(COMPONENTS)))
    response = np.zeros((len(REGIMES), len(COMPONENTS)))
    for number, regime in enumerate(REGIMES):
        np.fill_diagonal(lagged[number], _PERSISTENCE[regime])
        for (today, yesterday), effect in _FRONTS[regime].items():
            lagged[number, COMPONENTS.index(today), COMPONENTS.index(yesterday)] = effect
        for name, effect in _DISTURBED[regime].items():
            response[number, COMPONENTS.index(name)] = effect
    lagged, response = (
        each.mean(axis=0) + contrast * (each - each.mean(axis=0)) for each in (lagged, response)
    )
    parts = [_keeping(C, r) for C, r in zip(lagged, response, strict=True)]
    A, root = (np.stack(each) for each in zip(*parts, strict=True))
    return Dynamics(A, response, root)


def _keeping(lagged: Floats, response: Floats) -> tuple[Floats, Floats]:
    """A and the noise's root for which days have the covariance I and `lagged` with the day before.

    Pressure is an autoregression of its own, phi p + noise, so that the mean of tomorrow's disturbance is
    phi^2 times today's. With c the covariance of a day with its own disturbance, c = phi^2 (A c + response);
    that of a day with the day before is A + response c'; and within a day it is A A' + response response' +
    A c response' + response c' A' + noise.
    """
    share, eye = lagged[PRESSURE, PRESSURE] ** 2, np.eye(len(lagged))
    A = lagged
    for _ in range(100):  # converges by more than half a step
        c = share * np.linalg.solve(eye - share * A, response)
        A = lagged - np.outer(response, c)
    mixed = np.outer(A @ c, response)
    noise = eye - A @ A.T - np.outer(response, response) - mixed - mixed.T
    return A, np.linalg.cholesky(noise).astype(np.float64)


def cycles() -> Floats:
    """Mean yearly cycle of each regime, (R, 3, 6), in standard deviations of its sites."""
    found = np.zeros((len(REGIMES), HARMONICS, len(COMPONENTS)))
    for number, regime in enumerate(REGIMES):
        for component, values in _CYCLES[regime].items():
            found[number, :, COMPONENTS.index(component)] = values
    return found
