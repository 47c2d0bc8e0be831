"""The exact likelihood of each regime, and the Bayes accuracy that no model of one site-year can exceed."""

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, softmax

from convoy.climate.series.synthetic.regimes import COMPONENTS, HARMONICS, REGIMES, dynamics
from convoy.climate.series.synthetic.weather import (
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

    u is normal with mean H mu and covariance H Omega H' + C, C that of the autoregression. Whitened by its
    innovations, with G the whitened columns of H, the matrix to invert is Omega^-1 + G' G, 18 x 18
    (Woodbury).
    """
    logs = np.empty((len(u), len(REGIMES)))
    prior = effects_sd().ravel() ** -2
    for number, (A, mean) in enumerate(zip(dynamics(contrast), mean_effects(), strict=True)):
        root = np.linalg.inv(np.linalg.cholesky(np.eye(len(A)) - A @ A.T))
        design = _whitened(_columns(), A, root).reshape(HARMONICS * len(COMPONENTS), -1)
        inner = design @ design.T + np.diag(prior)
        # log det of the covariance: of C, and of I + Omega G' G.
        constant = np.linalg.slogdet(inner)[1] - np.log(prior).sum()
        constant -= 2 * (DAYS - 1) * np.linalg.slogdet(root)[1]
        centre = harmonics() @ mean
        for low in range(0, len(u), _CHUNK):
            e = _whitened(u[low : low + _CHUNK] - centre, A, root).reshape(-1, design.shape[1])
            along = e @ design.T
            explained = np.einsum("ni,ni->n", along, np.linalg.solve(inner, along.T).T)
            logs[low : low + _CHUNK, number] = -0.5 * ((e**2).sum(axis=1) - explained + constant)
    return logs


def _columns() -> Floats:
    """Each column of H for each component, (18, 365, 6)."""
    found = np.zeros((HARMONICS, len(COMPONENTS), DAYS, len(COMPONENTS)))
    for component in range(len(COMPONENTS)):
        found[:, component, :, component] = harmonics().T
    return found.reshape(-1, DAYS, len(COMPONENTS))


def _whitened(x: Floats, A: Floats, root: Floats) -> Floats:
    """Innovations of the autoregression, scaled to covariance I: (N, 365, 6)."""
    innovations = (x[:, 1:] - x[:, :-1] @ A.T) @ root.T
    return np.concatenate([x[:, :1], innovations], axis=1)
