"""Weather of synthetic sites: an autoregression per regime, and daily variables made from it.

A site-year is u = H b + z. H: mean, cosine and sine of the year. b: the deviations of the site and the year
from the yearly cycle of all, normal around the mean of the regime. z: a first-order vector autoregression
that responds to the disturbance of the day before, a function of u's pressure, with the dynamics of the
regime, or at a sheltered site with the mean of all regimes. The variables are a one-to-one function of u that
is the same in all regimes, so that the likelihood of a regime is that of u.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from convoy.climate.series.sources.synthetic.regimes import (
    COMPONENTS,
    HARMONICS,
    PRESSURE,
    REGIMES,
    Dynamics,
    cycles,
    disturbance,
    dynamics,
)
from convoy.core.params import Section

Floats = npt.NDArray[np.float64]

DAYS = 365
# Standard deviations of (mean, cosine, sine) between the sites of a regime and between the years of a site,
# in units of the weather's standard deviation.
SITE_SD = np.outer([0.60, 0.40, 0.25], [1.0, 0.4, 1.0, 1.0, 1.0, 1.0])
YEAR_SD = np.array([[0.15], [0.15], [0.15]])

# u = 0: the yearly cycle of all sites. Temperature in K, pressure in Pa, logit of the relative humidity,
# logarithms of wind (m s-1) and of both ranges (K); rows are mean, cosine (mid-January), sine.
_CYCLE = np.array([
    [281.0, 101_500.0, 1.10, 1.10, 1.35, 1.35],
    [-9.0, 150.0, 0.25, 0.12, -0.20, -0.15],
    [-2.5, 0.0, 0.05, 0.05, 0.05, 0.05],
])  # fmt: skip
_SCALE = np.array([3.8, 850.0, 0.55, 0.40, 0.32, 0.32])
_WINTER = np.array([0.25, 0.30, 0.10, 0.15, 0.0, 0.0])  # more variable by so much in mid-January
# Same-day correlations: lower triangular, with rows of length 1.
_MIXING = np.array(
    [
        [1.00, 0.00, 0.00, 0.00, 0.00, 0.00],
        [-0.20, 0.98, 0.00, 0.00, 0.00, 0.00],
        [-0.15, -0.30, 0.94, 0.00, 0.00, 0.00],
        [0.10, -0.45, 0.00, 0.89, 0.00, 0.00],
        [0.25, 0.30, -0.45, -0.10, 0.80, 0.00],
        [0.10, 0.40, -0.30, -0.35, 0.20, 0.76],
    ]
)
_MIXING /= np.linalg.norm(_MIXING, axis=1, keepdims=True)


class SyntheticParams(Section):
    """For `source: synthetic`."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="of sites and weather")
    sites: int = Field(2000, ge=10, le=100_000)
    years: int = Field(2, ge=1, le=50, description="of each site")
    contrast: float = Field(
        0.8, ge=0, le=1, description="of the regimes' dynamics; 0: the order of days has no information"
    )
    sheltered: float = Field(
        0.15, ge=0, le=1, description="share of sites whose weather goes on as the mean of all regimes"
    )


@dataclass(frozen=True)
class Weather:
    """Synthetic site-years: u (N, 365, 6), numbers of regime and site, and latitude, each (N,)."""

    u: Floats
    regime: npt.NDArray[np.int64]
    site: npt.NDArray[np.int64]
    latitude: Floats


def harmonics() -> Floats:
    """Columns 1, cosine and sine of the year, (365, 3); the cosine is 1 on 15 January."""
    angle = 2 * np.pi * (np.arange(DAYS) - 14) / DAYS
    return np.stack([np.ones(DAYS), np.cos(angle), np.sin(angle)], axis=1)


def effects_sd() -> Floats:
    """Standard deviation of b between site-years of one regime, (3, 6)."""
    return np.broadcast_to(np.hypot(SITE_SD, YEAR_SD), (HARMONICS, len(COMPONENTS)))


def mean_effects() -> Floats:
    """Mean of b in each regime, (R, 3, 6)."""
    return cycles() * SITE_SD


