"""The table of variables: names, CF attributes, units, synonyms and ranges of values on Earth.

Ingestion, gate and reports read the same rows. A variable that is not in the table may still be an input of a
model, by any name, with the units that its file or the params state.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from convoy.core.errors import Param
from convoy.core.params import Section

SECTION = "climate.grids.variables"
ELEVATION = "elevation"
# No land is lower (the Dead Sea: -430 m): lower heights are the sea floor.
LOWEST_LAND_M = -500.0
Range = tuple[float, float]


@dataclass(frozen=True)
class Variable:
    """A row of the table.

    values, mean: least and greatest value, and mean over all days and cells, that are possible on Earth, in
    `units`, with a margin: beyond them a unit is wrong or a fill value not declared. round_off: the distance
    below the least value within which a number is set to it. intermittent: may be constant for a month, as
    rain may be 0. synonyms: other names in files, in lower case.
    """

    name: str
    units: str
    standard_name: str = ""
    long_name: str = ""
    cell_methods: str = ""
    height_m: float | None = None
    values: Range = (-1e15, 1e15)
    mean: Range = (-1e15, 1e15)
    round_off: float = 0.0
    intermittent: bool = False
    synonyms: tuple[str, ...] = ()

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes of the stored variable."""
        found = {
            "standard_name": self.standard_name, "units": self.units, "cell_methods": self.cell_methods,
            "long_name": self.long_name, "coordinates": "" if self.height_m is None else "height",
        }  # fmt: skip
        return {key: value for key, value in found.items() if value}

    @property
    def method(self) -> str:
        """The statistic of a day, such as `maximum`; empty for static fields."""
        return self.cell_methods.removeprefix("time: ")

    @property
    def monthly_mean(self) -> Range:
        """The range of monthly means, which may be near 0 for a quantity that cannot be negative."""
        return (0.0 if self.values[0] == 0 else self.mean[0]), self.mean[1]

    def impossible(self, values: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
        """Mask of values, in `units`, that are not possible on Earth; NaN is missing, and possible."""
        least, greatest = self.values
        found: npt.NDArray[np.bool_] = (values < least - self.round_off) | (values > greatest)
        return found

    def without_round_off(self, values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], int]:
        """The values, those below the least possible one by rounding raised to it, and their number."""
        below = values < self.values[0]
        count = int(below.sum())
        return (np.where(below, np.float32(self.values[0]), values) if count else values), count


def _temperature(name: str, method: str, *synonyms: str) -> Variable:
    return Variable(
        name, "K", "air_temperature", f"Daily {method} near-surface air temperature", f"time: {method}", 2.0,
        values=(150, 350), mean=(180, 325), synonyms=synonyms,
    )  # fmt: skip


_ROWS = (
    _temperature("tasmax", "maximum", "tx", "tmax", "t_max", "mx2t", "trefhtmx", "t2m_max", "t2mmax", "tmmx"),
    _temperature("tasmin", "minimum", "tn", "tmin", "t_min", "mn2t", "trefhtmn", "t2m_min", "t2mmin", "tmmn"),
    _temperature("tas", "mean", "t2m", "2t", "tg", "trefht", "tmean", "tavg", "t2", "temp2"),
    Variable(
        "psl", "Pa", "air_pressure_at_mean_sea_level", "Sea level pressure", "time: mean",
        values=(80_000, 115_000), mean=(90_000, 108_000),
        synonyms=("msl", "mslp", "slp", "prmsl", "pp", "pmsl"),
    ),
    Variable(
        "huss", "kg kg-1", "specific_humidity", "Near-surface specific humidity", "time: mean", 2.0,
        values=(0, 0.06), mean=(1e-5, 0.03), round_off=1e-4,
        synonyms=("qrefht", "q2m", "q2", "qv2m", "2sh", "sph"),
    ),
    # The wettest day on record had 1.83 m (0.021 kg m-2 s-1), the wettest month 9.3 m (0.0036).
    Variable(
        "pr", "kg m-2 s-1", "precipitation_flux", "Precipitation", "time: mean",
        values=(0, 0.05), mean=(1e-9, 4e-3), round_off=1e-6, intermittent=True,
        synonyms=("rr", "tp", "prect", "prcp", "precip", "precipitation"),
    ),
    Variable(
        "sfcWind", "m s-1", "wind_speed", "Near-surface wind speed", "time: mean",
        values=(0, 120), mean=(0.05, 40), round_off=1e-2,
        synonyms=("fg", "ws10", "si10", "wind_speed", "wspd10m", "u10m"),
    ),
    Variable(
        ELEVATION, "m", "surface_altitude", "Surface altitude", values=(-12_000, 9_000),
        synonyms=(
            "orog", "z", "topo", "elev", "altitude", "dem", "hgt", "zs", "hsurf", "phis", "topography",
        ),
    ),
)  # fmt: skip

VARIABLES = {row.name: row for row in _ROWS}
DAILY = tuple(name for name in VARIABLES if name != ELEVATION)


def row_of(name: str, units: str = "") -> Variable:
    """The row of a name; for one that is not in the table, a row without bounds, in these units."""
    return VARIABLES.get(name) or Variable(name, units, long_name=name.replace("_", " "), intermittent=True)


def param(name: str, key: str, value: str = "...") -> Param:
    """The param of a variable, for messages; without a value where the param itself is wrong."""
    return Param(SECTION, (name, key), value)


class VariableParams(Section):
    """The name of a variable in a file and its true units; a string is the name."""

    name: str | None = Field(None, min_length=1, description="In the file; left out: our name or a synonym.")
    units: str | None = Field(None, min_length=1, description="Where the file states none, or wrong ones.")
    level: str | None = Field(
        None, min_length=1, description="Of a file with several pressure levels or heights: `850 hPa`."
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value
