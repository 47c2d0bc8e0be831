"""Units as people write them, into those of the table of variables, by pint with cf_xarray's registry."""

import re
from functools import cache
from typing import Any, NamedTuple

from convoy.climate.data.variables import row_of

# Spellings that the registry lacks, or that mean something else there (mb: millibarn, F: farad).
_SPELLINGS = {
    "K": {
        "c": "degC",
        "celsius": "degC",
        "f": "degF",
        "fahrenheit": "degF",
        "k": "K",
        "kelvin": "K",
        "kelvins": "K",
    },
    "Pa": {"mb": "hPa", "mbs": "hPa", "pa": "Pa", "hpa": "hPa"},
    "kg m-2 s-1": {"m of water equivalent": "m"},
}
# What else a quantity may be given as, as the factor that turns it into the units of the table. A depth of
# water has 1,000 kg m-3, and an amount without a time is what fell in the day; geopotential is g times
# height.
_FACTORS = {
    "kg m-2 s-1": ("day-1", "1000 kg m-3", "1000 kg m-3 day-1"),
    "m": ("1 / (9.80665 m s-2)",),
}
# One spelling of each unit that is understood, for messages.
_EXAMPLES = {
    "K": "K, degC, degF", "Pa": "Pa, hPa, kPa", "kg kg-1": "kg kg-1, g kg-1",
    "kg m-2 s-1": "kg m-2 s-1, mm day-1, m s-1, m day-1, cm day-1", "m s-1": "m s-1, km h-1, knot",
    "m": "m, km, ft, m2 s-2",
}  # fmt: skip
# A power of a number may be larger than the machine: units have none.
_SENSIBLE = re.compile(r"(?!.*\d\s*(\*\*|\^))[\w\s°%µ/*^().+-]{1,40}")

_ANGLE = re.compile(r"degrees?(_north|_east)?|radian")


class Conversion(NamedTuple):
    """ours = theirs * scale + offset."""

    scale: float
    offset: float


@cache
def conversion(name: str, units: str) -> Conversion | None:
    """How values of a variable get into the units of the table; None where theirs are not understood.

    Of a variable that the table lacks the units are kept as they are.
    """
    ours = row_of(name).units
    if not ours or units == ours:
        return Conversion(1, 0)
    if not units:
        return None
    from cf_xarray.units import units as registry

    theirs = _parsed(registry, ours, units)
    if theirs is None:
        return None
    for factor in ("1", *_FACTORS.get(ours, ())):
        zero, one = (registry.Quantity(value, theirs) for value in (0.0, 1.0))
        times = registry.parse_expression(factor)
        if (theirs * times).is_compatible_with(ours):
            low, high = (
                _number((value if factor == "1" else value * times).to(ours)) for value in (zero, one)
            )
            return Conversion(high - low if low == 0 else round(high - low, 12), low)
    return None


def factor(one: str, other: str) -> float | None:
    """What turns numbers in one unit into those of another, without an offset; None where nothing does."""
    from cf_xarray.units import units as registry

    first, second = (_parsed(registry, "Pa", units or "1") for units in (one, other))
    if first is None or second is None or not first.is_compatible_with(second):
        return None
    return _number(registry.Quantity(1.0, first).to(second))


def known(name: str) -> str:
    """One spelling of each unit that is understood for a variable of the table, for messages."""
    return _EXAMPLES[row_of(name).units]


def same_units(one: str, other: str) -> bool:
    """Whether two spellings are one unit, such as m s-1 and m s**-1."""
    from cf_xarray.units import units as registry

    if one == other:
        return True
    first, second = (_parsed(registry, "", units) for units in (one, other))
    return first is not None and second is not None and first == second


def _parsed(registry: Any, ours: str, units: str) -> Any:
    plain = re.sub(r"[.·]", " ", units.strip())
    alone = plain.lower()
    if ours == "K":
        alone = re.sub(r"^(degrees?|deg|°)|[\s_]", "", alone)
    plain = _SPELLINGS.get(ours, {}).get(alone, plain)
    if not _SENSIBLE.fullmatch(plain):
        return None
    for sensitive in (True, False):
        try:
            found = registry.parse_units(plain, case_sensitive=sensitive)
        except Exception:  # noqa: S112 (whatever pint finds wrong with the spelling: no class of its own)
            continue
        # An angle has no dimension there, so that degrees would pass for kg kg-1.
        return None if any(_ANGLE.fullmatch(name) for name in found._units) else found
    return None


def _number(quantity: Any) -> float:
    return float(quantity.magnitude)
