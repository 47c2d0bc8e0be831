"""Monthly statistics of the values of a folder of grids, and a comparison of coarse and fine fields."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from convoy.climate.data.domains import Fields
from convoy.climate.data.headers import StoredDomain, StoredFile
from convoy.climate.data.regridding import area_mean, filled_mean
from convoy.climate.data.variables import row_of
from convoy.climate.gate.days import Times

STATISTICS = ("mean", "low", "high", "spread", "change", "missing", "gaps")
DIGITS = 6
MIN_PAIRED_DAYS = 30
LAGS = (-3, -2, -1, 1, 2, 3)
MIN_CELLS = 9


@dataclass(frozen=True)
class Together:
    """A coarse variable compared with the area means of the fine target, over the days that both have.

    error: root mean square of their difference, where the two are one variable; spread: standard deviation
    of the coarse anomalies, which are departures from each cell's mean of the calendar month; correlation: of
    the anomalies; better_lag: the shift in days with the highest correlation, and `better` that correlation;
    pattern: correlation over cells of the means over days, and upside_down: the same with the coarse rows in
    the other order, where the two are one variable.
    """

    error: float | None
    spread: float
    correlation: float | None
    better_lag: int = 0
    better: float | None = None
    pattern: float | None = None
    upside_down: float | None = None


@dataclass
class Summary:
    """Monthly statistics of one domain: "tasmax (fine)" -> statistic -> month (from the year 0) -> value.

    mean, low (the lowest), high, spread (standard deviation over cells and days), change (mean absolute
    difference from day to day), missing (share of all values), gaps (share that is missing on some days of
    the month only). NaN where a month has too few values.
    """

    statistics: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    together: Together | None = None


def label(variable: str, side: str) -> str:
    """A variable of one side in words."""
    return f"{variable} ({side})"


def partner(facts: Mapping[str, Any]) -> str | None:
    """The input that is compared with the target: itself, else one of its standard name, else None."""
    target, inputs = facts["target"], facts["inputs"]
    if target in inputs:
        return target
    kind = row_of(target).standard_name
    return next((name for name in inputs if kind and row_of(name).standard_name == kind), None)


def summarise(
    domain: StoredDomain,
    times: Mapping[tuple[str, str], Times],
    facts: Mapping[str, Any],
    paired: bool = True,
) -> Summary:
    """Read a domain's values, one file and variable at a time, and return their statistics.

    Whole series, (T, h, w), are kept of the coarse partner and of the fine target's area means; unless
    `paired`, for grids that do not overlap, the two are not compared.
    """
    summary = Summary()
    compared = partner(facts) if paired else None
    series: dict[str, list[Fields]] = {"coarse": [], "fine": []}
    means = None
    for side, variables in (("coarse", facts["inputs"]), ("fine", [facts["target"]])):
        files = domain.of(side)
        if side == "fine" and files and compared is not None:
            coarse, fine = (domain.of(name)[0].grid for name in ("coarse", "fine"))
            means = area_mean(fine, coarse)
        for variable in variables:
            months = _Months(times.get((domain.name, side)))
            for file in files:
                values = file.values(variable)
                months.add(file, values)
                if side == "coarse" and variable == compared:
                    series[side].append(values)
                elif means is not None:
                    series[side].append(filled_mean(means, values))
            if files:
                summary.statistics[label(variable, side)] = months.finish()
    if means is not None:
        summary.together = compare(
            np.concatenate(series["coarse"]), np.concatenate(series["fine"]),
            times[domain.name, "coarse"], times[domain.name, "fine"], same=compared == facts["target"],
        )  # fmt: skip
    return summary


class _Months:
    """Statistics of one variable, accumulated file by file."""

    def __init__(self, times: Times | None):
        self.times = times
        self.found: dict[str, dict[int, float]] = {name: {} for name in STATISTICS}
        # Number of days on which each cell is missing: in total and, where there are any, by month.
        self.days = 0
        self.missing: Any = 0
        self.of_month: dict[int, tuple[int, Any]] = {}

    def add(self, file: StoredFile, values: Fields) -> None:
        assert self.times is not None, "there are days wherever there are files"
        months = self.times.months[file.days.ordinal - self.times.first]
        for month in np.unique(months).tolist():
            self._add_month(month, values[months == month])

    def _add_month(self, month: int, values: Fields) -> None:
        lacking = np.isnan(values)
        of_cells = lacking.sum(axis=0) if lacking.any() else 0
        self.days += len(values)
        self.missing = self.missing + of_cells
        self.of_month[month] = (values[0].size * len(values), of_cells)
        for name, value in _statistics(values, lacking).items():
            self.found[name][month] = value

    def finish(self) -> dict[str, dict[int, float]]:
        always = np.equal(self.missing, self.days)
        for month, (size, of_cells) in self.of_month.items():
            self.found["missing"][month] = _rounded(np.sum(of_cells) / size)
            self.found["gaps"][month] = _rounded(np.sum(np.where(always, 0, of_cells)) / size)
        return self.found


def _statistics(values: Fields, lacking: npt.NDArray[np.bool_]) -> dict[str, float]:
    # An infinite value makes other statistics invalid; the bounds on lows and highs report it.
    with np.errstate(invalid="ignore", over="ignore"):
        moves = np.abs(np.diff(values, axis=0))
        there = values[~lacking] if lacking.any() else values
        moves = moves[~np.isnan(moves)]
        nothing = there.size == 0
        low, high = (np.nan, np.nan) if nothing else (float(there.min()), float(there.max()))
        found = {
            "low": low,
            "high": high,
            "mean": np.nan if nothing else there.mean(dtype=np.float64),
            # For equal values the rounding of their mean would make it larger than 0.
            "spread": np.nan if nothing else 0.0 if low == high else there.std(dtype=np.float64),
            "change": moves.mean(dtype=np.float64) if moves.size else np.nan,
        }
    return {name: _rounded(value) for name, value in found.items()}


def _rounded(value: Any) -> float:
    # Libraries sum in different orders on different machines; the first six digits are equal.
    return float(f"{float(value):.{DIGITS}g}")


def compare(coarse: Fields, fine: Fields, coarse_times: Times, fine_times: Times, same: bool) -> Together:
    """Compare coarse fields (T, h, w) with area means of fine ones (T', h, w), day by day.

    Where the days of one side are shifted, another lag than 0 has a higher correlation.
    """
    coarse, coarse_at = _unrepeated(coarse, coarse_times)
    fine, fine_at = _unrepeated(fine, fine_times)
    mine, theirs = (
        _anomalies(values, times.dates[at - times.first, 1])
        for values, times, at in ((coarse, coarse_times, coarse_at), (fine, fine_times, fine_at))
    )
    _, a, b = np.intersect1d(coarse_at, fine_at, return_indices=True)
    difference = coarse[a] - fine[b]
    both = np.isfinite(difference)
    error = None
    if same and both.any():
        error = float(np.sqrt(np.mean(np.square(difference[both], dtype=np.float64))))
        # Values at the rounding error of single precision differ between machines.
        error *= error > np.finfo(np.float32).eps * float(np.abs(coarse[a][both]).max())
    anomalies = mine[a][both]
    spread = float(anomalies.std(dtype=np.float64)) if anomalies.size else 0.0
    here = _correlation(mine[a], theirs[b])
    best_lag, best = 0, here
    for lag in LAGS:
        _, c, d = np.intersect1d(coarse_at + lag, fine_at, return_indices=True)
        found = _correlation(mine[c], theirs[d])
        if found is not None and best is not None and found > best:
            best_lag, best = lag, found
    patterns = _patterns(coarse[a], fine[b]) if same else (None, None)
    return Together(error, spread, here, best_lag, best if best_lag else None, *patterns)


def _patterns(coarse: Fields, fine: Fields) -> tuple[float | None, float | None]:
    """Correlation over cells of the means over days, and the same with the coarse rows reversed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cells without any value
        one, other = (np.asarray(np.nanmean(field, axis=0, dtype=np.float64)) for field in (coarse, fine))
    return _cells_correlation(one, other), _cells_correlation(one[::-1], other)


def _cells_correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float | None:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < MIN_CELLS or min(one[both].std(), other[both].std()) == 0:
        return None
    return float(np.corrcoef(one[both], other[both])[0, 1])


def _unrepeated(values: Fields, times: Times) -> tuple[Fields, npt.NDArray[np.int64]]:
    days, first = np.unique(times.ordinal, return_index=True)
    return values[first], days


def _anomalies(values: Fields, months: npt.NDArray[np.int64]) -> Fields:
    """Anomalies from each cell's mean over all days of the same calendar month; NaN where it is missing."""
    anomalies = np.empty_like(values)
    for month in np.unique(months):
        of_month = values[months == month]
        there = np.isfinite(of_month)
        count = there.sum(axis=0)
        total = np.where(there, of_month, 0).sum(axis=0, dtype=np.float64)
        anomalies[months == month] = of_month - (total / np.maximum(count, 1)).astype(values.dtype)
    return anomalies


def _correlation(one: Fields, other: Fields) -> float | None:
    """Uncentred correlation over all common cells and days; None for fewer than 30 days and for constants."""
    if len(one) < MIN_PAIRED_DAYS:
        return None
    both = np.isfinite(one) & np.isfinite(other)
    a, b = one[both].astype(np.float64), other[both].astype(np.float64)
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else None
