"""The gate of the site-years: possible values, plausible years, labels, and no site in two splits."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from convoy.climate.data.variables import VARIABLES
from convoy.climate.series.data.site_years import DAYS, SPLITS, TRAIN, SiteYears
from convoy.core.params import Section
from convoy.quality.docs import render
from convoy.quality.expectations import Part, Rule, validate
from convoy.quality.verdict import Verdict

TITLE = "Gate of the site-years"
REMEDY = "correct the source files, or their description in climate.series.data"

# Yearly means beyond which no place on Earth is (Dome A: 215 K; Dallol: 308 K; sea level pressure at the
# Aleutian and Icelandic lows: 995 hPa, in the Siberian high: 1025 hPa), with a margin.
_YEARLY: Mapping[str, tuple[float, float]] = {
    "tas": (210, 310), "tasmax": (213, 317), "tasmin": (207, 306), "psl": (98_000, 103_500),
    "huss": (2e-5, 0.022), "sfcWind": (0.05, 20),
}  # fmt: skip
_ORDERED = (("tasmin", "tas"), ("tas", "tasmax"), ("tasmin", "tasmax"))
_TOLERANCE_K = 0.1  # rounding to tenths of a degree
# The season of a year is checked where it is clear: outside the tropics, with a cycle of at least 3 K.
_TROPICS, _LEAST_CYCLE_K = 30.0, 3.0
_WARMEST = 200  # day of the year, 19 July; half a year later in the south


class GateParams(Section):
    """Section `climate.series.gate`."""

    max_interpolated: float = Field(0.1, ge=0, le=1, description="share of a year's days with a gap")
    max_constant_days: int = Field(
        15, ge=2, le=365, description="days in a row on which a sensor may give one value"
    )
    max_disordered: float = Field(
        0.02, ge=0, le=1, description="share of days without tasmin <= tas <= tasmax"
    )
    max_season_shift: int = Field(75, ge=1, le=182, description="days from the hemisphere's warmest day")


def judge(held: SiteYears, params: GateParams) -> tuple[Verdict, str]:
    """Return the verdict on site-years, and the Data Docs as an HTML page."""
    parts = [part for part in _parts(held, params) if part.rules]
    answers = validate(parts)
    findings = [(answer.rule.warns, answer.finding) for answer in answers if answer.finding is not None]
    verdict = Verdict(
        subject="the site-years",
        items=len(held),
        expectations=len(answers),
        failures=tuple(finding for warns, finding in findings if not warns),
        warnings=tuple(finding for warns, finding in findings if warns),
        facts={
            "splits": {split: int((held.split == split).sum()) for split in SPLITS},
            "sites": len(set(held.site)),
            "labels": {name: int((held.label == name).sum()) for name in held.categories},
        },
        unit="site-years",
    )
    return verdict, render(TITLE, verdict, answers)


def _parts(held: SiteYears, params: GateParams) -> Iterator[Part]:
    frame = _values_frame(held)
    yield Part("values", frame, list(_value_rules(held, params)), "item_id", numbered=False, quoted=False)
    yield Part("rows", _rows_frame(held), list(_row_rules(held)), "item_id", numbered=False)
    yield Part("sites", _sites_frame(held), _SITE_RULES, "site", numbered=False, quoted=False)
    yield Part("labels", _labels_frame(held), _LABEL_RULES, "label", numbered=False, quoted=False)
    yield Part("splits", _splits_frame(held), _SPLIT_RULES, "split", numbered=False, quoted=False)


def _values_frame(held: SiteYears) -> pd.DataFrame:
    """A row per site-year: statistics of each variable over its days."""
    columns: dict[str, object] = {"item_id": held.item_ids}
    series = {name: held.values[:, number] for number, name in enumerate(held.variables)}
    with np.errstate(invalid="ignore", over="ignore"):
        for name, values in series.items():
            columns |= {
                f"{name} not finite": (~np.isfinite(values)).sum(axis=1),
                f"{name} least": values.min(axis=1).astype(float),
                f"{name} greatest": values.max(axis=1).astype(float),
                f"{name} mean": values.mean(axis=1, dtype=np.float64),
                f"{name} constant days": _longest_run(values),
            }
        for low, high in _ORDERED:
            if low in series and high in series:
                wrong = series[low] > series[high] + _TOLERANCE_K
                columns[f"{low} above {high}"] = wrong.mean(axis=1)
        thermometer = next((name for name in ("tas", "tasmax", "tasmin") if name in series), None)
        if thermometer is not None:
            columns["season shift"] = _season_shift(series[thermometer], held.latitude)
    columns["interpolated"] = held.interpolated / DAYS
    return pd.DataFrame(columns)


def _value_rules(held: SiteYears, params: GateParams) -> Iterator[Rule]:
    def between(name: str, column: str, words: str, low: float | None, high: float | None) -> Rule:
        bounds = {key: value for key, value in (("min_value", low), ("max_value", high)) if value is not None}
        return Rule(name, "ExpectColumnValuesToBeBetween", words, column, bounds)

    for variable in held.variables:
        row, (mean_low, mean_high) = VARIABLES[variable], _YEARLY[variable]
        low, high = row.values
        yield between(
            f"{variable}_finite", f"{variable} not finite", f"Every {variable} is a finite number", None, 0
        )
        words = f"No {variable} is below {low:g} {row.units}"
        yield between(f"{variable}_least", f"{variable} least", words, low - row.round_off, None)
        words = f"No {variable} is above {high:g} {row.units}"
        yield between(f"{variable}_greatest", f"{variable} greatest", words, None, high)
        words = f"Yearly means of {variable} lie in {mean_low:g} to {mean_high:g} {row.units}"
        yield between(f"{variable}_mean", f"{variable} mean", words, mean_low, mean_high)
        words = f"No {variable} is the same for more than {params.max_constant_days} days in a row"
        column = f"{variable} constant days"
        yield between(f"{variable}_constant", column, words, None, params.max_constant_days)
    for low_name, high_name in _ORDERED:
        if low_name in held.variables and high_name in held.variables:
            column = f"{low_name} above {high_name}"
            words = f"On at most {params.max_disordered:.0%} of a year's days {low_name} is above {high_name}"
            yield between(f"{low_name}_{high_name}_order", column, words, None, params.max_disordered)
    if {"tas", "tasmax", "tasmin"} & set(held.variables):
        words = f"The warmest time of a year is within {params.max_season_shift} days of its hemisphere's"
        yield between("season", "season shift", words, None, params.max_season_shift)
    words = f"At most {params.max_interpolated:.0%} of a year's days are interpolated"
    yield between("gaps", "interpolated", words, None, params.max_interpolated)


def _rows_frame(held: SiteYears) -> pd.DataFrame:
    """A row per site-year: its id, label, split, and a hash of its values."""
    return pd.DataFrame({
        "item_id": pd.Series(held.item_ids, dtype=object),
        "label": pd.Series([label or None for label in held.label], dtype=object),
        "split": pd.Series(held.split, dtype=object),
        "values_sha256": [hashlib.sha256(row.tobytes()).hexdigest() for row in held.values],
    })  # fmt: skip


def _row_rules(held: SiteYears) -> Iterator[Rule]:
    unique = "ExpectColumnValuesToBeUnique"
    yield Rule("site_years", "ExpectTableRowCountToBeBetween", "There is a site-year", None, {"min_value": 1})
    yield Rule("year_once", unique, "Each year of a site occurs once", "item_id")
    yield Rule(
        "values_once", unique, "No two site-years have the same values", "values_sha256", shows="item_id"
    )
    yield Rule("label_present", "ExpectColumnValuesToNotBeNull", "Every site-year has a label", "label")
    yield Rule(
        "label_known", "ExpectColumnValuesToBeInSet", "Every label is among the categories", "label",
        {"value_set": list(held.categories)},
    )  # fmt: skip
    yield Rule(
        "split_known", "ExpectColumnValuesToBeInSet", f"Splits are {', '.join(SPLITS)}", "split",
        {"value_set": list(SPLITS)},
    )  # fmt: skip


def _sites_frame(held: SiteYears) -> pd.DataFrame:
    """A row per site: the number of splits and of labels of its years."""
    rows = pd.DataFrame({"site": held.site, "splits": held.split, "labels": held.label})
    return rows.groupby("site", sort=True).nunique().reset_index()


_SITE_RULES = (
    Rule(
        "site_on_one_side", "ExpectColumnValuesToBeBetween", "All years of a site are in one split", "splits",
        {"max_value": 1},
    ),
    Rule(
        "site_one_label", "ExpectColumnValuesToBeBetween", "All years of a site have one label", "labels",
        {"max_value": 1},
    ),
)  # fmt: skip


def _labels_frame(held: SiteYears) -> pd.DataFrame:
    """A row per category: its site-years in the training split."""
    train = held.label[held.split == TRAIN]
    counts = [int((train == name).sum()) for name in held.categories]
    return pd.DataFrame({"label": pd.Series(held.categories, dtype=object), "training": counts})


_LABEL_RULES = (
    Rule(
        "several_labels", "ExpectTableRowCountToBeBetween", "There are at least two labels", None,
        {"min_value": 2},
    ),
    Rule(
        "label_learnt", "ExpectColumnValuesToBeBetween", "Each label has a training site-year", "training",
        {"min_value": 1},
    ),
)  # fmt: skip


def _splits_frame(held: SiteYears) -> pd.DataFrame:
    counts = [int((held.split == name).sum()) for name in SPLITS]
    return pd.DataFrame({"split": pd.Series(SPLITS, dtype=object), "count": counts})


_SPLIT_RULES = (
    Rule(
        "split_empty", "ExpectColumnValuesToBeBetween", "No split is empty", "count", {"min_value": 1}
    ),
)  # fmt: skip


def _longest_run(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Length of the longest run of equal values, (N, 365) -> (N,)."""
    run = np.ones(len(values), np.int64)
    longest = run.copy()
    for day in range(1, values.shape[1]):
        run = np.where(values[:, day] == values[:, day - 1], run + 1, 1)
        longest = np.maximum(longest, run)
    return longest


def _season_shift(
    values: npt.NDArray[np.float32], latitude: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Days from the hemisphere's warmest day to the peak of the yearly harmonic; 0 where it is not clear."""
    angle = 2 * np.pi * np.arange(DAYS) / DAYS
    finite = np.where(np.isfinite(values), values, 0.0).astype(np.float64)
    cosine, sine = finite @ np.cos(angle) * 2 / DAYS, finite @ np.sin(angle) * 2 / DAYS
    peak = np.arctan2(sine, cosine) % (2 * np.pi) * DAYS / (2 * np.pi)
    expected = np.where(latitude < 0, _WARMEST - DAYS / 2, _WARMEST)
    apart = np.abs((peak - expected + DAYS / 2) % DAYS - DAYS / 2)
    clear = (np.abs(latitude) >= _TROPICS) & (np.hypot(cosine, sine) >= _LEAST_CYCLE_K)
    return np.where(clear, apart, 0.0)
