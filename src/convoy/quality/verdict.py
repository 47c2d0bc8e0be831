"""Verdict of a gate: number of expectations, those that failed, and on which rows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, escape, one_line

SHOWN_CHARACTERS = 60
SHOWN_EXAMPLES = 5


@dataclass(frozen=True)
class Example:
    """One failing value: its place ("row 17 (item_id 's17')") and the value, shortened."""

    place: str
    value: str

    def __str__(self) -> str:
        return f"{self.place}: {self.value}"


@dataclass(frozen=True)
class Finding:
    """An expectation that did not hold: its name, column and description, and what was found instead."""

    name: str
    column: str
    words: str
    found: str
    count: int
    examples: tuple[Example, ...] = ()

    def __str__(self) -> str:
        return f"{self.column}: {self.words}; found {self.found}"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a gate. `facts` are further plain values for the metrics file.

    unit: what `items` counts; heading: what the column of a finding is called.
    """

    subject: str
    items: int
    expectations: int
    failures: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    unit: str = "items"
    heading: str = "column "

    @property
    def success(self) -> bool:
        return not self.failures

    def summary(self) -> str:
        """Lines for the log: the outcome, each failure with its first rows, each warning."""
        outcome = f"{self.expectations} expectations on {self.items} {self.unit} of {self.subject}"
        lines = [
            f"gate passed: {outcome}" if self.success else f"gate FAILED: {len(self.failures)} of {outcome}"
        ]
        for finding in self.failures:
            lines += [f"  {finding}", *(f"    {example}" for example in finding.examples)]
        for finding in self.warnings:
            lines.append(f"  warning: {finding}" + "".join(f", first {e}" for e in finding.examples[:1]))
        return "\n".join(map(one_line, lines))

    def metrics(self) -> dict[str, Any]:
        """The metrics file: success, counts, and the number of failing rows of each warning."""
        return {
            "success": self.success,
            "expectations": self.expectations,
            self.unit: self.items,
            "warnings": {finding.name: finding.count for finding in self.warnings},
            **self.facts,
        }

    def require_success(self, path: Path, remedy: str) -> None:
        """Raise ConvoyError about `path`, in one line with the `remedy`, where an expectation failed."""
        if self.success:
            return
        first, *others = self.failures
        example = f", first {first.examples[0]}" if first.examples else ""
        more = f"; also {', '.join(f'{other.name} ({other.column})' for other in others)}" if others else ""
        raise ConvoyError(
            f"expectation '{first.name}' failed: {first.words}",
            path=path,
            key=f"{self.heading}'{first.column}'",
            found=f"{first.found}{example}{more}",
            hint=remedy,
        )


def shorten(value: object) -> str:
    """`value` on one line of at most 60 characters, with the full length where it was cut."""
    if value is None:
        return "missing"
    # Cut before quoting: a text of 10 MB must not be copied several times over.
    text = str(value)
    shown = cut(text, SHOWN_CHARACTERS)
    quoted = f"'{escape(shown)}'"
    return quoted if shown is text else f"{quoted} ({len(text)} characters)"
