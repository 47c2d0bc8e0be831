"""From stations to site-years: calendars, gaps, labels and splits."""

from collections import Counter

import numpy as np
import pytest

from convoy.climate.data.domains import Days
from convoy.climate.series.data.site_years import split_of
from convoy.climate.series.sources.stations import Label, SplitParams, Station, check_split, site_years
from convoy.core.errors import ConvoyError

LABELS = {"a": Label("coast"), "b": Label("valley", "test")}


def station(site="a", first=2001, years=1, calendar="standard"):
    days = Days.years(first, years, calendar)
    return Station(site, 50.0, days, {"tas": np.arange(len(days), dtype=float), "psl": np.ones(len(days))})


def of(*stations, max_missing=0.1, variables=("tas", "psl")):
    return site_years(stations, LABELS, variables, max_missing, SplitParams(), "x.csv")


def test_leap_days_are_left_out():
    held, counts = of(station(first=2003, years=2))
    assert held.year.tolist() == [2003, 2004]
    tas = held.values[1, 0]
    # 28 February is day 59 of 2004, 1 March day 61.
    np.testing.assert_array_equal(np.diff(tas), np.where(np.arange(364) == 58, 2, 1))
    assert held.values.shape == (2, 2, 365)
    assert counts == {"years_left_out": 0, "site_years_with_gaps": 0, "days_interpolated": 0}


@pytest.mark.parametrize("first", [1581, 1849, 1899, 1999])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "proleptic_gregorian"])
def test_each_day_has_its_place_in_the_year(first, calendar):
    days = Days.years(first, 3, calendar)
    held, _ = of(Station("a", 50.0, days, {"tas": days.ordinal.astype(float), "psl": np.ones(len(days))}))
    assert held.year.tolist() == [first, first + 1, first + 2]
    pairs = zip(days.dates, days.ordinal.tolist(), strict=True)
    ordinal = {(date.year, date.month, date.day): number for date, number in pairs}
    for row, year in enumerate(held.year.tolist()):
        for month, day, place in ((1, 1, 0), (2, 28, 58), (3, 1, 59), (12, 31, 364)):
            assert held.values[row, 0, place] == ordinal[year, month, day]


@pytest.mark.parametrize(("gaps", "kept"), [(36, True), (37, False)])
def test_at_most_a_tenth_of_the_days_may_be_missing(gaps, kept):
    whole = station(years=2)
    tas = whole.values["tas"].copy()
    tas[10 : 10 + gaps] = np.nan
    held, counts = of(Station("a", 50.0, whole.days, {**whole.values, "tas": tas}))
    assert held.year.tolist() == ([2001, 2002] if kept else [2002])
    assert counts["years_left_out"] == (0 if kept else 1)
    assert counts["days_interpolated"] == (gaps if kept else 0)
    if kept:  # on a straight line, which the values were on
        np.testing.assert_allclose(held.values[0, 0], np.arange(365))
        assert held.interpolated.tolist() == [36, 0]


def test_days_that_a_file_lacks_are_missing_and_ends_take_the_nearest_value():
    whole = station()
    days = np.r_[5:100, 110:365]
    cut = Station("a", 50.0, whole.days.at(days), {name: v[days] for name, v in whole.values.items()})
    held, counts = of(cut)
    np.testing.assert_allclose(held.values[0, 0], [*[5] * 5, *range(5, 365)])
    assert counts["days_interpolated"] == 15


def test_a_variable_that_is_missing_all_year_leaves_the_year_out():
    whole = station()
    empty = Station("a", 50.0, whole.days, {**whole.values, "psl": np.full(365, np.nan)})
    with pytest.raises(ConvoyError, match=r"no year in which at most 100% of 365 days miss"):
        of(empty, max_missing=1.0)


def test_labels_and_splits():
    held, _ = of(station("a"), station("b"))
    assert held.categories == ("coast", "valley")
    assert held.label.tolist() == ["coast", "valley"]
    assert held.labels.tolist() == [0, 1]
    assert held.split.tolist() == [split_of("a", 0.15, 0.15), "test"]
    assert held.item_ids == ["a 2001", "b 2001"]


def test_a_site_without_a_label_is_refused():
    with pytest.raises(ConvoyError, match=r"x.csv: site 'c' has no label; add it to the label file"):
        of(station("c"))


def test_calendars():
    held, _ = of(station(first=2004, calendar="noleap"))
    np.testing.assert_allclose(held.values[0, 0], np.arange(365))
    with pytest.raises(ConvoyError, match="'360_day' has years of 360 days; expected years of 365 or 366"):
        of(station(calendar="360_day"))


def test_shares_of_sites_are_those_of_the_params_and_a_site_stays():
    splits = Counter(split_of(f"site {number}", 0.2, 0.1) for number in range(5000))
    assert splits["validation"] / 5000 == pytest.approx(0.2, abs=0.02)
    assert splits["test"] / 5000 == pytest.approx(0.1, abs=0.02)
    in_test = {f"site {n}" for n in range(500) if split_of(f"site {n}", 0.2, 0.1) == "test"}
    assert in_test <= {f"site {n}" for n in range(500) if split_of(f"site {n}", 0.0, 0.2) == "test"}


def test_an_unknown_split_is_refused():
    assert check_split("", "x.csv") is None
    with pytest.raises(ConvoyError, match="expected one of train, validation, test, or empty; found dev"):
        check_split("dev", "x.csv")
