"""What a training leaves behind while it runs: a file of events, written before anything is sent.

One line of JSON per event, in `mlruns/journal/ID.jsonl` of the repository:

    {"event": "start", "time": ms, "id": ..., "task": ..., "model": ..., "params": {...}, ...}
    {"event": "epoch", "time": ms, "seed": 0, "epoch": 1, "train_loss": ..., ...}
    {"event": "end", "time": ms, "status": "FINISHED", "content": sha256 of the model folder's manifest}

Times are milliseconds since 1970. The writer holds a lock on the file for as long as it lives, so a journal
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

    DVC names it to stages, in `dvc exp run --temp` and `--queue` too, whose workspaces are thrown away;
    without DVC it is the nearest folder upwards that has a `.dvc`, or else the current one.
    """
    named = os.environ.get("DVC_ROOT")
    here = Path(named) if named and start is None else (start or Path.cwd())
    here = here.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)


def folder() -> Path:
    """Where the repository's journals lie."""
    return repository() / "mlruns" / "journal"


class Journal:
    """Writes events of one training; a disk that is full or read-only costs a warning, not the training."""

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
        """One row of the learning curve; one of a run that was cut off keeps its time."""
        self._write("epoch", {"seed": seed, **row}, self._earlier(seed, row["epoch"]) if resumed else None)

    def finished(self, content: str) -> None:
        """The model folder is written; `content` is the sha256 of its manifest."""
        self._content = content

    def end(self, status: Status) -> None:
        self._write("end", {"status": status, "content": self._content})
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _write(self, event: str, facts: Mapping[str, Any], time_ms: int | None = None) -> None:
        line = {"event": event, "time": time_ms or round(time.time() * 1000), **facts}
        with self._harmless():
            if self._descriptor is not None:
                # One write per line: a kill leaves whole lines, or one torn line at the very end.
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
            print(f"journal {self.path}: {error.strerror}; training goes on without it", flush=True)
            self._descriptor = None


@contextlib.contextmanager
def recorded(facts: Mapping[str, Any], follower: str) -> Iterator[Journal]:
    """A journal of what happens inside; the module `follower` is run on it in a process of its own.

    `facts`: task, model, seeds, device, params, and `key`, the same for a run that goes on from a checkpoint.
    That process may import slowly, wait for a dead server or crash: nothing here waits for it. With
    CONVOY_TRACKING=off there is no such process, and the journal alone is written.
    """
    name = f"{facts['model']}-{time.time_ns() // 1_000_000}-{os.getpid()}"
    journal = Journal(folder() / f"{name}.jsonl", {**circumstances(), **facts})
    if os.environ.get("CONVOY_TRACKING") != "off":
        _start(follower, journal.path)
    status: Status = "FAILED"
    try:
        yield journal
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        journal.end(status)


@dataclass(frozen=True)
class Record:
    """What a journal holds so far."""

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
        """Of the last event, in milliseconds."""
        return (self.end or (self.epochs[-1] if self.epochs else self.start))["time"]


def read(path: Path) -> Record | None:
    """The events of a journal, or None where not even its start was written; a torn last line is left out."""
    try:
        with open(path, "rb") as file:
            # Looked at before the lines: what ends in between has then written its end.
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
    """All journals of the repository, oldest first."""
    found = [record for path in folder().glob("*.jsonl") if (record := read(path)) is not None]
    return sorted(found, key=lambda record: (record.start["time"], record.id))


_KEYS: Mapping[str, Mapping[str, type]] = {
    "start": {"task": str, "model": str, "key": str, "seeds": list, "device": str, "params": dict},
    "epoch": {"seed": int, "epoch": int},
    "end": {"status": str},
}


def _parsed(line: bytes) -> Event | None:
    """The event of a line; None for one that is torn, or not of this module's writing."""
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


# What a commit has to hold to make the same outputs; the pipeline's own outputs in git do not count.
_CODE = (":/src", ":/pipelines", ":/params.yaml", ":/dvc.yaml", ":/requirements.lock")


def circumstances(root: Path | None = None) -> dict[str, Any]:
    """What a run or a decision stands in: stage, experiment, who, and the commit of `root` or of here."""
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
    except (KeyError, OSError):  # a number without a name, as in some containers
        return str(os.getuid())


def git(root: Path, *arguments: str) -> str | None:
    """What git says in the folder `root`, or None where it says no, or there is none."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=root, check=False, capture_output=True, text=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _start(module: str, path: Path) -> None:
    """Run `module` on the journal, detached: Ctrl-C and the end of this process do not reach it."""
    try:
        with open(path.with_suffix(".log"), "ab") as log:
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", module, str(path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        print(f"tracking: {error.strerror}; training goes on, `convoy publish` sends later", flush=True)
