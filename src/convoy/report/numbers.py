"""Numbers formatted for reading."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """Formats all figures of one quantity with as many decimals as show `smallest` to three digits."""

    smallest: float
    units: str = ""

    def bare(self, value: float | None) -> str:
        """The figure without units, with a true minus sign; a dash where it is not known."""
        if value is None:
            return "–"
        size = abs(self.smallest)
        if size and not 1e-3 <= size < 1e5:
            return f"{value:z.2e}".replace("-", "−")
        decimals = 2 - math.floor(math.log10(size)) if size else 3
        return fixed(value, min(3, max(0, decimals)))

    def __call__(self, value: float | None) -> str:
        """The figure with its units."""
        return f"{self.bare(value)} {self.units}".rstrip() if value is not None else "–"

    def span(self, low: float | None, high: float | None) -> str:
        """Both ends of an interval without units; a dash where there is none."""
        return "–" if low is None or high is None else f"{self.bare(low)} to {self.bare(high)}"


def fixed(value: float, decimals: int) -> str:
    """A figure with so many decimals and a true minus sign, which a rounded 0 has not."""
    return f"{value:z.{decimals}f}".replace("-", "−")


def percent(rate: float) -> str:
    """A rate in per cent with one decimal, or as many as distinguish it from 0% and 100%.

    Below 0, as a skill may be, with a true minus sign.
    """
    if rate in (0.0, 1.0):
        return f"{rate:z.0%}"
    for decimals in range(1, 7):
        text = f"{100 * rate:.{decimals}f}"
        if float(text) not in (0, 100):
            return f"{fixed(100 * rate, decimals)}%"
    return f"{fixed(100 * rate, 1)}%"


def points(difference: float) -> str:
    """A difference of two rates in percentage points, with a true minus sign; small ones to two digits."""
    value = 100 * difference
    text = fixed(value, 1 if abs(value) >= 0.1 else 2)
    return "0.0" if text == "0.00" else text


def p_value(p: float) -> str:
    """A p value as papers write it."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
