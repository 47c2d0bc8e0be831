"""Stations to site-years: whole years of 365 days, short gaps interpolated."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from convoy.climate.data.domains import Days
from convoy.climate.series.data.site_years import DAYS, SPLITS, SiteYears, split_of, texts
from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.core.printable import cut

Integers: TypeAlias = npt.NDArray[np.int64]

CALENDARS = ("standard", "proleptic_gregorian", "noleap")
_SHORT_LONG = {"360_day": "years of 360 days", "all_leap": "years of 366 days"}


class SplitParams(Section):
    """Shares of the sites, drawn by a hash of the site's name."""

    validation: float = Field(0.15, ge=0, le=0.9)
    test: float = Field(0.15, ge=0, le=0.9)


@dataclass(frozen=True, eq=False)
class Station:
    """Daily values at one site: ascending days, and per variable (T,) in SI units with NaN for gaps."""

    site: str
    latitude: float
    days: Days
    values: Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Label:
    """The label of a site, and its split where the label file states one."""

    name: str
    split: str | None = None


def site_years(
    stations: Iterable[Station], labels: Mapping[str, Label], variables: Sequence[str], max_missing: float,
    split: SplitParams, where: str, label_file: str = "",
) -> tuple[SiteYears, dict[str, int]]:  # fmt: skip
    """Every year of every station with at most `max_missing` of its days missing, and counts.

    A day is missing where a value of any variable is; its values are interpolated linearly in time, each
    variable on its own, within the year. Counted: years left out, site-years and days interpolated. `where`
    and `label_file`: the files, for messages. Raises ConvoyError for a site without a label, and where
    nothing remains.
    """
    counts: Counter[str] = Counter(years_left_out=0, site_years_with_gaps=0, days_interpolated=0)
    rows = []
    for station in stations:
        if station.site not in labels:
            raise ConvoyError(
                f"site '{cut(station.site, 60)}' has no label", path=label_file or where,
                hint="add it to the label file",
            )  # fmt: skip
        for year, values in _years(station, variables, where):
            missing = np.isnan(values).any(axis=0)
            gaps = int(missing.sum())
            if gaps > max_missing * DAYS or np.isnan(values).all(axis=1).any():
                counts["years_left_out"] += 1
                continue
            counts["site_years_with_gaps"] += gaps > 0
            counts["days_interpolated"] += gaps
            rows.append((station, year, gaps, _filled(values).astype(np.float32)))
    if not rows:
        raise ConvoyError(
            f"no year in which at most {max_missing:.0%} of {DAYS} days miss a value of "
            f"{', '.join(variables)} ({counts['years_left_out']} years left out)", path=where,
        )  # fmt: skip
    found = [labels[station.site] for station, *_ in rows]
    sites = [station.site for station, *_ in rows]
    return SiteYears(
        variables=tuple(variables), categories=tuple(sorted({label.name for label in found})),
        values=np.stack([values for *_, values in rows]),
        site=texts(sites), year=np.array([year for _, year, *_ in rows], np.int64),
        label=texts(label.name for label in found),
        split=texts(
            label.split or split_of(site, split.validation, split.test)
            for site, label in zip(sites, found, strict=True)
        ),
        latitude=np.array([station.latitude for station, *_ in rows]),
        interpolated=np.array([gaps for _, _, gaps, _ in rows], np.int64),
    ), dict(counts)  # fmt: skip


def check_latitudes(degrees: npt.NDArray[np.float64], where: str) -> None:
    """Raise ConvoyError for a latitude beyond a pole; NaN: not known."""
    wrong = degrees[np.abs(degrees) > 90]
    if len(wrong):
        raise ConvoyError(
            path=where, key="latitude", expected="degrees from -90 to 90", found=f"{wrong[0]:g}"
        )


def check_split(name: str, where: str) -> str | None:
    """A split that a label file states, or None where it states none; ConvoyError for another word."""
    if name and name not in SPLITS:
        raise ConvoyError(
            path=where, key="column 'split'", expected=f"one of {', '.join(SPLITS)}, or empty", found=name
        )
    return name or None


def _years(
    station: Station, variables: Sequence[str], where: str
) -> Iterable[tuple[int, npt.NDArray[np.float64]]]:
    """Each calendar year with a day in it, and its values (V, 365), NaN where there are none."""
    days = station.days
    if days.calendar not in CALENDARS:
        has = _SHORT_LONG.get(days.calendar, "another calendar")
        raise ConvoyError(
            f"its calendar '{days.calendar}' has {has}", path=where, expected="years of 365 or 366 days",
            hint="convert it (`cdo setcalendar`, `xarray.Dataset.convert_calendar`)",
        )  # fmt: skip
    table = np.stack([station.values[name] for name in variables])
    years, month, day = _year_month_day(days)
    place = _FIRST_OF_MONTH[month - 1] + day - 1
    ordinary = (month != 2) | (day != 29)
    for year in np.unique(years[ordinary]).tolist():
        chosen = np.flatnonzero(ordinary & (years == year))
        values = np.full((len(variables), DAYS), np.nan)
        values[:, place[chosen]] = table[:, chosen]
        yield year, values


def _year_month_day(days: Days) -> tuple[Integers, Integers, Integers]:
    """Year, month and day of the month of each day, (T,) each."""
    if days.calendar == "noleap" or days.ordinal.min(initial=0) < _GREGORIAN_FROM:
        return days.year, days.month, np.array([date.day for date in days.dates], np.int64)
    # Without an object for each day, which would take more memory than its values.
    date = _EPOCH + days.ordinal
    month = date.astype("datetime64[M]")
    years = date.astype("datetime64[Y]").astype(np.int64) + 1970
    return years, month.astype(np.int64) % 12 + 1, (date - month).astype(np.int64) + 1


_EPOCH = np.datetime64("1850-01-01", "D")
_GREGORIAN_FROM = int((np.datetime64("1582-10-15", "D") - _EPOCH).astype(np.int64))
_FIRST_OF_MONTH = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30])


def _filled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values (V, 365) with gaps filled on straight lines, at the ends of the year by the nearest value."""
    day = np.arange(DAYS)
    known = ~np.isnan(values)
    return np.stack([np.interp(day, day[of], line[of]) for of, line in zip(known, values, strict=True)])
