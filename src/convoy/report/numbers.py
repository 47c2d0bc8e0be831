"""Figures as people read them."""


def percent(rate: float) -> str:
    """A rate in per cent with one decimal, or with as many as tell it from 0% and 100%."""
    if rate in (0.0, 1.0):
        return f"{rate:.0%}"
    for decimals in range(1, 7):
        text = f"{100 * rate:.{decimals}f}"
        if float(text) not in (0, 100):
            return f"{text}%"
    return f"{100 * rate:.1f}%"


def points(difference: float) -> str:
    """A difference of two rates in percentage points, with a true minus sign; small ones to two digits."""
    value = 100 * difference
    text = f"{value:.{1 if abs(value) >= 0.1 else 2}f}"
    return text.replace("-", "−") if float(text) else "0.0"


def p_value(p: float) -> str:
    """An exact p as papers write it."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
