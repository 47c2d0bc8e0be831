"""The regimes of the synthetic sites: how their weather goes on from day to day, and their yearly cycles.

Weather is described by six components of mean 0 and variance 1: temperature, pressure, humidity, wind, and
the two halves of the daily range (maximum above the mean, mean above the minimum).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

COMPONENTS = ("temperature", "pressure", "humidity", "wind", "upper_range", "lower_range")
REGIMES = ("coast", "lowland", "valley", "slope", "high_mountain")
HARMONICS = 3  # mean, cosine and sine of the yearly cycle

# Correlation of each component with its own value of the day before.
_PERSISTENCE: Mapping[str, tuple[float, ...]] = {
    "coast": (0.80, 0.62, 0.55, 0.35, 0.30, 0.30),
    "lowland": (0.75, 0.65, 0.55, 0.35, 0.35, 0.35),
    "valley": (0.75, 0.65, 0.60, 0.30, 0.50, 0.50),
    "slope": (0.70, 0.65, 0.50, 0.40, 0.35, 0.35),
    "high_mountain": (0.65, 0.70, 0.50, 0.50, 0.35, 0.35),
}
# (today, yesterday): effect of one component on another a day later. On the coast temperature falls the day
# after pressure does, and wind rises; on a slope falling pressure brings foehn, so that it rises; in the high
# mountains the change of temperature comes first; in a valley high pressure makes the next day's range large.
_FRONTS: Mapping[str, Mapping[tuple[str, str], float]] = {
    "coast": {
        ("temperature", "pressure"): 0.15, ("wind", "pressure"): -0.20, ("humidity", "temperature"): 0.10,
    },
    "lowland": {},
    "valley": {("upper_range", "pressure"): 0.15},
    "slope": {
        ("temperature", "pressure"): -0.15, ("wind", "pressure"): 0.15, ("humidity", "pressure"): 0.10,
    },
    "high_mountain": {("temperature", "pressure"): 0.10, ("pressure", "temperature"): 0.10},
}  # fmt: skip

# Mean of the yearly cycle's (mean, cosine, sine) in a regime, in standard deviations of the sites of one
# regime; the cosine is 1 in mid-January. Components that are left out do not differ.
_CYCLES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "coast": {"temperature": (0.6, 0.9, -0.5), "wind": (0.7, 0.0, 0.0), "upper_range": (-0.6, 0.0, 0.0)},
    "lowland": {"temperature": (0.4, 0.0, 0.0), "upper_range": (0.3, 0.0, 0.0)},
    "valley": {"wind": (-0.6, 0.0, 0.0), "lower_range": (0.6, -0.4, 0.0), "humidity": (0.3, 0.0, 0.0)},
    "slope": {"wind": (0.2, 0.0, 0.0), "humidity": (-0.5, 0.0, 0.0), "lower_range": (-0.5, 0.0, 0.0)},
    "high_mountain": {"temperature": (-0.9, 0.3, 0.0), "wind": (0.6, 0.3, 0.0)},
}


def dynamics(contrast: float) -> Floats:
    """A of each regime, (R, 6, 6): today = A @ yesterday + noise; `contrast` 0 makes all equal to their mean.

    The noise has the covariance I - A A', so that every regime has the stationary covariance I: no statistic
    of single days differs between regimes, only the order of days does.
    """
    found = np.zeros((len(REGIMES), len(COMPONENTS), len(COMPONENTS)))
    place = {name: number for number, name in enumerate(COMPONENTS)}
    for matrix, regime in zip(found, REGIMES, strict=True):
        np.fill_diagonal(matrix, _PERSISTENCE[regime])
        for (today, yesterday), effect in _FRONTS[regime].items():
            matrix[place[today], place[yesterday]] = effect
    middle = found.mean(axis=0)
    return middle + contrast * (found - middle)


def cycles() -> Floats:
    """Mean yearly cycle of each regime, (R, 3, 6), in standard deviations of its sites."""
    found = np.zeros((len(REGIMES), HARMONICS, len(COMPONENTS)))
    for number, regime in enumerate(REGIMES):
        for component, values in _CYCLES[regime].items():
            found[number, :, COMPONENTS.index(component)] = values
    return found
