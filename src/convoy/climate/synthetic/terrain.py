"""Synthetic terrain: elevation with a natural spectrum."""

import numpy as np

from convoy.climate.data.domains import Fields
from convoy.climate.synthetic.spectra import Modes, power_law

RELIEF_M = 3600.0
SEA_SHARE = 0.25


def elevation(seed: int, place: int, size: int) -> Fields:
    """Metres above the sea, (size, size): energy spectrum k**-2, a quarter at sea, 3,600 m of relief."""
    rng = np.random.default_rng([seed, 1, place])
    modes = Modes(2 * size, size, power_law(-2.0), 1.0)
    ((field,),) = modes.days(rng, 1, np.ones_like)
    above = field - np.quantile(field, SEA_SHARE)
    return (np.maximum(above, 0) * (RELIEF_M / above.max())).astype(np.float32)
