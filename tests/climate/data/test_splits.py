"""Which days are for what: whole years, or blocks of 30 days through the seasons, or what the user says."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from convoy.climate.data.domains import Days
from convoy.climate.data.splits import SplitParams, split
from convoy.core import params
from convoy.core.errors import ConvoyError

ALL = ("train", "validation", "test")


def members(days, parts):
    """The split of each day by the spans, -1 for none; no day may be in two."""
    belongs = np.full(len(days), -1)
    for number, name in enumerate(ALL):
        for part in parts[name]:
            assert part["domain"] == "home"
            chosen = days.between(part["from"], part["to"])
            assert chosen.any()
            assert (belongs[chosen] == -1).all()
            belongs[chosen] = number
    return belongs


@pytest.mark.parametrize(
    ("count", "train", "validation", "test"), [(4, 2, 1, 1), (9, 7, 1, 1), (10, 7, 1, 2), (30, 21, 3, 6)]
)
def test_four_years_or_more_are_split_by_years_in_order(count, train, validation, test):
    days = Days.years(1991, count, "standard")
    parts, split_by = split(days, "home", None)
    assert split_by == "years"
    ends = 1991 + np.cumsum([train, validation, test])
    spans = [(parts[name][0]["from"], parts[name][0]["to"]) for name in ALL]
    assert [len(parts[name]) for name in ALL] == [1, 1, 1]
    assert spans == [
        (f"{first}-01-01", f"{last - 1}-12-31") for first, last in zip([1991, *ends[:-1]], ends, strict=True)
    ]


def test_what_is_left_of_a_year_goes_with_its_neighbour():
    """From December 2000 to January 2005 there are four whole years, and a month at either end."""
    whole = Days.years(2000, 6)
    days = whole.at(whole.between("2000-12-01", "2005-01-31"))
    parts, split_by = split(days, "home", None)
    assert split_by == "years"
    assert [(parts[name][0]["from"], parts[name][0]["to"]) for name in ALL] == [
        ("2000-12-01", "2002-12-31"), ("2003-01-01", "2003-12-31"), ("2004-01-01", "2005-01-31"),
    ]  # fmt: skip


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "standard"])
@pytest.mark.parametrize("years", [1, 2, 3])
def test_fewer_years_are_split_in_blocks_of_30_days_with_gaps(years, calendar):
    days = Days.years(2095, years, calendar)
    parts, split_by = split(days, "home", None)
    assert split_by == "blocks"
    belongs = members(days, parts)
    shares = Counter(belongs.tolist())
    assert 0.5 < shares[0] / len(days) < 0.7
    assert 0.1 < shares[1] / len(days) < 0.2
    assert 0.15 < shares[2] / len(days) < 0.26
    summer = (days.month > 3) & (days.month < 10)
    for number in range(3):
        assert 0.19 < summer[belongs == number].mean() < 0.81
    # Between days of different splits lie three that belong to none, and nowhere else.
    for at in np.flatnonzero(belongs == -1):
        inside = [other for other in range(at - 3, at + 4) if 0 <= other < len(days) and belongs[other] != -1]
        assert len({int(belongs[other]) for other in inside}) == 2
    known = np.flatnonzero(belongs != -1)
    for one, other in pairwise(known):
        apart = days.ordinal[other] - days.ordinal[one]
        assert apart == (1 if belongs[one] == belongs[other] else 4)
    # No run is shorter than a block less its gap.
    edges = np.flatnonzero(np.diff(belongs)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [len(days)]]))
    assert set(lengths[lengths < 27]) <= {3}


def test_a_gap_between_winters_is_gap_enough():
    whole = Days.years(2001, 3)
    days = whole.at(whole.month <= 2)  # 59 days a year
    parts, _ = split(days, "home", None)
    belongs = members(days, parts)
    # The first block ends with January, the second begins with it less three days.
    assert (belongs == -1).sum() < 6 * 3
    first_of_winter = np.flatnonzero(np.diff(days.ordinal) > 3) + 1
    assert (belongs[first_of_winter] != -1).all()
    assert {0, 1, 2} <= set(belongs.tolist())


def test_too_few_days_are_refused():
    days = Days.years(2001, 1).at(slice(0, 119))
    with pytest.raises(
        ConvoyError, match="119 days are too few to be split by default; expected 120 or more"
    ):
        split(days, "home", None)
    enough = Days.years(2001, 1).at(slice(0, 120))
    assert set(members(enough, split(enough, "home", None)[0])) == {-1, 0, 1, 2}


def given(**ranges):
    return params.parse(ranges, SplitParams, where="split")


RANGES = {
    "train": [["2001-01-01", "2001-12-31"], ["2003-01-01", "2003-06-30"]],
    "validation": [["2002-01-01", "2002-12-31"]],
    "test": [["2003-07-01", "2003-12-31"]],
}


def test_ranges_of_dates_are_taken_as_they_are():
    parts, split_by = split(Days.years(2001, 3), "home", given(**RANGES))
    assert split_by == "ranges"
    assert parts["train"] == [
        {"domain": "home", "from": "2001-01-01", "to": "2001-12-31"},
        {"domain": "home", "from": "2003-01-01", "to": "2003-06-30"},
    ]
    assert parts["test"] == [{"domain": "home", "from": "2003-07-01", "to": "2003-12-31"}]
    # A date that only this calendar has.
    february = {**RANGES, "validation": [["2002-02-01", "2002-02-30"]]}
    days = Days.years(2001, 3, "360_day")
    parts, _ = split(days, "home", given(**february))
    assert days.between(parts["validation"][0]["from"], "2002-02-30").sum() == 30


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"test": [["2003-12-31", "2003-07-01"]]}, "test: 2003-12-31 is after 2003-07-01"),
        ({"test": [["2003-06-30", "2003-12-31"]]}, "2003-06-30 is in train and in test"),
        ({"test": []}, "key 'test'"),
        ({"test": [["2003", "2004"]]}, r"key 'test': expected a range of dates, \["),
        ({"test": "2003-07-01"}, r"key 'test': expected a range of dates, \["),
        ({"test": ["2003-07-01"]}, r"key 'test': expected a range of dates, \["),
        ({"test": ["2003-07-01", "2003-08-01", "2003-09-01"]}, r"key 'test': expected a range of dates, \["),
        ({"unseen": [["2003-06-30", "2003-12-31"]]}, "unknown key 'unseen'"),
    ],
)
def test_impossible_ranges_are_refused(changes, expected):
    with pytest.raises(ConvoyError, match=expected):
        given(**{**RANGES, **changes})


def test_one_range_is_a_list_of_one():
    assert given(**{**RANGES, "test": ["2003-07-01", "2003-12-31"]}) == given(**RANGES)


def test_a_range_without_a_day_is_refused():
    ranges = {**RANGES, "test": [["2010-01-01", "2011-12-31"]]}
    with pytest.raises(ConvoyError) as caught:
        split(Days.years(2001, 3), "home", given(**ranges))
    assert str(caught.value) == (
        "climate.grids.split.test: no day of the data in 2010-01-01 to 2011-12-31; they reach from "
        "2001-01-01 to 2003-12-31"
    )
