"""Checks of a stored model: bounds of its config; names, types, shapes and value ranges of its tensors.

Matching checksums do not make a folder trustworthy: they can be renewed after a file was changed. Each task
checks its models in its own `stored.py`, with these functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.core.printable import cut

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200_000)]

# Trained weights are some eight orders of magnitude smaller. Sums of products of two such values over a
# network's width stay within float32.
LARGEST = 1e10
AGAIN = "train the model again"


class StoredConfig(Section):
    """The keys of every config.json; `seeds` is written with the folder."""

    version: Literal[1] = Field(alias="schema")
    kind: Name
    training: dict[str, Any]
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field((), max_length=100)


@dataclass(frozen=True)
class Expected:
    """One tensor: a NumPy type by name, a shape, and bounds that all its values lie within.

    gaps: NaN is allowed, for missing values; otherwise every value is finite.
    """

    dtype: str
    shape: tuple[int, ...]
    low: float = -LARGEST
    high: float = LARGEST
    gaps: bool = False


def check(tensors: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, Expected], where: str) -> None:
    """Raise ConvoyError for the first tensor that is missing, unknown, or not as expected.

    where: the model, which begins the line. No memory is taken beyond that of the tensors.
    """
    for name in sorted(tensors.keys() ^ expected.keys()):
        what = "is missing" if name in expected else "is none of this kind of model"
        raise ConvoyError(f"tensor '{cut(name, 80)}' {what}", path=where, hint=AGAIN)
    for name, of_tensor in expected.items():
        fault = _fault(tensors[name], of_tensor)
        if fault is not None:
            key = f"tensor '{name}'"
            raise ConvoyError(path=where, key=key, expected=fault[0], found=fault[1], hint=AGAIN)


def _fault(tensor: npt.NDArray[Any], expected: Expected) -> tuple[str, str] | None:
    """The expected and the found values, in words."""
    # NumPy's ascontiguousarray, through which weights are stored, makes a single number an array of one.
    shape, found = expected.shape or (1,), tensor.shape or (1,)
    if tensor.dtype.name != expected.dtype or found != shape:
        return f"{expected.dtype} {list(shape)}", f"{tensor.dtype.name} {list(found)}"
    if tensor.size == 0:
        return None
    # minimum and maximum are NaN where a value is, fmin and fmax where all are.
    low, high = (np.fmin, np.fmax) if expected.gaps else (np.minimum, np.maximum)
    least, greatest = float(low.reduce(tensor, None)), float(high.reduce(tensor, None))
    if (expected.low <= least and greatest <= expected.high) or (expected.gaps and np.isnan(least)):
        return None
    return f"values from {expected.low:g} to {expected.high:g}", f"{least:g} to {greatest:g}"
