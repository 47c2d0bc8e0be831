"""A synthetic climate whose daily maximum temperature is learnable except for a known random part.

tasmax = D(pressure, humidity, season, static fields) + g, where D (`temperature`) is a function of the coarse
fields that are the models' inputs, and g is a Gaussian field of which models know only the coarse means. The
irreducible error of g is computed exactly: `noise_floor`. The two warmer climates are named by the global
warming, which is larger over land and at high elevations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from convoy.climate.data.domains import Axis, Days, Domain, Fields, Grid
from convoy.climate.data.regridding import Regridding, area_mean, interpolation
from convoy.climate.data.static_fields import terrain_fields
from convoy.climate.synthetic import terrain
from convoy.climate.synthetic.physics import saturation_humidity, surface_pressure
from convoy.climate.synthetic.spectra import Modes, broken_power_law
from convoy.climate.synthetic.temperature import DailyMaximum, climatology, landness
from convoy.climate.synthetic.weather import simulate
from convoy.core.params import Section

FACTOR = 4
COARSE_CELLS = 16
SOUTH, WEST = 40.0, 2.0
FIRST_YEAR = 2001
TRAINING_TERRAINS = ("terrain_1", "terrain_2", "terrain_3")
WARMER_CLIMATES = {"warmer_2k": 2.0, "warmer_4k": 4.0}
VARIABLES = ("tasmax", "psl", "huss")


class SyntheticParams(Section):
    """Size of the synthetic climate, and whether its coarse fields are perfect."""

    seed: int = Field(0, ge=0, lt=2**32)
    years: int = Field(10, ge=4, le=60, description="of the main terrain; each other terrain has a quarter")
    inputs: Literal["perfect", "imperfect"] = Field(
        "perfect", description="imperfect: a coarse model with a bias and a smoothed orography of its own"
    )


def grids() -> tuple[Grid, Grid]:
    """The coarse grid of 16 x 16 degrees and the fine one of a quarter of a degree."""
    coarse, fine = (
        Grid(Axis.regular(SOUTH, step, count), Axis.regular(WEST, step, count))
        for step, count in ((1.0, COARSE_CELLS), (1 / FACTOR, COARSE_CELLS * FACTOR))
    )
    return coarse, fine


def random_part(cells: int = COARSE_CELLS * FACTOR) -> Modes:
    """g: 2.5 K, energy k**-3 turning to k**-5/3 at a wavelength of 4 degrees."""
    size = 2 * cells
    return Modes(size, cells, broken_power_law(-3.0, -5 / 3, turn=size / 16, first=2.0), 2.5)


def splits(params: SyntheticParams) -> dict[str, list[dict[str, str]]]:
    """Splits by year: about 70% of home's years for training, 10% for validation, the rest for testing."""
    years, others = params.years, max(1, params.years // 4)
    test = max(1, years // 5)
    validation = max(1, years // 10)
    train = years - test - validation
    parts: dict[str, list[dict[str, str]]] = {
        "train": [_span("home", 0, train)],
        "validation": [_span("home", train, train + validation)],
        "test": [_span("home", train + validation, years)],
        "unseen_terrain": [_span("unseen", 0, others)],
    }
    parts |= {name: [_span(name, train + validation, years)] for name in WARMER_CLIMATES}
    for name in TRAINING_TERRAINS:
        parts["train"].append(_span(name, 0, max(1, others - 1)))
        if others > 1:
            parts["validation"].append(_span(name, others - 1, others))
    return parts


def domains(params: SyntheticParams) -> Iterator[Domain]:
    """Home, three other terrains for training, one without training days, and home in two warmer climates."""
    others = max(1, params.years // 4)
    yield _domain(params, "home", place=0, first=0, years=params.years)
    for place, name in enumerate((*TRAINING_TERRAINS, "unseen"), start=1):
        yield _domain(params, name, place=place, first=0, years=others)
    test = max(1, params.years // 5)
    for name, warming in WARMER_CLIMATES.items():
        yield _domain(params, name, place=0, first=params.years - test, years=test, warming=warming)


def _span(domain: str, first: int, last: int) -> dict[str, str]:
    return {
        "domain": domain, "from": f"{FIRST_YEAR + first}-01-01", "to": f"{FIRST_YEAR + last - 1}-12-31",
    }  # fmt: skip


def _domain(
    params: SyntheticParams, name: str, place: int, first: int, years: int, warming: float = 0.0
) -> Domain:
    """A domain; warmer climates have home's weather day by day, so that they differ by the warming only."""
    coarse, fine = grids()
    days = Days.years(FIRST_YEAR, first + years)
    kept = days.year >= FIRST_YEAR + first
    height_m = terrain.elevation(params.seed, place, len(fine.lat))
    static = terrain_fields(height_m, fine)
    down = area_mean(fine, coarse)
    rng = np.random.default_rng([params.seed, 2, place])
    weather = simulate(rng, coarse, days)
    # The bias has its own random generator, so that g is the same for perfect and imperfect inputs.
    bias = np.random.default_rng([params.seed, 3, place])
    model = _Model(params, coarse, fine, static, down, warming, bias)
    parts = []
    start = 0
    for g in random_part().days(rng, len(days), _memory_days):
        span = slice(start, start + len(g))
        start += len(g)
        if kept[span].any():
            parts.append(model(days.at(span), weather.psl[span], weather.humidity[span], g))
    chosen = kept[kept.size - sum(len(part.target) for part in parts) :]
    inputs = {key: np.concatenate([part.inputs[key] for part in parts])[chosen] for key in VARIABLES}
    target = np.concatenate([part.target for part in parts])[chosen]
    home = "home" if place == 0 else name
    return Domain(
        name, home, coarse, fine, days.at(kept), inputs, target, static, {"elevation": model.coarse_height_m}
    )


def _memory_days(k: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 5.0 * (k / 2) ** (-2 / 3)


@dataclass(frozen=True)
class _Part:
    inputs: dict[str, Fields]
    target: Fields


class _Model:
    """Coarse inputs and fine truth from weather and g, for days of one domain."""

    def __init__(
        self, params: SyntheticParams, coarse: Grid, fine: Grid, static: dict[str, Fields], down: Regridding,
        warming: float, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self.warming, self.down, self.static = warming, down, static
        up = interpolation(coarse, fine, "bicubic")
        self.truth = DailyMaximum(fine, static, up)
        height_m = static["elevation"]
        self.own: DailyMaximum | None = None
        if params.inputs == "imperfect":
            height_m = ndimage.gaussian_filter(height_m, 1.5 * FACTOR, mode="nearest")
            self.own = DailyMaximum(fine, terrain_fields(height_m, fine), up)
            self.bias = ndimage.gaussian_filter(rng.normal(size=coarse.shape), 3, mode="nearest")
            self.bias = (self.bias / self.bias.std()).astype(np.float32)
        self.coarse_height_m = down(height_m)
        self.land = down(landness(static["coast"]))
        self.latitude = down(static["latitude"])

    def __call__(self, days: Days, psl: Fields, relative: Fields, g: Fields) -> _Part:
        season = days.season
        mean_g = self.down(g)
        huss = self._humidity(psl, relative, season, mean_g)
        target = self.truth(psl, huss, season, self.warming) + g
        tasmax = self.down(target)
        if self.own is not None:
            coarse = self.down(self.own(psl, huss, season, self.warming)) + 0.95 * mean_g
            seasonal = np.float32(0.8) * np.cos(season - 0.5).astype(np.float32)[:, None, None]
            tasmax = (coarse + 1.2 * self.bias - 0.6 + seasonal).astype(np.float32)
        return _Part({"tasmax": tasmax, "psl": psl, "huss": huss}, target)

    def _humidity(self, psl: Fields, relative: Fields, season: Any, mean_g: Fields) -> Fields:
        """Specific humidity: the relative one times saturation at the day's mean temperature of the cell."""
        s = season.astype(np.float32)[:, None, None]
        mean = climatology(self.latitude, self.land, s) + mean_g + self.warming
        mean = mean - 6.0 * self.coarse_height_m / 1000 - 1.0
        pressure = surface_pressure(psl, self.coarse_height_m, mean)
        return (relative * saturation_humidity(mean, pressure)).astype(np.float32)


def facts(params: SyntheticParams) -> dict[str, Any]:
    """Facts about a synthetic climate for the folder of grids."""
    return {"source": f"synthetic, {params.years} years, {params.inputs} inputs, seed {params.seed}"}
