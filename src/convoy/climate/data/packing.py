"""Stored numbers: fill values, packing, and undeclared fill values."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

# Numbers that mean "missing" by convention, as does any larger than a physical quantity (1e20, 9.97e36).
USUAL_FILLS = (-9999.0, -99999.0, -999999.0)
LARGEST = 1e15
Floats: TypeAlias = npt.NDArray[np.floating[Any]]


def unpacked(raw: npt.NDArray[Any], attributes: Mapping[str, Any]) -> Floats:
    """Floats with NaN for declared fill values, scaled and shifted according to the attributes.

    By CF-1.11, 2.5.1 and 8.1: `_FillValue`, `missing_value`, `valid_range`, `valid_min`, `valid_max`,
    `scale_factor`, `add_offset`; and `_Unsigned` of NetCDF-3. A NaN that is not declared becomes infinity, so
    that it cannot pass for a missing value.
    """
    unsigned = str(attributes.get("_Unsigned", "")).lower() == "true" and raw.dtype.kind == "i"
    raw = raw.view(raw.dtype.str.replace("i", "u")) if unsigned else raw
    missing = np.zeros(raw.shape, bool)
    for key in ("_FillValue", "missing_value"):
        for fill in np.atleast_1d(attributes.get(key, [])):
            missing |= _equals(raw, fill)
    low, high = _numbers(attributes, "valid_range", 2) or (
        *(_numbers(attributes, "valid_min", 1) or (None,)), *(_numbers(attributes, "valid_max", 1) or (None,))
    )  # fmt: skip
    if low is not None:
        missing |= raw < _of_type(raw, low)
    if high is not None:
        missing |= raw > _of_type(raw, high)
    (scale,) = _numbers(attributes, "scale_factor", 1) or (1.0,)
    (offset,) = _numbers(attributes, "add_offset", 1) or (0.0,)
    plain = scale == 1.0 and offset == 0.0
    values: Floats = raw.astype(np.float32 if plain and raw.dtype.itemsize <= 4 else np.float64)
    if not plain:
        values = values * scale + offset
    values[np.isnan(values) & ~missing] = np.inf
    values[missing] = np.nan
    return values


def undeclared_fill(values: Floats, attributes: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Mask of unpacked values that are not finite, or look like a fill value, but are not declared as one."""
    wrong: npt.NDArray[np.bool_] = np.abs(values) >= LARGEST  # infinity is, NaN is not
    if not {"scale_factor", "add_offset"} & set(attributes):
        wrong |= np.isin(values, np.array(USUAL_FILLS, values.dtype))
    return wrong


def _equals(raw: npt.NDArray[Any], fill: Any) -> npt.NDArray[np.bool_]:
    """Mask where `raw` is the fill value, which may be declared in another type."""
    nowhere = np.zeros(raw.shape, bool)
    try:
        number = float(fill)
    except ValueError:
        return nowhere
    if raw.dtype.kind == "f":
        with np.errstate(over="ignore"):
            found = np.isnan(raw) if np.isnan(number) else raw == np.float64(number).astype(raw.dtype)
            if isinstance(fill, np.float32) and raw.dtype.itemsize > 4:
                found = found | (raw.astype(np.float32) == fill)  # 1e20 is another number in 32 bits
        return found
    # Whole numbers outside the type's range match nothing.
    return raw == int(_of_type(raw, number)) if number.is_integer() else nowhere


def _of_type(raw: npt.NDArray[Any], number: float) -> float:
    """The number; for unsigned values a negative one is reinterpreted by its bits."""
    return number + 2.0 ** (8 * raw.dtype.itemsize) if raw.dtype.kind == "u" and number < 0 else number


def _numbers(attributes: Mapping[str, Any], key: str, count: int) -> tuple[float, ...] | None:
    try:
        found = np.ravel(attributes[key]).astype(float)
    except (KeyError, ValueError):
        return None
    return tuple(map(float, found[:count])) if len(found) >= count else None
