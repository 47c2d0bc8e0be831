"""Splits of the days of real grids into training, validation and test."""

import re
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, model_validator

from convoy.climate.data.domains import Days
from convoy.core.errors import ConvoyError, Param
from convoy.core.params import Section

SPLIT = Param("climate.grids.split")
SPLITS = ("train", "validation", "test")
FEWEST_YEARS = 4
BLOCK_DAYS = 30
FEWEST_BLOCKS = 4
GAP_DAYS = 3
# The splits of consecutive blocks. Every split has blocks in the warm and in the cold half of a year; since
# there are thirteen, they move through the seasons from year to year.
CYCLE = np.array([SPLITS.index({"T": "train", "V": "validation", "E": "test"}[c]) for c in "TVTETTEVTTTET"])

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _ranges(value: Any) -> Any:
    """Return a list of ranges for one range or a list of them; ValueError with the right form else."""
    ranges = [value] if isinstance(value, list | tuple) and value and isinstance(value[0], str) else value
    whole = isinstance(ranges, list | tuple) and all(
        isinstance(one, list | tuple) and len(one) == 2 and all(isinstance(day, str) for day in one)
        for one in ranges
    )
    if not whole or not all(_DATE.fullmatch(day) for one in ranges for day in one):
        raise ValueError('expected a range of dates, ["2001-01-01", "2010-12-31"], or a list of such ranges')
    return tuple(tuple(one) for one in ranges)


Ranges: TypeAlias = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_ranges), Field(min_length=1)]
Parts: TypeAlias = dict[str, list[dict[str, str]]]
SplitBy: TypeAlias = Literal["years", "blocks", "ranges"]


class SplitParams(Section):
    """Ranges of dates ("YYYY-MM-DD", both ends included) of each split; days in none of them are left out."""

    train: Ranges = Field(description="Days for fitting.")
    validation: Ranges = Field(description="Days for early stopping.")
    test: Ranges = Field(description="Days for evaluation only.")

    @model_validator(mode="after")
    def _ranges_are_apart(self) -> "SplitParams":
        ranges = sorted((*span, name) for name in SPLITS for span in getattr(self, name))
        for first, last, name in ranges:
            if first > last:
                raise ValueError(f"{name}: {first} is after {last}")
        for (_, last, name), (first, _, other) in pairwise(ranges):
            if first <= last:
                raise ValueError(f"{first} is in {name} and in {other}; expected ranges that are apart")
        return self


def split(days: Days, domain: str, params: SplitParams | None) -> tuple[Parts, SplitBy]:
    """Split name -> spans of days of `domain`, in the form of the facts, and the method of splitting.

    Default: whole years, 70% for training, then 10% for validation and 20% for testing, where there are four
    or more years; else alternating blocks of 30 days, with gaps of three days between blocks of different
    splits. Raises ConvoyError for a range without a day, and for days too few to be split.
    """
    labels = days.labels
    if params is not None:
        given = {name: _given(labels, domain, name, getattr(params, name)) for name in SPLITS}
        return given, "ranges"
    years, counts = np.unique(days.year, return_counts=True)
    whole = years[2 * counts >= counts.max()]
    split_by: SplitBy = "years" if len(whole) >= FEWEST_YEARS else "blocks"
    belongs = _by_years(days, whole) if split_by == "years" else _by_blocks(days)
    spans = {name: _spans(labels, belongs == SPLITS.index(name), domain) for name in SPLITS}
    return spans, split_by


def _given(labels: list[str], domain: str, name: str, ranges: Ranges) -> list[dict[str, str]]:
    for first, last in ranges:
        if not any(first <= label <= last for label in labels):
            raise ConvoyError(
                f"no day of the data in {first} to {last}; they reach from {labels[0]} to {labels[-1]}",
                key=Param(SPLIT.section, (name,)),
            )
    return [{"domain": domain, "from": first, "to": last} for first, last in ranges]


def _by_years(days: Days, whole: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The split of each day by its year; an incomplete first or last year belongs to its neighbour's."""
    test, validation = max(1, len(whole) // 5), max(1, len(whole) // 10)
    first_test, first_validation = whole[-test], whole[-test - validation]
    return np.where(days.year >= first_test, 2, np.where(days.year >= first_validation, 1, 0))


def _by_blocks(days: Days) -> npt.NDArray[np.int64]:
    """The split of each day by its block; -1 in the gaps between blocks of different splits."""
    blocks = len(days) // BLOCK_DAYS
    if blocks < FEWEST_BLOCKS:
        raise ConvoyError(
            f"{len(days)} days are too few to be split by default",
            key="climate.grids",
            expected=f"{FEWEST_BLOCKS * BLOCK_DAYS} or more, or {SPLIT} with dates",
        )
    # Remaining days are added to the last block.
    block = np.minimum(np.arange(len(days)) // BLOCK_DAYS, blocks - 1)
    belongs = CYCLE[block % len(CYCLE)]
    for number in range(1, blocks):
        first = number * BLOCK_DAYS
        if belongs[first] != CYCLE[(number - 1) % len(CYCLE)]:
            near = days.ordinal <= days.ordinal[first - 1] + GAP_DAYS
            belongs[first:][near[first:]] = -1
    return belongs


def _spans(labels: list[str], chosen: npt.NDArray[np.bool_], domain: str) -> list[dict[str, str]]:
    """Runs of chosen days."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int64), [0]])))
    return [
        {"domain": domain, "from": labels[first], "to": labels[last - 1]}
        for first, last in edges.reshape(-1, 2)
    ]
