"""A served downscaling model: from a row of coarse fields per day to the fine field of that day."""

import contextlib
import re
from functools import cached_property
from typing import Any

import cftime
import numpy as np
import numpy.typing as npt
import pandas as pd

from convoy.climate.data.domains import EPOCH, Days, Domain, Fields
from convoy.climate.data.packing import undeclared_fill
from convoy.climate.data.variables import row_of
from convoy.climate.downscaling.models.specs import Downscaling, checked
from convoy.climate.downscaling.models.surfaces import cells_with_truth, home
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.tasks import Column

DATE = "date"
SPREAD = "_sd"  # after the target's name: the column of its standard deviation
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_PROBED = "2001-07-01"


class FieldsModel:
    """Predicts days on the grid and terrain that the model was fitted on."""

    def __init__(self, stored: StoredModel) -> None:
        """Raise ConvoyError for an invalid model."""
        self._stored = checked(stored)
        self._coarse, self._fine, self._coarse_static, self._static = home(stored)
        self.target: str = stored.config["target"]
        known = cells_with_truth(stored)
        self._masked = np.zeros(self._fine.shape, bool) if known is None else ~known
        self.inputs: list[str] = list(stored.config["inputs"])

    def columns(self) -> tuple[Column, ...]:
        """The columns of the input: a date, and a list of numbers per variable."""
        return (Column(DATE, "text"), *(Column(name, "numbers") for name in self.inputs))

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """The date and the fine field of each row, and its standard deviation where the model has one.

        `model_input` has a column `date` (YYYY-MM-DD) and one per input variable; each of its values is the
        coarse field of the day as one list, row by row from south to north, each from west to east, in SI
        units, None where a value is missing. Fine fields are given likewise; None for a day on which an input
        is missing in all cells, and for cells without a truth in training. Raises ConvoyError for other
        columns, lengths and dates, and for values that `convoy downscale` refuses.
        """
        if not isinstance(model_input, pd.DataFrame):
            raise ConvoyError(f"input: expected a table, found {type(model_input).__name__}")
        names = [str(name) for name in model_input.columns]
        expected = [DATE, *self.inputs]
        if sorted(names) != sorted(expected):
            raise ConvoyError(f"input: expected the columns {', '.join(expected)}, found {', '.join(names)}")
        days = self._days(model_input[DATE].tolist())
        fields = {name: self._fields(name, model_input[name].tolist()) for name in self.inputs}
        absent = np.logical_or.reduce([np.isnan(field).all(axis=(1, 2)) for field in fields.values()])
        answer: dict[str, list[Any]] = {DATE: days.labels}
        found = self._found(days, fields)
        for name, field in zip((self.target, f"{self.target}{SPREAD}"), found, strict=True):
            if field is not None:
                field[:, self._masked] = np.nan
                answer[name] = [
                    None if no else _with_nulls(day) for day, no in zip(field, absent, strict=True)
                ]
        return pd.DataFrame(answer, index=model_input.index)

    @cached_property
    def _downscaling(self) -> Downscaling:
        return Downscaling(self._stored)

    def trainings(self) -> list[Downscaling]:
        """Every training of the model, for any domain; the first is the one that is served."""
        return [Downscaling(self._stored, seed) for seed in self._stored.seeds]

    def fault(self) -> str | None:
        """Description of a fault in its prediction for uniform fields in the middle of its range, or None."""
        cells = int(np.prod(self._coarse.shape))
        ranges = self._stored.config["range"]
        row = {name: [np.full(cells, np.mean(ranges[name]))] for name in self.inputs}
        field = self.predict(pd.DataFrame({DATE: [_PROBED], **row}))[self.target][0]
        return "its stored model predicts no finite value" if not np.isfinite(field).any() else None

    def _found(self, days: Days, fields: dict[str, Fields]) -> tuple[Fields, Fields | None]:
        if len(days) == 0:
            none = np.empty((0, *self._fine.shape), np.float32)
            spread = self._stored.config.get("network", {}).get("spread", "none")
            return none, None if spread == "none" else none
        # A model bound to one place, a baseline's or a network's with per-pixel effects, is served on that
        # one.
        place = self._stored.config["place"] or "input"
        domain = Domain(
            "input", place, self._coarse, self._fine, days, fields, None, self._static, self._coarse_static
        )
        found = self._downscaling(domain)
        assert found is not None
        return found

    def _days(self, dates: list[Any]) -> Days:
        # Older model folders have no calendar.
        calendar = self._stored.config.get("calendar", "standard")
        ordinals = [_ordinal(date, row, calendar) for row, date in enumerate(dates, 1)]
        return Days(calendar, np.array(ordinals, np.int64))

    def _fields(self, name: str, values: list[Any]) -> Fields:
        """(T, h, w)."""
        height, width = self._coarse.shape
        fields = np.empty((len(values), height * width))
        for row, value in enumerate(values, 1):
            numbers = _numbers(value)
            if numbers is None or numbers.shape != (height * width,):
                found = "no list of numbers" if numbers is None else f"an array of shape {numbers.shape}"
                raise ConvoyError(
                    f"{name}, row {row}: expected {height * width} numbers, {height} rows from south to "
                    f"north of {width} from west to east; found {found}"
                )
            fields[row - 1] = numbers
        self._refuse_impossible(name, fields.reshape(-1, height, width))
        return row_of(name).without_round_off(fields.reshape(-1, height, width).astype(np.float32))[0]

    def _refuse_impossible(self, name: str, fields: npt.NDArray[np.float64]) -> None:
        """Raise ConvoyError for values that are refused in a file as well."""
        row, units = row_of(name), self._stored.config.get("units", {}).get(name, "")
        wrong = undeclared_fill(fields, {}) | row.impossible(fields)
        if not wrong.any():
            return
        day, lat, lon = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        value = fields[day, lat, lon]
        place = f"lat {self._coarse.lat.centres[lat]:.6g}, lon {self._coarse.lon.centres[lon]:.6g}"
        raise ConvoyError(
            f"{name}, row {day + 1}: is {value:.7g} at {place} (the first of {int(wrong.sum()):,})",
            expected=f"{row.values[0]:g} to {row.values[1]:g} {row.units or units}".rstrip(),
            hint="a missing value is null",
        )


def _with_nulls(field: Fields) -> Any:
    """The cells of a field row by row, a list with None for missing ones, which JSON has no number for."""
    cells = field.ravel().astype(np.float32)
    return [None if np.isnan(cell) else cell for cell in cells] if np.isnan(cells).any() else cells


def _numbers(value: Any) -> npt.NDArray[np.float64] | None:
    """The numbers of a list or array, None in it as NaN; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value.astype(np.float64)
    if not isinstance(value, list | tuple | np.ndarray) or not all(map(_is_number, value)):
        return None
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in value])
    except OverflowError:
        return None


def _is_number(cell: Any) -> bool:
    numeric = isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool)
    return cell is None or numeric


def _ordinal(date: Any, row: int, calendar: str) -> int:
    """Days since 1850-01-01."""
    parts = _DAY.fullmatch(date) if isinstance(date, str) else None
    if parts is not None:
        with contextlib.suppress(ValueError):  # there is no such day
            day = cftime.datetime(*map(int, parts.groups()), calendar=calendar)
            return int(cftime.date2num(day, EPOCH, calendar))
    raise ConvoyError(
        f"{DATE}, row {row}: expected a day as YYYY-MM-DD in the calendar {calendar}, found {repr(date)[:40]}"
    )
