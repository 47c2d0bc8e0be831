"""The progress of a command on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from convoy.core import interrupts

Report: TypeAlias = Callable[[str, int, int], None]
"""Takes the phase, how much is done and how much there is (0 while unknown)."""
SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress(unit: str) -> Iterator[Report]:
    """Yield a Report that draws a bar on a terminal, and elsewhere prints a line every ten seconds."""
    if not sys.stderr.isatty():
        yield _lines(unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        rate,
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, tuple[Any, float]] = {}

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, rate=""), time.monotonic()
            task, start = tasks[phase]
            bar.update(task, completed=done, total=total or None, rate=_rate(done, start, unit))
            interrupts.check()

        yield report


def _lines(unit: str) -> Report:
    started: dict[str, float] = {}
    last = [time.monotonic()]

    def report(phase: str, done: int, total: int) -> None:
        interrupts.check()
        now = time.monotonic()
        start = started.setdefault(phase, now)
        if now - last[0] < SECONDS_BETWEEN_LINES:
            return
        last[0] = now
        of = f" of {total:,}" if total else ""
        print(f"{phase}: {done:,}{of} {unit}, {_rate(done, start, unit)}", file=sys.stderr, flush=True)

    return report


def _rate(done: int, start: float, unit: str) -> str:
    return f"{done / max(time.monotonic() - start, 1e-3):,.0f} {unit}/s"
