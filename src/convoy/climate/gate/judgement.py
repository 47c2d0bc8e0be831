"""The gate of the grids: bounds on monthly statistics, and checks of grids, days and splits."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from convoy.climate.data.headers import StoredDomain
from convoy.climate.data.variables import row_of
from convoy.climate.gate.days import Times, day_checks, times_of
from convoy.climate.gate.files import Check, file_checks
from convoy.climate.gate.splits import Splits, split_checks
from convoy.climate.gate.static_fields import surface_checks
from convoy.climate.gate.summaries import STATISTICS, Summary, Together, label, partner, summarise
from convoy.core.params import Section
from convoy.quality.docs import render
from convoy.quality.expectations import Answer, Part, Rule, validate
from convoy.quality.verdict import Verdict

TITLE = "Gate of the climate grids"
# A larger gain of correlation with shifted days shows that days are shifted; less may be random.
LAG_GAIN = 0.02
# A climate model may have a bias of a few kelvin, and different weather on each day.
FARTHEST_K = 15.0


class GateParams(Section):
    """Limits of the gate on the grids."""

    future_in_training: Literal["fail", "warn"] = Field(
        "fail", description="warn or fail where training days follow test days in a split by years"
    )
    min_correlation: float = Field(
        0.5, ge=-1, le=1, description="of anomalies, between coarse input and area means of the fine truth"
    )
    max_mean_error: float = Field(
        0.05,
        gt=0,
        le=100,
        description="RMSE in K between area means of the fine truth and coarse inputs made as such means",
    )
    max_gaps: float = Field(
        0.0, ge=0, le=1, description="largest share of a month's values missing on some of its days only"
    )


def judge(facts: Mapping[str, Any], domains: list[StoredDomain], params: GateParams) -> tuple[Verdict, str]:
    """Return the verdict on a folder of grids as `headers.read_headers` returns it, and the Data Docs.

    Files are checked first: where axes, times or variables are invalid, values are not checked.
    """
    checks = [_any_domain(domains), *file_checks(facts, domains)]
    if not all(check.holds for check in checks):
        verdict, answers = _verdict(checks, [], {}, 0)
        return verdict, render(TITLE, verdict, answers)
    times = times_of(domains, facts.get("days_left_out", ()))
    splits = Splits.of(facts["splits"], times)
    split_by = str(facts.get("split_by", "years"))
    checks += day_checks(domains, times)
    checks += [*surface_checks(domains), *_grid_checks(facts)]
    checks += split_checks(splits, domains, split_by, params.future_in_training)
    surface_sound = all(check.holds for check in checks if check.rule.name in ("swapped", "apart"))
    summaries = {domain.name: summarise(domain, times, facts, paired=surface_sound) for domain in domains}
    together = {name: summary.together for name, summary in summaries.items() if summary.together}
    checks += [*_lag_checks(facts, together), *_bias_checks(facts, together)]
    parts = [*_statistics_parts(summaries, params), *_days_parts(times)]
    parts += _together_parts(facts, together, params)
    measured = {
        "splits": {split: splits.count(split) for split in splits.spans},
        "domains": {domain.name: _facts_of(domain, times, together.get(domain.name)) for domain in domains},
    }
    days = sum(len(of_side.ordinal) for (_, side), of_side in times.items() if side == "coarse")
    verdict, answers = _verdict(checks, parts, measured, days)
    return verdict, render(TITLE, verdict, answers)


def coarse_is_mean(facts: Mapping[str, Any]) -> bool:
    """Whether the coarse target was computed as the area means of the fine one.

    facts["perfect"] states it; where that is absent, it is assumed for a `factor`, except for a synthetic
    climate with imperfect inputs.
    """
    if facts.get("factor") is None or partner(facts) != facts["target"]:
        return False
    return bool(facts.get("perfect", "imperfect" not in str(facts["source"])))


def _any_domain(domains: list[StoredDomain]) -> Check:
    words = "There is at least one domain"
    return Check.of("domains", "files", words, "folder", [("grids", None if domains else "no domain")])


def _verdict(
    checks: list[Check], parts: list[Part], measured: dict[str, Any], days: int
) -> tuple[Verdict, list[Answer]]:
    answers = validate([*(check.part() for check in checks), *parts])
    findings = [(answer.rule.warns, answer.finding) for answer in answers if answer.finding is not None]
    verdict = Verdict(
        subject="the grids",
        items=days,
        expectations=len(answers),
        failures=tuple(finding for warns, finding in findings if not warns),
        warnings=tuple(finding for warns, finding in findings if warns),
        facts=measured,
        unit="days",
        heading="",
    )
    return verdict, answers


def _statistics_parts(summaries: Mapping[str, Summary], params: GateParams) -> Iterator[Part]:
    """One frame per statistic: a row per domain and month, a column per variable and side."""
    variables = list(dict.fromkeys(name for summary in summaries.values() for name in summary.statistics))
    for statistic in STATISTICS:
        columns = {
            name: {
                f"{domain} {month // 12:04d}-{month % 12 + 1:02d}": value
                for domain, summary in summaries.items()
                for month, value in summary.statistics.get(name, {}).get(statistic, {}).items()
            }
            for name in variables
        }
        rules = [rule for name in variables if (rule := _rule(name, statistic, params)) is not None]
        if rules:
            yield _part(f"monthly {statistic}", "month", columns, rules)


def _rule(column: str, statistic: str, params: GateParams) -> Rule | None:
    name, _, side = column.rstrip(")").partition(" (")
    row = row_of(name)
    (low, high), (mean_low, mean_high) = row.values, row.monthly_mean
    unit = f" {row.units}" if row.units else ""
    strictly_above_0 = {"min_value": 0, "strict_min": True}
    rules: dict[str, tuple[str, dict[str, Any]]] = {
        "mean": (
            f"Each month's mean of {column} lies in {mean_low:g} to {mean_high:g}{unit}",
            {"min_value": mean_low, "max_value": mean_high},
        ),
        "low": (f"No {column} is below {low:g}{unit}", {"min_value": low}),
        "high": (f"No {column} is above {high:g}{unit}", {"max_value": high}),
        "spread": (
            f"The standard deviation of {column} over cells and days is above 0 in each month",
            strictly_above_0,
        ),
        "change": (
            f"The mean absolute change of {column} from day to day is above 0 in each month",
            strictly_above_0,
        ),
        "missing": (
            f"The share of missing values of {column} is below 1 in each month",
            {"max_value": 1, "strict_max": True},
        ),
        "gaps": (
            (
                f"The share of values of {column} in each month that are missing on some of its days only is "
                f"at most {params.max_gaps:g}"
            ),
            {"max_value": params.max_gaps},
        ),
    }
    words, bounds = rules[statistic]
    if statistic in ("spread", "change") and row.intermittent:
        return None
    return Rule(f"{name}_{side}_{statistic}", "ExpectColumnValuesToBeBetween", words, column, bounds)


def _days_parts(times: Mapping[tuple[str, str], Times]) -> Iterator[Part]:
    """Stored minus expected days of each month; seasons that are always missing are not expected."""
    surplus: dict[str, dict[str, float]] = {label("time", side): {} for _, side in times}
    for (domain, side), of_side in times.items():
        for month, count in of_side.surplus.items():
            surplus[label("time", side)][f"{domain} {month // 12:04d}-{month % 12 + 1:02d}"] = count
    words = (
        "The number of days of each month, minus that of its calendar, is 0 from the first day to the last"
    )
    bounds = {"min_value": 0, "max_value": 0}
    rules = [
        Rule(
            f"{column.replace(' (', '_').rstrip(')')}_days",
            "ExpectColumnValuesToBeBetween",
            words,
            column,
            bounds,
        )
        for column in surplus
    ]
    yield _part("days a month", "month", surplus, rules)


def _grid_checks(facts: Mapping[str, Any]) -> list[Check]:
    """A warning of each input that ingestion brought from another grid; none where it brought none."""
    if not (others := facts.get("interpolated")):
        return []
    words = f"Inputs are on the coarse grid of {facts['coarse_grid']} in their files"
    faults = ((name, f"interpolated from {grid}") for name, grid in others.items())
    return [Check.of("interpolated", "inputs", words, "input", faults, warns=True)]


def _lag_checks(facts: Mapping[str, Any], together: Mapping[str, Together]) -> list[Check]:
    if not together:
        return []
    name = label(str(partner(facts)), "coarse")
    words = f"The days of {name} are not shifted relative to those of the fine truth"

    def shifted(pair: Together) -> str | None:
        if pair.better is None or pair.correlation is None or pair.better - pair.correlation <= LAG_GAIN:
            return None
        days = f"{abs(pair.better_lag)} day{'s' if abs(pair.better_lag) > 1 else ''}"
        when = "later" if pair.better_lag > 0 else "earlier"
        return f"correlation {pair.correlation:.3f}, but {pair.better:.3f} if it were {days} {when}"

    return [
        Check.of(
            "days_shifted", name, words, "domain", ((domain, shifted(p)) for domain, p in together.items())
        )
    ]


def _bias_checks(facts: Mapping[str, Any], together: Mapping[str, Together]) -> list[Check]:
    """Checks of a coarse variable that is the target itself: orientation, and bias relative to the truth."""
    pairs = {name: pair for name, pair in together.items() if pair.pattern is not None}
    if not pairs:
        return []
    name = label(str(partner(facts)), "coarse")

    def flipped(pair: Together) -> str | None:
        if pair.pattern is None or pair.upside_down is None or pair.upside_down - pair.pattern <= LAG_GAIN:
            return None
        return f"pattern correlation {pair.pattern:.3f}, but {pair.upside_down:.3f} if it were upside down"

    checks = [
        Check.of(
            "upside_down", name, f"The rows of {name} go from south to north, as those of the fine truth",
            "domain", ((domain, flipped(pair)) for domain, pair in pairs.items()),
        )
    ]  # fmt: skip
    if row_of(facts["target"]).units == "K" and not coarse_is_mean(facts):
        faults = (
            (domain, f"{pair.error:.3g} K" if pair.error is not None and pair.error > FARTHEST_K else None)
            for domain, pair in pairs.items()
        )
        words = f"{name} is within {FARTHEST_K:g} K (RMSE) of the area means of the fine truth"
        checks.append(Check.of("coarse_bias", name, words, "domain", faults, warns=True))
    return checks


def _together_parts(
    facts: Mapping[str, Any], together: Mapping[str, Together], params: GateParams
) -> Iterator[Part]:
    name, target = label(str(partner(facts)), "coarse"), label(facts["target"], "fine")
    correlations = {
        domain: _short(pair.correlation) for domain, pair in together.items() if pair.correlation is not None
    }
    if correlations:
        words = (
            f"The correlation of anomalies of {name} and of area means of {target} is at least "
            f"{params.min_correlation:g}"
        )
        rule = Rule(
            "correlation", "ExpectColumnValuesToBeBetween", words, name, {"min_value": params.min_correlation}
        )  # fmt: skip
        yield _part("correlation", "domain", {name: correlations}, [rule])
    errors = {domain: _short(pair.error) for domain, pair in together.items() if pair.error is not None}
    if errors and coarse_is_mean(facts):
        unit = row_of(facts["target"]).units
        most = params.max_mean_error
        if unit != "K":
            # A bound for any variable: 1% of its standard deviation, as 0.05 K is of 5 K.
            most = _short(0.01 * max(pair.spread for pair in together.values()))
        words = f"The RMSE between {name} and the area means of {target} is at most {most:g} {unit}".rstrip()
        rule = Rule("coarse_mean", "ExpectColumnValuesToBeBetween", words, name, {"max_value": most})
        yield _part("coarse mean", "domain", {name: errors}, [rule])


def _part(name: str, key: str, columns: Mapping[str, Mapping[str, float]], rules: list[Rule]) -> Part:
    frame = pd.DataFrame({column: pd.Series(values, dtype="float64") for column, values in columns.items()})
    frame = frame.rename_axis(key).reset_index()
    return Part(name, frame, rules, key, numbered=False, quoted=False)


def _facts_of(
    domain: StoredDomain, times: Mapping[tuple[str, str], Times], pair: Together | None
) -> dict[str, Any]:
    coarse = times[domain.name, "coarse"]
    facts: dict[str, Any] = {
        "place": domain.place,
        "days": len(coarse.ordinal),
        "first": coarse.label(0),
        "last": coarse.label(len(coarse.dates) - 1),
    }
    if pair is not None:
        facts["correlation"] = None if pair.correlation is None else _short(pair.correlation)
        facts["coarse_mean_rmse"] = None if pair.error is None else _short(pair.error)
    return facts


def _short(value: float) -> float:
    return float(f"{value:.3g}")
