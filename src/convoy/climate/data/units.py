"""Units as people write them, into those of the convention (the `units` of storage.cf.ATTRIBUTES)."""

import re
from typing import NamedTuple

from convoy.climate.data.cf import ATTRIBUTES

DAY_S = 86_400.0
GRAVITY = 9.80665  # m s-2, which turns geopotential into height


class Conversion(NamedTuple):
    """ours = theirs * scale + offset."""

    scale: float
    offset: float


_CELSIUS = (
    "degC",
    "C",
    "Celsius",
    "°C",
    "deg C",
    "degree C",
    "degrees C",
    "degree Celsius",
    "degrees Celsius",
)
_FAHRENHEIT = ("degF", "F", "Fahrenheit", "°F", "degrees F", "degrees Fahrenheit")
_PER_SECOND = ("kg m-2 s-1", "kg/m2/s", "kg m-2/s", "kg/(m2 s)", "mm s-1", "mm/s", "mm/sec")
# A depth alone is what fell in the day.
_PER_DAY = ("mm day-1", "mm d-1", "mm/day", "mm/d", "mm", "kg m-2 day-1", "kg m-2 d-1", "kg/m2/day", "kg m-2")
_METRES_PER_DAY = ("m day-1", "m d-1", "m/day", "m/d", "m", "m of water equivalent")

# By the convention's unit: how theirs may be written, and what it takes.
SPELLINGS: dict[str, tuple[tuple[tuple[str, ...], Conversion], ...]] = {
    "K": (
        (("K", "kelvin", "degK", "deg K", "degrees K", "degree Kelvin"), Conversion(1, 0)),
        (_CELSIUS, Conversion(1, 273.15)),
        (_FAHRENHEIT, Conversion(5 / 9, 459.67 * 5 / 9)),
    ),
    "Pa": (
        (("Pa", "pascal", "pascals", "N m-2"), Conversion(1, 0)),
        (("hPa", "mb", "mbar", "millibar", "millibars", "hectopascal"), Conversion(100, 0)),
        (("kPa",), Conversion(1000, 0)),
    ),
    "kg kg-1": (
        (("kg kg-1", "kg/kg", "1", "g g-1", "g/g"), Conversion(1, 0)),
        (("g kg-1", "g/kg"), Conversion(1e-3, 0)),
    ),
    "kg m-2 s-1": (
        (_PER_SECOND, Conversion(1, 0)),
        (_PER_DAY, Conversion(1 / DAY_S, 0)),
        (("m s-1", "m/s"), Conversion(1000, 0)),
        (_METRES_PER_DAY, Conversion(1000 / DAY_S, 0)),
        (("cm day-1", "cm/day", "cm d-1"), Conversion(10 / DAY_S, 0)),
    ),
    "m s-1": (
        (("m s-1", "m/s", "metres per second", "meters per second"), Conversion(1, 0)),
        (("km h-1", "km/h", "km hr-1", "kph"), Conversion(1 / 3.6, 0)),
        (("knot", "knots", "kt", "kts"), Conversion(1852 / 3600, 0)),
    ),
    "m": (
        (("m", "metre", "metres", "meter", "meters", "gpm"), Conversion(1, 0)),
        (("km", "kilometre", "kilometres"), Conversion(1000, 0)),
        (("ft", "foot", "feet"), Conversion(0.3048, 0)),
        (("m2 s-2", "m2/s2", "J kg-1", "J/kg"), Conversion(1 / GRAVITY, 0)),
    ),
}


def conversion(variable: str, units: str) -> Conversion | None:
    """How values of one of our variables get into its unit; None where the spelling is not known."""
    wanted = _plain(units)
    for spellings, found in SPELLINGS[ATTRIBUTES[variable]["units"]]:
        if wanted in map(_plain, spellings):
            return found
    return None


def known(variable: str) -> str:
    """One spelling of each unit that is understood for one of our variables, for messages."""
    return ", ".join(spellings[0] for spellings, _ in SPELLINGS[ATTRIBUTES[variable]["units"]])


def _plain(units: str) -> str:
    """Small letters, exponents as in CF, one blank between factors: "kg kg**-1", "degrees_C", "W.m-2"."""
    return re.sub(r"[\s_.·*]+", " ", re.sub(r"\*\*|\^", "", units.strip().lower())).strip()
