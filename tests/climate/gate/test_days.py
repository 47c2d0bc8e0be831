"""Which days may be missing, and what is said of those that may not."""

import numpy as np
import pytest

from convoy.climate.data.domains import Days
from convoy.climate.data.headers import StoredDomain
from convoy.climate.gate.days import Times, day_checks


def day_faults(ordinals, calendar="standard"):
    ordinals = np.asarray(ordinals)
    times = Times(calendar, ordinals, np.stack([ordinals, ordinals + 1], axis=1).astype(float))
    told = {check.rule.name: check.faults["x (coarse)"] for check in day_checks([], {("x", "coarse"): times})
            if check.faults}  # fmt: skip
    return {name: words for name, words in told.items() if words is not None}, times


def chosen(years, first=2001, keep=lambda days: days.month > 0, calendar="standard"):
    days = Days.years(first, years, calendar)
    return days.ordinal[keep(days)]


def test_seasons_and_years_may_be_missing():
    assert day_faults(chosen(3))[0] == {}
    assert day_faults(chosen(3, keep=lambda d: np.isin(d.month, [12, 1, 2])))[0] == {}
    mid = lambda d: np.array([not "04-15" <= label[5:] <= "10-20" for label in d.labels])  # noqa: E731
    assert day_faults(chosen(3, keep=mid))[0] == {}
    assert day_faults(chosen(1, keep=lambda d: d.month != 7))[0] == {}
    absent = day_faults(chosen(5, keep=lambda d: (d.year < 2002) | (d.year > 2004)))[0]
    assert absent == {"years_missing": "3 years, first 2002"}


@pytest.mark.parametrize(
    ("keep", "told"),
    [
        (lambda d: ~np.isin(np.arange(len(d)), [58]), "1 day: 2001-02-28"),
        (lambda d: ~((d.month == 7) & (d.year == 2002)), "31 days: 2002-07-01 to 2002-07-31"),
        # 27 days that no year has are no season yet
        (
            lambda d: np.array([not "07-02" <= label[5:] <= "07-28" for label in d.labels]),
            "81 days: 2001-07-02 to 2001-07-28, 2002-07-02 to 2002-07-28, 2003-07-02 to 2003-07-28",
        ),
        # winters, and a day of one of them
        (
            lambda d: np.isin(d.month, [12, 1, 2]) & ~np.isin(np.arange(len(d)), [365 + 14]),
            "1 day: 2002-01-15",
        ),
        (
            lambda d: ~np.isin(np.arange(len(d)), [1, 3, 5, 7]),
            "4 days: 2001-01-02, 2001-01-04, 2001-01-06, ...",
        ),
    ],
)
def test_missing_days(keep, told):
    found, times = day_faults(chosen(3, keep=keep))
    assert found == {"days_missing": told}
    assert -sum(times.surplus.values()) == int(told.split()[0])


def test_a_single_year_may_lack_whole_months_only():
    found, _ = day_faults(chosen(1, keep=lambda d: ~((d.month == 7) | (d.month == 8) & (d.season < 3.7))))
    assert found["days_missing"].startswith("3")


def test_a_leap_day_that_a_standard_calendar_has():
    assert day_faults(chosen(2, first=2003, calendar="noleap"), "noleap")[0] == {}
    without = chosen(2, first=2003, keep=lambda d: np.array([not s.endswith("02-29") for s in d.labels]))
    assert day_faults(without)[0] == {"days_missing": "1 day: 2004-02-29"}


def test_days_in_the_wrong_order_and_other_bounds():
    days = chosen(1)
    days[[3, 4]] = days[[4, 3]]
    assert day_faults(days)[0] == {"time_order": "2001-01-05 is followed by 2001-01-04"}
    days = chosen(1)
    times = Times("standard", days, np.stack([days - 0.5, days + 0.5], axis=1))
    assert times.bounds_fault() == "365 days, first 2001-01-01: -12 h to 12 h of it"


def test_days_of_one_side_alone():
    def times(ordinals, calendar="standard"):
        return day_faults(ordinals, calendar)[1]

    def told(coarse, fine):
        domain = StoredDomain("x", "x", ())
        checks = day_checks([domain], {("x", "coarse"): coarse, ("x", "fine"): fine})
        return next(check.faults["x"] for check in checks if check.rule.name == "same_days")

    days = chosen(2)
    assert told(times(days), times(days)) is None
    assert told(times(days), times(days[:-1])) == "in coarse alone 1 day: 2002-12-31"
    assert told(times(days[5:]), times(days)) == "in fine alone 5 days: 2001-01-01 to 2001-01-05"
    assert told(times(days), times(days + 800)) == (
        "no common day: coarse 2001-01-01 to 2002-12-31, fine 2003-03-12 to 2005-03-10"
    )
    assert told(times(days), times(days, "noleap")) == "coarse calendar standard, fine noleap"
