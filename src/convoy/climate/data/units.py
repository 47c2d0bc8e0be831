"""Conversion of units in any spelling to those of the table of variables, by pint and cf_xarray."""

import re
from functools import cache
from typing import Any, NamedTuple

# By our units: spellings that the registry lacks, or that have another meaning there (mb: millibarn, F:
# farad).
_SPELLINGS = {
    "K": {"c": "degC", "f": "degF", "k": "K"},
    "Pa": {"mb": "hPa", "mbs": "hPa", "pa": "Pa", "hpa": "hPa"},
    "kg m-2 s-1": {"m of water equivalent": "m"},
}
# Other quantities, with the factor that converts them to the units of the table: a depth of water (1,000 kg
# m-3), an amount without a time (the daily sum), geopotential (g times height).
_FACTORS = {
    "kg m-2 s-1": ("day-1", "1000 kg m-3", "1000 kg m-3 day-1"),
    "m": ("1 / (9.80665 m s-2)",),
}
# Examples of supported units, for messages.
EXAMPLES = {
    "K": "K, degC, degF", "Pa": "Pa, hPa, kPa", "kg kg-1": "kg kg-1, g kg-1",
    "kg m-2 s-1": "kg m-2 s-1, mm day-1, m s-1, m day-1, cm day-1", "m s-1": "m s-1, km h-1, knot",
    "m": "m, km, ft, m2 s-2",
}  # fmt: skip
# Powers of numbers, which units do not have, may take all memory.
_SENSIBLE = re.compile(r"(?!.*\d\s*(\*\*|\^))[\w\s°%µ/*^().+-]{1,40}")
_ANGLE = re.compile(r"degrees?(_north|_east)?|radian")


class Conversion(NamedTuple):
    """ours = theirs * scale + offset."""

    scale: float
    offset: float


@cache
def conversion(units: str, ours: str) -> Conversion | None:
    """The conversion from `units` to `ours`; None where they are not compatible."""
    if units == ours:
        return Conversion(1, 0)
    theirs, target = _parsed(units, ours), _parsed(ours, ours)
    if theirs is None or target is None:
        return None
    from cf_xarray.units import units as registry

    for factor in ("1", *_FACTORS.get(ours, ())):
        times = registry.parse_expression(factor)
        if (theirs * times).is_compatible_with(target):
            zero, one = (registry.Quantity(value, theirs) for value in (0.0, 1.0))
            # pint does not multiply temperatures with an offset, not even by 1.
            low, high = (
                float((value if factor == "1" else value * times).to(target).magnitude)
                for value in (zero, one)
            )
            return Conversion(high - low if low == 0 else round(high - low, 12), low)
    return None


def _parsed(units: str, ours: str) -> Any:
    from cf_xarray.units import units as registry

    plain = re.sub(r"[.·]", " ", units.strip())
    if ours == "K":
        plain = re.sub(r"^(degrees?|deg|°)|[\s_]", "", plain, flags=re.IGNORECASE)
    plain = _SPELLINGS.get(ours, {}).get(plain.lower(), plain)
    if not _SENSIBLE.fullmatch(plain):
        return None
    for sensitive in (True, False):
        try:
            found = registry.parse_units(plain, case_sensitive=sensitive)
        except Exception:  # noqa: S112 (whatever pint finds wrong with the spelling: no class of its own)
            continue
        # Angles are dimensionless in pint, so that degrees would be accepted as kg kg-1.
        return None if any(_ANGLE.fullmatch(name) for name in found._units) else found
    return None
