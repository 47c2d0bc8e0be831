"""What commands share: the model they are given, how far they are, what the disk refuses, no remains."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from convoy.core.errors import ConvoyError

if TYPE_CHECKING:
    from convoy.core.artifact import StoredModel

# Told the phase, what is done and how much there is (0 while unknown).
Report: TypeAlias = Callable[[str, int, int], None]
SECONDS_BETWEEN_LINES = 10.0
_URI = re.compile(r"(models|runs):|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)


@contextmanager
def naming(out: Path, what: str, *inputs: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line that names the user's path, not our hidden files beside it.

    `what` is a word for `out`: a folder, a file.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        refused = Path(str(error.filename or out))
        for path in inputs:
            if path in (refused, *refused.parents):
                raise ConvoyError(f"{refused}: cannot be read: {error.strerror}") from None
        raise ConvoyError(f"{out}: cannot be written: {error.strerror}; name another {what}") from None


@contextmanager
def without_new_parents(out: Path) -> Iterator[None]:
    """Where nothing comes of `out`, remove the folders that were made to hold it."""
    new = [folder for folder in out.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def stored_model(named: str) -> "tuple[StoredModel, str]":
    """The model that a folder's path or a URI of MLflow's names, and the sha256 of its manifest.

    Raises ConvoyError for a model that is not there or was changed, a store that cannot be reached, and any
    other URI. Nothing is read through a pickle, nor through MLflow's own loaders.
    """
    from convoy.core import artifact as models
    from convoy.core import files

    if _URI.match(named) is None:
        return models.read(Path(named)), files.sha256(Path(named) / files.MANIFEST)
    if not named.startswith(("models:", "runs:")):
        raise ConvoyError(
            f"--model: expected a model folder, models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID or "
            f"runs:/RUN/PATH; found '{named}'"
        )
    from convoy.tracking import store
    from convoy.tracking.probe import OutOfReachError

    try:
        client = store.existing(store.LIVE_TIMEOUT)  # which makes MLflow's settings, before it is imported
        from convoy.projects import TASKS
        from convoy.tracking.registry.loading import stored

        with store.reachable():
            return stored(client, named, [task.serving.loader for task in TASKS])
    except OutOfReachError as error:
        raise ConvoyError(f"{error.what}; name a model folder, or try again") from None


def pairs(option: str, text: str, example: str) -> dict[str, str]:
    """What an option says as `ours=theirs,…`; ConvoyError for anything else."""
    found = [pair.partition("=") for pair in text.split(",") if pair]
    for ours, equals, theirs in found:
        if not (ours and equals and theirs):
            raise ConvoyError(f"{option}: '{ours}{equals}{theirs}' is not ours=theirs, such as {example}")
    return {ours.strip(): theirs.strip() for ours, _, theirs in found}


@contextmanager
def progress(unit: str) -> Iterator[Report]:
    """A bar on a terminal, else a line now and then, on standard error."""
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

        yield report


def _lines(unit: str) -> Report:
    started: dict[str, float] = {}
    last = [time.monotonic()]

    def report(phase: str, done: int, total: int) -> None:
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
