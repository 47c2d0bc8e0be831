"""Applies a stored model to files: from coarse days to fine fields, with warnings about unusual inputs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from convoy.climate.data.conventions import check_mean, check_names, path_of
from convoy.climate.data.domains import Days, Domain, Fields, Grid
from convoy.climate.data.netcdf import time_of
from convoy.climate.data.sides import Side, common_days, side
from convoy.climate.data.variables import ELEVATION, VARIABLES, VariableParams, row_of
from convoy.climate.downscaling.inference.io import Part
from convoy.climate.downscaling.inference.surface import Surface, grid_for, unusual
from convoy.climate.downscaling.models.specs import Downscaling, checked
from convoy.climate.downscaling.models.stored import TASK
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.printable import cut

# Values of one input held at a time: a file whose chunks span all of time is unpacked a few times, not often.
VALUES_A_BLOCK = 1 << 22
# Fine values computed at a time: six of a network's batches of 16 days on 64 x 64 cells.
VALUES_A_SLICE = 96 * 64 * 64
LONGEST_SLICE_DAYS = 96
# A mean over less than a year may be anything that single days are.
_DAYS_OF_A_MEAN = 365


class Application:
    """Downscales the days that all inputs have, in order.

    inputs: see `inputs_side`; surface: see `surface_for`; extend: fields have values also in cells that had
    no truth in training. `days`, `grid`, `variables`: of the output.
    """

    def __init__(self, stored: StoredModel, inputs: Side, surface: Surface, extend: bool = False) -> None:
        """Raise ConvoyError where no day is in all inputs."""
        self._downscaling = Downscaling(stored)
        self._side = inputs.window(surface.rows, surface.columns)
        self._surface = surface
        self._kind, self._source = str(stored.config["kind"]), str(stored.config["source"])
        self.days: Days = common_days([inputs])[0]
        self.grid: Grid = surface.fine
        known = surface.with_truth
        self.variables = variables(stored.config, "" if known is None else _of_mask(known, extend))
        self._masked = None if known is None or extend else ~known
        self._unusual = list(unusual(stored, surface))
        ranges = stored.config["range"]
        self._record = Record(self.days, {name: ranges[name] for name in inputs.parts})
        self._means = {name: _Mean(name, inputs.part_of(name, self.days)) for name in inputs.parts}

    def parts(self, report: Callable[[str, int, int], None]) -> Iterator[Part]:
        """Spans of days and their fields (T, H, W); `report` is called with the number of days done.

        A day on which an input is missing in all cells has no fine field: NaN. Raises ConvoyError at the end
        where this is so on all days.
        """
        length = max(1, VALUES_A_BLOCK // self._side.cells)
        for start in range(0, len(self.days), length):
            for span, fields in self._parts(start, self.days.at(slice(start, start + length))):
                yield span, fields
                report("days", span.stop, len(self.days))
        self._record.refuse_nothing(self._side)

    def _parts(self, start: int, days: Days) -> Iterator[Part]:
        """The spans of a block of days, the first of which is the day `start`."""
        inputs = {name: self._fields(name, days) for name in self._side.parts}
        absent = self._record.note(days, inputs)
        surface = self._surface
        block = Domain(
            self._side.path, surface.place, surface.coarse, surface.fine, days, inputs, None, surface.static,
            surface.coarse_static,
        )  # fmt: skip
        for first in range(0, len(days), length := slice_days(self.grid)):
            chosen = slice(first, min(first + length, len(days)))
            found = self._downscaling(block.at(chosen))
            assert found is not None, "the terrain was chosen for the model"
            fields = {
                name: field for name, field in zip(self.variables, found, strict=False) if field is not None
            }
            for field in fields.values():
                field[absent[chosen]] = np.nan
                if self._masked is not None:
                    field[:, self._masked] = np.nan
            yield slice(start + chosen.start, start + chosen.stop), fields

    def _fields(self, name: str, days: Days) -> Fields:
        """An input on these days, (T, h, w)."""
        fields = np.full((len(days), *self._side.grid.shape), np.nan, np.float32)
        for at, found in self._side.slices(name, days):
            fields[at], _ = row_of(name).without_round_off(found)
        self._means[name].note(fields)
        return fields

    def warnings(self) -> list[str]:
        """Warnings about the days so far, one line each."""
        return [*self._unusual, *self._left_out(), *self._gaps(), *self._record.lines()]

    def remarks(self) -> str:
        """The source of the model's training data and the warnings, for the file's `comment`."""
        source = f"The model was trained on {self._source}"
        return "; ".join([source, *self._interpolated(), *self.warnings()])

    def summary(self) -> str:
        """One line for the log."""
        first, last = self.days.at([0, -1]).labels
        days = f"{len(self.days):,} day{'s' if len(self.days) > 1 else ''}"
        made = f"{', '.join(self.variables)} by {self._kind} on {self.grid}"
        return "; ".join(
            [f"downscaled: {days}, {first} to {last} ({self.days.calendar})", made, *self._interpolated()]
        )

    def _interpolated(self) -> list[str]:
        """A clause for each input that is on another grid than the target."""
        return [
            f"{name} interpolated bilinearly from {grid.shape[0]} x {grid.shape[1]} cells of its own"
            for name, grid in self._side.others.items()
        ]

    def _left_out(self) -> Iterator[str]:
        for name in self._side.parts:
            if left_out := (days := len(self._side.days(name))) - len(self.days):
                yield f"{name}: {_share(left_out, days)} are left out: another input lacks them"

    def _gaps(self) -> Iterator[str]:
        """A line on the days missing between the first and the last one."""
        steps = np.diff(self.days.ordinal)
        places = np.flatnonzero(steps > 1)
        if len(places):
            one, other = self.days.at([places[0], places[0] + 1]).labels
            more = f", the first of {len(places)} gaps" if len(places) > 1 else ""
            yield f"{int((steps - 1).sum()):,} days are missing: {one} is followed by {other}{more}"


class Record:
    """Per input, the days outside the range of the training data, and missing values."""

    def __init__(self, days: Days, ranges: Mapping[str, Sequence[float]]) -> None:
        self._days = days
        self._found = {name: _Found(name, float(low), float(high)) for name, (low, high) in ranges.items()}

    def note(self, days: Days, inputs: Mapping[str, Fields]) -> npt.NDArray[np.bool_]:
        """Record a block of days; return on which of them an input is missing in all cells, (T,)."""
        return np.logical_or.reduce([self._found[name].note(days, field) for name, field in inputs.items()])

    def refuse_nothing(self, side: Side) -> None:
        """Raise ConvoyError where an input is missing in all cells on all days."""
        for found in self._found.values():
            if found.absent_days == len(self._days):
                part = side.part_of(found.name, self._days)
                raise ConvoyError(f"{found.name}: missing in all cells on all days", path=path_of(part))

    def lines(self) -> list[str]:
        """One line for each kind of warning of each input."""
        return [line for found in self._found.values() for line in found.lines(len(self._days))]


class _Found:
    """The record of one input."""

    def __init__(self, name: str, low: float, high: float) -> None:
        self.name, self.low, self.high = name, low, high
        # Converted units and packed numbers have rounding errors.
        self.margin = 1e-4 * (high - low)
        self.outside_days = self.holed_days = self.absent_days = self.missing = self.values = 0
        self.farthest: tuple[float, float, str] = (0.0, 0.0, "")

    def note(self, days: Days, field: Fields) -> npt.NDArray[np.bool_]:
        holes = np.isnan(field).sum(axis=(1, 2))
        absent: npt.NDArray[np.bool_] = holes == field[0].size
        self.values += field.size
        self.missing += int(holes[~absent].sum())
        self.holed_days += int(((holes > 0) & ~absent).sum())
        self.absent_days += int(absent.sum())
        least, greatest = (extreme.reduce(field, axis=(1, 2)) for extreme in (np.fmin, np.fmax))
        beyond = np.nan_to_num(np.maximum(self.low - least, greatest - self.high))
        self.outside_days += int((beyond > self.margin).sum())
        day = int(beyond.argmax())
        if beyond[day] > max(self.farthest[0], self.margin):
            value = least[day] if self.low - least[day] >= beyond[day] else greatest[day]
            self.farthest = float(beyond[day]), float(value), days.at([day]).labels[0]
        return absent

    def lines(self, days: int) -> Iterator[str]:
        if self.outside_days:
            _, value, day = self.farthest
            known = f"{self.low:.6g} to {self.high:.6g} {row_of(self.name).units}".rstrip()
            yield (
                f"{self.name}: {_share(self.outside_days, days)} have values outside the {known} that the "
                f"model was trained on; the farthest is {value:.6g}, on {day}"
            )
        if self.missing:
            yield (
                f"{self.name}: {self.missing / self.values:.2%} of the values are missing, on "
                f"{_share(self.holed_days, days)}; replaced by the nearest cell"
            )
        if self.absent_days:
            yield f"{self.name}: missing in all cells on {_share(self.absent_days, days)}: no fine fields"


class _Mean:
    """The mean of one input over the first year of days, which is checked for wrong units."""

    def __init__(self, name: str, part: xr.Dataset) -> None:
        self.name, self.part = name, part
        self.days = self.values = 0
        self.sum = 0.0

    def note(self, fields: Fields) -> None:
        if self.days >= _DAYS_OF_A_MEAN:
            return
        known = ~np.isnan(fields)
        self.days += int(known.any(axis=(1, 2)).sum())
        self.values += int(known.sum())
        self.sum += float(fields.sum(dtype=np.float64, where=known))
        if self.days >= _DAYS_OF_A_MEAN:
            check_mean(self.part, self.name, self.sum / self.values)


def settings(names: Mapping[str, str], units: Mapping[str, str]) -> dict[str, VariableParams]:
    """By our names, the name and units of a variable in files, where they differ from the convention."""
    return {name: VariableParams(name=names.get(name), units=units.get(name)) for name in {**names, **units}}


def inputs_side(
    files: Sequence[xr.Dataset], stored: StoredModel, given: Mapping[str, VariableParams]
) -> Side:
    """The model's inputs in these files, whose variables and years may be in any order.

    given: see `settings`. Raises ConvoyError for an invalid downscaling model, a name that it does not need,
    a file without days, an input that is not there, and all that `sides.side` refuses. Inputs on several
    grids are brought to one: see `surface.grid_for`.
    """
    kind, inputs = stored.config.get("kind"), stored.config.get("inputs")
    if stored.config.get("task") != TASK or not inputs:
        raise ConvoyError(
            f"a model '{cut(str(kind), 40)}' downscales nothing",
            path=stored.name,
            hint="name one of climate's, such as data/climate/models/residual or "
            "models:/climate-downscaling@champion",
        )
    checked(stored)
    for name in given:
        if name not in (*inputs, *VARIABLES):  # another model may need what this one leaves aside
            raise ConvoyError(f"no input '{name}' to name: the model needs {', '.join(inputs)}")
    for raw in files:
        for time in (time_of(raw, str(name)) for name in raw.variables):
            if time is not None and raw.sizes[time[0]] == 0:
                raise ConvoyError(f"no days in it: '{time[0]}' has length 0", path=path_of(raw))
    of_inputs = {name: value for name, value in given.items() if name != ELEVATION}
    check_names(files, of_inputs)
    units = stored.config.get("units", {})
    return side("input", files, of_inputs, inputs, inputs, units, lambda grids: grid_for(stored, grids))


def attributes(
    files: Sequence[xr.Dataset], stored: StoredModel, version: str, model_sha256: str
) -> dict[str, str]:
    """The output's own attributes (CF-1.11, 2.6.2): no dates, so that the same input gives the same bytes.

    Equal attributes of the files are written once, and of their histories the first, as NCO's ncrcat does.
    version: of convoy; model_sha256: of the model folder's manifest.
    """
    names = [PurePath(path_of(raw)).name for raw in files]
    all_of_them = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
    made = f"convoy {version} downscale, model {stored.config['kind']}, sha256 {model_sha256[:16]}"
    what = row_of(stored.config["target"]).long_name

    def stated(name: str) -> list[str]:
        return list(dict.fromkeys(str(raw.attrs[name]) for raw in files if raw.attrs.get(name)))

    found = {
        "title": f"{what}, downscaled from {all_of_them}",
        "institution": "; ".join(stated("institution")) or f"not stated in {all_of_them}",
        "source": f"{made}; input: {'; '.join(stated('source')) or all_of_them}",
        "history": "\n".join([f"{made}: {', '.join(names)}", *stated("history")[:1]]),
    }
    return found | ({"references": "; ".join(references)} if (references := stated("references")) else {})


def is_downscaled(raw: xr.Dataset) -> bool:
    """Whether a file was made by `convoy downscale`: by its `source`, as `attributes` has it."""
    return re.match(r"convoy \S+ downscale, ", str(raw.attrs.get("source", ""))) is not None


def slice_days(fine: Grid) -> int:
    """Number of days that are computed at a time: about 90, fewer on large grids."""
    return min(LONGEST_SLICE_DAYS, max(1, VALUES_A_SLICE // (len(fine.lat) * len(fine.lon))))


def variables(config: Mapping[str, Any], comment: str = "") -> dict[str, dict[str, str]]:
    """CF attributes of a model's output: its target and, where it has one, the standard deviation.

    comment: an attribute of both, where it is not empty.
    """
    target = config["target"]
    own = row_of(target).attributes
    kelvin = own["units"] == "K"
    found = {target: {**own, **({"units_metadata": "temperature: on_scale"} if kelvin else {})}}
    if config.get("network", {}).get("spread") == "normal":
        found[target]["ancillary_variables"] = f"{target}_sd"
        found[f"{target}_sd"] = {
            **own,
            "standard_name": f"{own['standard_name']} standard_error",
            "long_name": f"Standard deviation of: {own['long_name']}",
            **({"units_metadata": "temperature: difference"} if kelvin else {}),
        }
    return {name: {**of_one, "comment": comment} for name, of_one in found.items()} if comment else found


def _of_mask(with_truth: npt.NDArray[np.bool_], extend: bool) -> str:
    cells = f"{(~with_truth).sum():,} of {with_truth.size:,} cells without a truth in training"
    return f"computed also in the {cells}" if extend else f"missing in the {cells}"


def _share(days: int, of: int) -> str:
    return f"{days:,} of {of:,} days ({days / of:.1%})"
