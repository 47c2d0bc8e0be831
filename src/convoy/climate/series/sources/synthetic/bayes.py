"""The exact likelihood of each regime, and the Bayes accuracy that no model of one site-year can exceed."""

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax

from convoy.climate.series.sources.synthetic.regimes import (
    COMPONENTS,
    HARMONICS,
    PRESSURE,
    REGIMES,
    disturbance,
    dynamics,
)
from convoy.climate.series.sources.synthetic.weather import (
    DAYS,
    SyntheticParams,
    effects_sd,
    harmonics,
    mean_effects,
)

Floats = npt.NDArray[np.float64]

_CHUNK = 512  # site-years


def posterior(u: Floats, params: SyntheticParams) -> Floats:
    """Probability of each regime given one site-year, (N, R), from u (N, 365, 6); all are equally frequent.

    A site is sheltered with a known probability, so that the likelihood of a regime is a mixture of two.
    """
    parts = ((1 - params.sheltered, params.contrast), (params.sheltered, 0.0))
    logs = [np.log(share) + log_likelihood(u, contrast) for share, contrast in parts if share > 0]
    return softmax(logsumexp(logs, axis=0), axis=1)


def log_likelihood(u: Floats, contrast: float) -> Floats:
    """Log density of each site-year in each regime up to a constant, (N, R), where no site is sheltered.

    The disturbance of yesterday is known from u, so that each day is normal given the days before and b:
    u_t - A u_(t-1) - response * disturbance has the mean (H_t - A H_(t-1)) b. Whitened by the root of the
    noise, that is e = G b + noise, and b is normal and integrates out: the matrix to invert is
    Omega^-1 + G' G, 18 x 18 (Woodbury).
    """
    logs = np.empty((len(u), len(REGIMES)))
    prior = effects_sd().ravel() ** -2
    forcing = disturbance(u[:, :-1, PRESSURE, None])
    for number, (A, response, root, mean) in enumerate(zip(*dynamics(contrast), mean_effects(), strict=True)):
        inverse = np.linalg.inv(root)
        design = _whitened(_columns(), 0.0, A, inverse).reshape(HARMONICS * len(COMPONENTS), -1)
        inner = design @ design.T + np.diag(prior)
        # log det of the covariance: of the noise, and of I + Omega G' G.
        constant = np.linalg.slogdet(inner)[1] - np.log(prior).sum()
        constant -= 2 * (DAYS - 1) * np.linalg.slogdet(inverse)[1]
        centre = harmonics() @ mean
        for low in range(0, len(u), _CHUNK):
            part = slice(low, low + _CHUNK)
            e = _whitened(u[part] - centre, forcing[part] * response, A, inverse).reshape(-1, design.shape[1])
            along = e @ design.T
            explained = np.einsum("ni,ni->n", along, np.linalg.solve(inner, along.T).T)
            logs[part, number] = -0.5 * ((e**2).sum(axis=1) - explained + constant)
    return logs


def _columns() -> Floats:
    """Each column of H for each component, (18, 365, 6)."""
    found = np.zeros((HARMONICS, len(COMPONENTS), DAYS, len(COMPONENTS)))
    for component in range(len(COMPONENTS)):
        found[:, component, :, component] = harmonics().T
    return found.reshape(-1, DAYS, len(COMPONENTS))


def _whitened(x: Floats, forced: Floats | float, A: Floats, inverse: Floats) -> Floats:
    """The noise of each day, scaled to covariance I, (N, 365, 6); `forced` is the response to yesterday."""
    noise = (x[:, 1:] - x[:, :-1] @ A.T - forced) @ inverse.T
    return np.concatenate([x[:, :1], noise], axis=1)