def simulate(params: SyntheticParams) -> Weather:
    """Sites with equally frequent regimes in random order, `params.years` consecutive rows each."""
    rng = np.random.default_rng(params.seed)
    regime = rng.permutation(np.arange(params.sites) % len(REGIMES))
    shape = (params.sites, HARMONICS, len(COMPONENTS))
    site_b = mean_effects()[regime] + SITE_SD * rng.standard_normal(shape)
    latitude = rng.uniform(40.0, 58.0, params.sites)
    site = np.repeat(np.arange(params.sites), params.years)
    b = site_b[site] + YEAR_SD * rng.standard_normal((len(site), *shape[1:]))
    sheltered = rng.random(params.sites) < params.sheltered
    parts = zip(dynamics(params.contrast), dynamics(0.0), strict=True)
    followed = Dynamics(
        *(
            np.where(sheltered.reshape(-1, *[1] * (own.ndim - 1)), mean[regime], own[regime])[site]
            for own, mean in parts
        )
    )
    u = autoregression(followed, np.einsum("dk,nkc->ndc", harmonics(), b), rng)
    return Weather(u, regime[site], site, latitude[site])


def autoregression(followed: Dynamics, cycle: Floats, rng: np.random.Generator) -> Floats:
    """u = cycle + z, (N, 365, 6), of dynamics (N, ...) and the site-years' cycle (N, 365, 6).

    z starts from N(0, I); the disturbance is that of u.
    """
    A, response, root = followed
    noise = rng.standard_normal((DAYS, len(A), A.shape[-1]))
    u, z = np.empty_like(cycle), noise[0]
    u[:, 0] = cycle[:, 0] + z
    for day in range(1, DAYS):
        forced = response * disturbance(u[:, day - 1, PRESSURE, None])
        z = np.einsum("nij,nj->ni", A, z) + forced + np.einsum("nij,nj->ni", root, noise[day])
        u[:, day] = cycle[:, day] + z
    return u


def variables(u: Floats) -> dict[str, npt.NDArray[np.float32]]:
    """Daily variables by CMIP name in SI units, (N, 365) each, from u (N, 365, 6).

    tasmin < tas < tasmax, and specific humidity below saturation, whatever u is.
    """
    h = harmonics()
    spread = _SCALE * (1 + h[:, 1, None] * _WINTER)
    tas, psl, humidity, wind, upper, lower = np.moveaxis(h @ _CYCLE + spread * (u @ _MIXING.T), 2, 0)
    found = {
        "tas": tas, "tasmax": tas + np.exp(upper), "tasmin": tas - np.exp(lower), "psl": psl,
        "huss": saturation(tas, psl) / (1 + np.exp(-humidity)), "sfcWind": np.exp(wind),
    }  # fmt: skip
    return {name: values.astype(np.float32) for name, values in found.items()}


def latent(values: dict[str, npt.NDArray[np.float32]]) -> Floats:
    """The inverse of `variables`: u (N, 365, 6), to the precision of float32."""
    v = {name: array.astype(np.float64) for name, array in values.items()}
    share = v["huss"] / saturation(v["tas"], v["psl"])
    physical = [
        v["tas"], v["psl"], np.log(share / (1 - share)), np.log(v["sfcWind"]),
        np.log(v["tasmax"] - v["tas"]), np.log(v["tas"] - v["tasmin"]),
    ]  # fmt: skip
    h = harmonics()
    spread = _SCALE * (1 + h[:, 1, None] * _WINTER)
    return (np.stack(physical, axis=2) - h @ _CYCLE) / spread @ np.linalg.inv(_MIXING).T


def saturation(tas_K: Floats, pressure_Pa: Floats) -> Floats:
    """Saturation specific humidity in kg kg-1 over water (Bolton 1980, eq. 10)."""
    vapour = 611.2 * np.exp(17.67 * (tas_K - 273.15) / (tas_K - 29.65))
    return 0.622 * vapour / (pressure_Pa - 0.378 * vapour)
