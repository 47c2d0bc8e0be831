"""The event log of a training: a file that is written while it runs, from which tracking is updated.

One line of JSON per event, in `mlruns/events/ID.jsonl` of the repository:

    {"event": "start", "time": ms, "id": ..., "task": ..., "model": ..., "params": {...}, ...}
    {"event": "epoch", "time": ms, "seed": 0, "epoch": 1, "train_loss": ..., ...}
    {"event": "end", "time": ms, "status": "FINISHED", "content": sha256 of the model folder's manifest}

Times are milliseconds since 1970. The writer holds a lock on the file for as long as it runs, so an event log
without an end whose lock is free belongs to a process that was killed.
"""

import contextlib
import fcntl
import getpass
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
Event = dict[str, Any]


def repository(start: Path | None = None) -> Path:
    """The root of the repository that the outputs belong to, absolute.

    DVC passes it to stages as DVC_ROOT, also in the temporary workspaces of `dvc exp run --temp` and
    `--queue`; without DVC it is the nearest folder upwards that has a `.dvc`, or else the current one.
    """
    named = os.environ.get("DVC_ROOT")
    here = Path(named) if named and start is None else (start or Path.cwd())
    here = here.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)


def folder() -> Path:
    """The folder of the repository's event logs."""
    return repository() / "mlruns" / "events"


class EventLog:
    """Writes the events of one training; a full or read-only disk causes a warning, not an error."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path, self._key = path, facts["key"]
        self._descriptor: int | None = None
        self._content: str | None = None
        with self._harmless():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._write("start", {"id": path.stem, **facts})

    def epoch(self, seed: int, row: Mapping[str, float], resumed: bool = False) -> None:
        """Write one row of the learning curve; a `resumed` one gets the time of its first writing."""
        self._write("epoch", {"seed": seed, **row}, self._earlier(seed, row["epoch"]) if resumed else None)

    def finished(self, content: str) -> None:
        """Record that the model folder is complete; `content` is the sha256 of its manifest."""
        self._content = content

    def end(self, status: Status) -> None:
        self._write("end", {"status": status, "content": self._content})
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _write(self, event: str, facts: Mapping[str, Any], time_ms: int | None = None) -> None:
        line = {"event": event, "time": time_ms or round(time.time() * 1000), **facts}
        with self._harmless():
            if self._descriptor is not None:
                # One write per line: after a kill at most the last line is incomplete.
                os.write(self._descriptor, json.dumps(line).encode() + b"\n")
                os.fsync(self._descriptor)

    def _earlier(self, seed: int, epoch: float) -> int | None:
        times = [
            event["time"]
            for record in records()
            if record.start["key"] == self._key and record.path != self.path
            for event in record.epochs
            if (event["seed"], event["epoch"]) == (seed, epoch)
        ]
        return times[-1] if times else None

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            print(f"event log {self.path}: {error.strerror}; training goes on without it", flush=True)
            self._descriptor = None


@contextlib.contextmanager
def recorded(facts: Mapping[str, Any], follower: str) -> Iterator[EventLog]:
    """Write an event log of the training inside, and run the module `follower` on it in a separate process.

    `facts`: task, model, seeds, device, params, and `key`, the same for a run that resumes from a checkpoint.
    The follower may import slowly, wait for an unreachable server or crash: nothing here waits for it. With
    CONVOY_TRACKING=off it is not started, and only the event log is written.
    """
    name = f"{facts['model']}-{time.time_ns() // 1_000_000}-{os.getpid()}"
    events = EventLog(folder() / f"{name}.jsonl", {**circumstances(), **facts})
    if os.environ.get("CONVOY_TRACKING") != "off":
        _start(follower, events.path)
    status: Status = "FAILED"
    try:
        yield events
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        events.end(status)


@dataclass(frozen=True)
class Record:
    """The content of an event log so far."""

    path: Path
    start: Event
    epochs: tuple[Event, ...]
    end: Event | None
    alive: bool

    @property
    def id(self) -> str:
        return self.path.stem

    @property
    def status(self) -> Status:
        if self.end is not None:
            return self.end["status"]
        return "RUNNING" if self.alive else "KILLED"

    @property
    def last_time(self) -> int:
        """Time of the last event, in milliseconds."""
        return (self.end or (self.epochs[-1] if self.epochs else self.start))["time"]


def read(path: Path) -> Record | None:
    """The events of an event log, or None where not even its start was written.

    An incomplete last line is left out.
    """
    try:
        with open(path, "rb") as file:
            # Before the lines are read: a writer that ends in between has written its end by then.
            alive = _locked(file)
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    events = [event for line in lines if (event := _parsed(line)) is not None]
    starts = [event for event in events if event["event"] == "start"]
    if not starts:
        return None
    ends = [event for event in events if event["event"] == "end"]
    epochs = tuple(event for event in events if event["event"] == "epoch")
    return Record(path, starts[0], epochs, ends[-1] if ends else None, alive)


def records() -> list[Record]:
    """All event logs of the repository, oldest first."""
    found = [record for path in folder().glob("*.jsonl") if (record := read(path)) is not None]
    return sorted(found, key=lambda record: (record.start["time"], record.id))


_KEYS: Mapping[str, Mapping[str, type]] = {
    "start": {"task": str, "model": str, "key": str, "seeds": list, "device": str, "params": dict},
    "epoch": {"seed": int, "epoch": int},
    "end": {"status": str},
}


def _parsed(line: bytes) -> Event | None:
    """The event of a line; None for one that is incomplete, or was not written by this module."""
    with contextlib.suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event.get("time"), int):
            keys = _KEYS.get(str(event.get("event")))
            if keys is not None and all(isinstance(event.get(key), kind) for key, kind in keys.items()):
                return event
    return None


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


# Paths that determine the outputs: uncommitted changes elsewhere do not make a run dirty.
_CODE = (":/src", ":/pipelines", ":/params.yaml", ":/dvc.yaml", ":/requirements.lock")


def circumstances(root: Path | None = None) -> dict[str, Any]:
    """Stage, experiment, user and commit of a run or decision; `root`: the repository, by default here."""
    root = root or Path.cwd()
    return {
        "stage": os.environ.get("DVC_STAGE"),
        "experiment": os.environ.get("DVC_EXP_NAME"),
        "commit": git(root, "rev-parse", "HEAD"),
        "dirty": bool(git(root, "status", "--porcelain", "--untracked-files=no", "--", *_CODE)),
        "pid": os.getpid(),
        "user": _user(),
        "author": git(root, "config", "user.name"),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())


def git(root: Path, *arguments: str) -> str | None:
    """Output of a git command in the folder `root`, or None where it fails or git is not installed."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=root, check=False, capture_output=True, text=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _start(module: str, path: Path) -> None:
    """Run `module` on the event log, detached: Ctrl-C and the end of this process do not end it."""
    try:
        with open(path.with_suffix(".log"), "ab") as log:
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", module, str(path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        print(f"tracking: {error.strerror}; training goes on, `convoy publish` sends later", flush=True)
