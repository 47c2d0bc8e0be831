"""Checks of the days of a domain: unique, none missing except whole seasons, equal on both sides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from convoy.climate.data.headers import StoredDomain, StoredFile, dates_between
from convoy.climate.gate.files import SIDES, Check

SEASON_DAYS = 28
Run = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Times:
    """The days of one side of a domain, file by file as they are stored.

    ordinal (T,): days since 1850-01-01; bounds (T, 2): the same with fractions; left_out: days (YYYY-MM-DD)
    that ingestion recorded as left out, since a variable has no values then.
    """

    calendar: str
    ordinal: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.float64]
    left_out: frozenset[str] = frozenset()

    @staticmethod
    def of(files: list[StoredFile], left_out: Iterable[str] = ()) -> "Times":
        """The days of files that have passed `files.file_checks`."""
        return Times(
            str(files[0].calendar),
            np.concatenate([file.days.ordinal for file in files]),
            np.concatenate([file.time_bounds for file in files]),
            frozenset(left_out),
        )

    @cached_property
    def first(self) -> int:
        return int(self.ordinal.min())

    @cached_property
    def dates(self) -> npt.NDArray[np.int64]:
        """Year, month and day of every day from the first stored to the last, (N, 3)."""
        return dates_between(self.calendar, self.first, int(self.ordinal.max()))

    @cached_property
    def stored(self) -> npt.NDArray[np.int64]:
        """Number of times that each day from the first to the last is stored, (N,)."""
        return np.bincount(self.ordinal - self.first, minlength=len(self.dates))

    @cached_property
    def missing(self) -> list[Run]:
        """Runs of missing days (positions in `dates`, the last included).

        A season may be missing: at least 28 days that no year has, whole months where there is only one year.
        So may whole years, which `years_fault` reports.
        """
        years, dates = self.dates[:, 0], self.dates[:, 1] * 100 + self.dates[:, 2]
        there = self.stored > 0
        lacking = ~there & np.isin(years, years[there])
        if self.left_out:
            lacking &= [self.label(day) not in self.left_out for day in range(len(lacking))]
        elsewhere = np.isin(dates, dates[there])
        for first, last in runs_of(lacking):
            again = min(np.count_nonzero(dates == dates[end]) for end in (first, last)) > 1
            whole_months = self.dates[first, 2] == 1 and self.dates[last + 1, 2] == 1
            if last - first + 1 >= SEASON_DAYS and (again or whole_months):
                lacking[first : last + 1] &= elsewhere[first : last + 1]
        return runs_of(lacking)

    @cached_property
    def expected(self) -> npt.NDArray[np.bool_]:
        """Mask of the days from the first to the last that are expected, (N,)."""
        expected = self.stored > 0
        for first, last in self.missing:
            expected[first : last + 1] = True
        return expected

    @cached_property
    def months(self) -> npt.NDArray[np.int64]:
        """The month of each day from the first to the last, counted from the year 0, (N,)."""
        return self.dates[:, 0] * 12 + self.dates[:, 1] - 1

    @cached_property
    def surplus(self) -> dict[int, int]:
        """Number of stored minus expected days of each month, by `months`; others are left out."""
        counts: dict[int, int] = {}
        for month in np.unique(self.months[self.expected]).tolist():
            of_month = self.months == month
            counts[month] = int(self.stored[of_month].sum() - self.expected[of_month].sum())
        return counts

    def label(self, position: int) -> str:
        """The day at a position in `dates` as YYYY-MM-DD."""
        year, month, day = self.dates[position]
        return f"{year:04d}-{month:02d}-{day:02d}"

    @property
    def span(self) -> str:
        """The first and the last day in words."""
        return f"{self.label(0)} to {self.label(len(self.dates) - 1)}"

    def order_fault(self) -> str | None:
        """The fault of days that are not ascending and unique, or None."""
        twice = np.flatnonzero(self.stored > 1)
        if len(twice):
            more = f" and {len(twice) - 1} more days" if len(twice) > 1 else ""
            return f"{self.label(twice[0])} is stored {self.stored[twice[0]]} times{more}"
        back = np.flatnonzero(np.diff(self.ordinal) <= 0)
        if len(back) == 0:
            return None
        one, other = (self.label(self.ordinal[at] - self.first) for at in (back[0], back[0] + 1))
        return f"{one} is followed by {other}"

    def bounds_fault(self) -> str | None:
        """The fault of bounds that are not the midnights around each day, or None."""
        if len(self.bounds) != len(self.ordinal):
            return f"{len(self.bounds)} bounds for {len(self.ordinal)} days"
        wrong = np.flatnonzero(
            (self.bounds != np.stack([self.ordinal, self.ordinal + 1], axis=1)).any(axis=1)
        )
        if len(wrong) == 0:
            return None
        low, high = self.bounds[wrong[0]] - self.ordinal[wrong[0]]
        day = self.label(self.ordinal[wrong[0]] - self.first)
        return f"{len(wrong)} days, first {day}: {low * 24:g} h to {high * 24:g} h of it"

    def missing_fault(self) -> str | None:
        """The missing days in words, or None."""
        return self.words(self.missing)

    def years_fault(self) -> str | None:
        """The years between the first and the last without any day, in words, or None."""
        years = self.dates[:, 0]
        lacking = sorted(set(years.tolist()) - set(years[self.stored > 0].tolist()))
        return f"{len(lacking)} years, first {lacking[0]}" if lacking else None

    def left_out_fault(self) -> str | None:
        """The days that ingestion left out, in words, or None."""
        chosen = np.array([self.label(day) in self.left_out for day in range(len(self.dates))])
        return self.words(runs_of(chosen))

    def words(self, runs: list[Run]) -> str | None:
        """Runs of days in words, the first three of them by date."""
        if not runs:
            return None
        days = sum(last - first + 1 for first, last in runs)
        shown = [
            self.label(first) + (f" to {self.label(last)}" if last > first else "")
            for first, last in runs[:3]
        ]
        more = ", ..." if len(runs) > 3 else ""
        return f"{days} day{'s' if days > 1 else ''}: {', '.join(shown)}{more}"


def runs_of(chosen: npt.NDArray[np.bool_]) -> list[Run]:
    """First and last position of each run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[False, chosen, False].astype(np.int8)))
    return [(int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]


def times_of(domains: Iterable[StoredDomain], left_out: Iterable[str] = ()) -> dict[tuple[str, str], Times]:
    """The days by domain and side; a domain without truth has no fine days."""
    return {
        (domain.name, side): Times.of(domain.of(side), left_out)
        for domain in domains
        for side in SIDES
        if domain.of(side)
    }


def day_checks(domains: list[StoredDomain], times: Mapping[tuple[str, str], Times]) -> list[Check]:
    """Checks of the days of each domain and side, and of the two sides together."""

    def check(name: str, words: str, found: Iterable[str | None], warns: bool = False) -> Check:
        sides = (f"{domain} ({side})" for domain, side in times)
        return Check.of(name, "time", words, "domain", zip(sides, found, strict=True), warns)

    recorded = [
        check(
            "days_left_out", "Ingestion left out no day between the first and the last",
            (t.left_out_fault() for t in times.values()), warns=True,
        )
    ]  # fmt: skip
    return [
        *(recorded if any(t.left_out for t in times.values()) else []),
        check("time_order", "Days are ascending and unique", (t.order_fault() for t in times.values())),
        check("time_bounds", "Bounds of days are midnights", (t.bounds_fault() for t in times.values())),
        check(
            "days_missing", "No day is missing, except seasons that are missing every year",
            (t.missing_fault() for t in times.values()),
        ),
        check(
            "years_missing", "No whole year is missing", (t.years_fault() for t in times.values()),
            warns=True,
        ),
        Check.of(
            "same_days", "time", "Coarse inputs and fine truth have the same days", "domain",
            ((domain.name, _days_apart(domain.name, times)) for domain in domains),
        ),
    ]  # fmt: skip


def _days_apart(domain: str, times: Mapping[tuple[str, str], Times]) -> str | None:
    if (domain, "fine") not in times:
        return None
    coarse, fine = (times[domain, side] for side in SIDES)
    if coarse.calendar != fine.calendar:
        return f"coarse calendar {coarse.calendar}, fine {fine.calendar}"
    if not np.intersect1d(coarse.ordinal, fine.ordinal).size:
        return f"no common day: coarse {coarse.span}, fine {fine.span}"
    return "; ".join(_alone("coarse", coarse, fine) + _alone("fine", fine, coarse)) or None


def _alone(name: str, these: Times, those: Times) -> list[str]:
    alone = np.setdiff1d(these.ordinal, those.ordinal) - these.first
    if len(alone) == 0:
        return []
    chosen = np.zeros(len(these.dates), bool)
    chosen[alone] = True
    return [f"in {name} alone {these.words(runs_of(chosen))}"]
