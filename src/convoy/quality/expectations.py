"""Validation of frames by Great Expectations."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from convoy.quality.verdict import SHOWN_EXAMPLES, Example, Finding, shorten


@dataclass(frozen=True)
class Rule:
    """One expectation: its class in Great Expectations, its column, bounds and description.

    `name` is short and unique; `words` state in a sentence what is expected, for the Data Docs. A rule that
    only `warns` does not stop the gate. `shows` names the column whose values illustrate a failure, where it
    is not `column`.
    """

    name: str
    expectation: str
    words: str
    column: str | None = None
    bounds: Mapping[str, Any] = field(default_factory=dict)
    warns: bool = False
    shows: str | None = None


@dataclass(frozen=True)
class Part:
    """A frame and the rules for it.

    Failing rows are identified by the column `key`, after their number where they are `numbered`. A frame of
    summaries has `source`, the rows whose first values illustrate a failure. `quoted`: values are shown in
    quotes, as values of the data are, and not words or numbers of our own.
    """

    name: str
    frame: pd.DataFrame
    rules: Sequence[Rule]
    key: str
    numbered: bool = True
    source: pd.DataFrame | None = None
    quoted: bool = True


@dataclass(frozen=True)
class Answer:
    """Result of one rule; `result` is Great Expectations' own validation result.

    `examples` are failing rows; a rule that tolerates a few may hold and have some.
    """

    rule: Rule
    result: Any
    finding: Finding | None
    examples: tuple[Example, ...]


def validate(parts: Sequence[Part]) -> list[Answer]:
    """Validate every part in one ephemeral context and return one result per rule, in the order of the rules.

    An expectation that raises inside Great Expectations is a bug and raises RuntimeError.
    """
    answers = []
    with quiet_import():
        # Imported here only: it takes seconds, which a process that validates nothing should not spend.
        import great_expectations as gx
        from great_expectations import expectations
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    # One source for all frames: each further one takes longer than its expectations.
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frames")
    whole = asset.add_batch_definition_whole_dataframe("all")
    for part in parts:
        suite = gx.ExpectationSuite(
            name=part.name, expectations=[_expectation(expectations, rule) for rule in part.rules]
        )
        batch = whole.get_batch({"dataframe": part.frame})
        # SUMMARY without index columns returns the positions of the first failing rows; with them, Great
        # Expectations makes a dict per failing row: a minute for a million rows.
        outcome = batch.validate(
            suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": SHOWN_EXAMPLES}
        )
        # Great Expectations returns results in an order of its own.
        results: dict[str, Any] = {_rule_name(result): result for result in outcome.results}
        answers += [_answer(part, rule, results[rule.name]) for rule in part.rules]
    return answers


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Import Great Expectations with its usage statistics off, and leave the environment as it was."""
    name = "GX_ANALYTICS_ENABLED"
    former = os.environ.get(name)
    os.environ[name] = "false"
    try:
        with warnings.catch_warnings():
            # It imports `sre_constants`, which Python deprecated in 3.11.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        os.environ.pop(name)
        if former is not None:
            os.environ[name] = former


def _expectation(expectations: Any, rule: Rule) -> Any:
    column = {} if rule.column is None else {"column": rule.column}
    return getattr(expectations, rule.expectation)(
        **column,
        **rule.bounds,
        description=rule.words,
        severity="warning" if rule.warns else "critical",
        meta={"rule": rule.name},
    )


def _rule_name(result: Any) -> str:
    return result.expectation_config.meta["rule"]


def _answer(part: Part, rule: Rule, result: Any) -> Answer:
    if result.exception_info.get("raised_exception") or not result.result:
        raise RuntimeError(f"expectation '{rule.name}' could not be validated: {result.exception_info}")
    details = result.result
    observed = details.get("observed_value")
    if hasattr(observed, "item"):  # the page's renderer does not support NumPy scalars
        observed = observed.item()
    if isinstance(observed, float):
        observed = float(f"{observed:.5g}")
    if observed is None and not part.quoted and part.frame[rule.column].dtype.kind == "f":
        # The page shows the range of a column, not only the number of failing values.
        numbers = part.frame[rule.column].dropna()
        observed = " to ".join(_number(float(end)) for end in (numbers.min(), numbers.max()) if len(numbers))
    if observed is not None:
        details["observed_value"] = observed
    examples = tuple(_examples(part, rule, details))
    finding = None
    if not result.success:
        count = details.get("unexpected_count", 1)
        column = rule.shows or rule.column or part.name
        finding = Finding(rule.name, column, rule.words, _found(rule, details), int(count), examples)
    return Answer(rule, result, finding, examples)


def _found(rule: Rule, details: Mapping[str, Any]) -> str:
    if "unexpected_count" in details:
        count, total = details["unexpected_count"], details["element_count"]
        return f"{count} of {total} violate it ({count / max(total, 1):.2%})"
    missing = details.get("details", {}).get("mismatched", {}).get("missing")
    if missing:
        return f"no {', '.join(sorted(missing))}"
    bounds = {"min_value": "at least", "max_value": "at most"}
    allowed = [f"{words} {_number(rule.bounds[key])}" for key, words in bounds.items() if key in rule.bounds]
    return f"{_number(details['observed_value'])}, allowed {' and '.join(allowed)}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.5g}"


def _examples(part: Part, rule: Rule, details: Mapping[str, Any]) -> list[Example]:
    """The first failing rows; for a rule about a column as a whole, the column's first values."""
    frame = part.frame if part.source is None else part.source
    column = rule.shows or rule.column
    if column is None or column not in frame:
        return []
    offenders = details.get("partial_unexpected_index_list")
    positions = list(range(len(frame)) if offenders is None else offenders)[:SHOWN_EXAMPLES]
    rows = frame.iloc[positions]
    return [
        Example(_place(part, position, key), shorten(_or_none(value)) if part.quoted else str(value))
        for position, key, value in zip(positions, rows[part.key], rows[column], strict=True)
    ]


def _place(part: Part, position: int, key: Any) -> str:
    named = f"{part.key} {shorten(_or_none(key))}"
    return f"row {position + 1} ({named})" if part.numbered else named


def _or_none(value: Any) -> Any:
    return None if pd.isna(value) else value
