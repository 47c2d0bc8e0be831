"""The decisions about model versions: one line of JSON each, in git, as data/decisions.jsonl.

    {"time": "2026-01-31T12:00:00.000+00:00", "action": "promoted", "model": "streamrec-text",
     "kind": "textcnn", "version": 2, "content": sha256, "metrics": {...},
     "former": {"kind", "version", "content", "metrics"}, "difference": {...}, "reason": ..., "who", "commit"}

The line is written first, then the store is changed. Versions are identified by their content, since their
numbers may differ in a rebuilt store.
"""

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from convoy.core.errors import ConvoyError
from convoy.training.event_log import repository

Action = Literal["promoted", "refused", "kept", "rollback"]


@dataclass(frozen=True)
class VersionRecord:
    """A version at the time of the decision; `test_split` is a hash of its test data."""

    kind: str
    number: int
    content: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    test_split: str = ""


@dataclass(frozen=True)
class Decision:
    """One line: a decision about `version`; `former` is the champion before it.

    `challenger` and `others` are the contents of the challenger after it and of all other versions: versions
    in none of the lines are newer.
    """

    action: Action
    model: str
    version: VersionRecord
    former: VersionRecord | None
    reason: str
    difference: Mapping[str, float] | None = None
    challenger: str | None = None
    others: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    who: str | None = None
    commit: str | None = None

    @property
    def changes_champion(self) -> bool:
        """Whether it made another version champion."""
        return self.action in ("promoted", "rollback")


def path() -> Path:
    """The repository's file of decisions."""
    return repository() / "data" / "decisions.jsonl"


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock on the decisions of this repository."""
    folder = repository() / "mlruns"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".decisions.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(model: str) -> list[Decision]:
    """All decisions about a registered model, oldest first; an incomplete last line is ignored.

    Raises ConvoyError for any other line that is not a decision, such as git's conflict markers.
    """
    try:
        lines = path().read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    decisions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        decision = _parsed(line)
        if decision is None and number < len(lines):
            raise ConvoyError(
                f"{path()}, line {number}: expected a decision as JSON, found {line[:40]!r}; correct the "
                "file: `git diff` and `git log` show its lines"
            )
        if decision is not None and decision.model == model:
            decisions.append(decision)
    return decisions


def append(decision: Decision) -> None:
    """Append the line atomically; call it inside `exclusive`."""
    file = path()
    line = json.dumps(_plain(decision), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _write(descriptor, line)
        finally:
            os.close(descriptor)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConvoyError(
            f"cannot be written: {error.strerror}", path=file, hint="nothing was decided"
        ) from None


def champions(stack: Iterable[str], decisions: Iterable[Decision]) -> list[str]:
    """The contents of all champions in order, the present one last, after more decisions.

    A rollback removes the champion that it replaces, so that the next one goes further back.
    """
    found = list(stack)
    for decision in decisions:
        content = decision.version.content
        if decision.action == "rollback":
            found = _up_to(found, content) if content in found else [content]
        elif decision.action == "promoted":
            # The previous champion may have been set by hand, or by a line that is not in this file.
            if decision.former is not None:
                found = _up_to(found, decision.former.content)
            found += [content] if found[-1:] != [content] else []
    return found


def _up_to(stack: list[str], content: str) -> list[str]:
    """The stack cut after `content`, or with `content` appended."""
    if content not in stack:
        return [*stack, content]
    return stack[: len(stack) - stack[::-1].index(content)]


def _write(descriptor: int, line: bytes) -> None:
    """Append after the last complete line; remove the line again where the disk is full."""
    before = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    whole = before[: before.rfind(b"\n") + 1]
    torn = before[len(whole) :]
    if torn and _parsed(torn) is not None:
        whole, line = before, b"\n" + line
    try:
        os.ftruncate(descriptor, len(whole))
        written = os.pwrite(descriptor, line, len(whole))
        if written < len(line):
            raise OSError(None, "no space left")
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, len(whole))
        raise


def _plain(decision: Decision) -> dict[str, Any]:
    """The decision as the object of its line, its version's fields first, without unknown values."""
    values = {key: value for key, value in vars(decision).items() if value is not None or key == "former"}
    version, former = values.pop("version"), values.pop("former")
    first = {key: values.pop(key) for key in ("time", "action", "model")}
    return {**first, **_plain_record(version), "former": former and _plain_record(former), **values}


def _plain_record(record: VersionRecord) -> dict[str, Any]:
    values = asdict(record)
    return {"kind": values.pop("kind"), "version": values.pop("number"), **values}


def _parsed(line: bytes) -> Decision | None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        values = json.loads(line)
        former = values.get("former")
        if values["action"] not in ("promoted", "refused", "kept", "rollback"):
            return None
        return Decision(
            action=values["action"],
            model=str(values["model"]),
            version=_record(values),
            former=None if former is None else _record(former),
            reason=str(values["reason"]),
            difference=values.get("difference"),
            challenger=values.get("challenger"),
            others=tuple(values.get("others", ())),
            id=str(values["id"]),
            time=str(values["time"]),
            who=values.get("who"),
            commit=values.get("commit"),
        )
    return None


def _record(values: Mapping[str, Any]) -> VersionRecord:
    metrics = {str(key): float(value) for key, value in values["metrics"].items()}
    tested = str(values.get("test_split", ""))
    return VersionRecord(str(values["kind"]), int(values["version"]), str(values["content"]), metrics, tested)
