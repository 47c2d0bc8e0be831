"""Which columns of a file are ours, by their names, and columns as Arrow arrays."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

NAMES_SHOWN = 20


@dataclass(frozen=True)
class Pick:
    """What a reader of files is to read."""

    wanted: Sequence[str]
    """Our names of the columns; some may be missing."""
    choose: Callable[[Sequence[str]], dict[str, str]]
    """From the names in a file to a dict from ours to the file's. Raises ConvoyError for missing columns."""


def same_name(names: Sequence[str], column: str) -> list[str]:
    """The names that are `column`; or else those that are without blanks at the ends, or else without case.

    More than one is ambiguous.
    """
    for normal in (str, str.strip, lambda name: name.strip().casefold()):
        if found := [name for name in names if normal(name) == normal(column)]:
            return found
    return []


def strings(values: Iterable[str | None]) -> pa.Array:
    """An Arrow array of strings and nulls, without pa.array, which imports pandas to look for a Series."""
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def shown(names: Sequence[str]) -> str:
    """The names for a message: the first ones, cut, and the number of the others."""
    if not any(name.strip() for name in names):
        return "none"
    lines = (" ".join(name.split()) for name in names[:NAMES_SHOWN])
    shown = ", ".join(line if len(line) <= 40 else f"{line[:40]}…" for line in lines)
    return shown + (f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else "")
