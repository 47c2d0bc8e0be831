"""Beside a running training: sends its journal to MLflow and measures the machine, in a process of its own.

`python -m convoy.tracking.live JOURNAL` is started by the training and never waited for. It ends soon after
the training has; what it could not send, `convoy publish` sends later.
"""

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from convoy.core.errors import ConvoyError
from convoy.training import event_log as journal
from convoy.training.event_log import Record

LOOK, SAMPLE = 1.0, 5.0  # seconds between looks at the journal, and between samples of the machine
LONGEST_PAUSE = 60.0  # seconds, after a store that does not answer


def main(path: Path) -> None:
    """Follow the journal until its training has ended, then send the rest."""
    os.nice(10)  # imports and uploads take what training leaves
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(path, ended), daemon=True)
    sampler.start()
    try:
        _follow(path)
    finally:
        ended.set()
        sampler.join(timeout=1)


def samples(path: Path) -> list[dict[str, Any]]:
    """The system metrics measured beside the journal at `path`, oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in system_file(path).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
    return found


def system_file(path: Path) -> Path:
    """Where the samples of the machine lie."""
    return path.with_suffix(".system")


def sent_file(path: Path) -> Path:
    """Says, once all is sent, to which store."""
    return path.with_suffix(".sent")


def _follow(path: Path) -> None:
    from convoy.tracking import store

    client, shown, pause, next_try = None, None, 0.0, 0.0
    while True:
        record = journal.read(path)
        if record is None:
            return
        over = record.status != "RUNNING"
        state = (len(record.epochs), record.status, len(samples(path)))
        if over or (state != shown and time.monotonic() >= next_try):
            try:
                if client is None:
                    client = store.client(store.LIVE_TIMEOUT)
                    deliver_all(client)  # those whose process and follower were killed
                deliver(client, record)
                shown, pause = state, 0.0
            except ConvoyError as error:
                print(error, flush=True)
                pause = min(LONGEST_PAUSE, 2 * pause + 1)
                next_try = time.monotonic() + pause
        if over:
            return
        time.sleep(LOOK)


def deliver(client: Any, record: Record) -> None:
    """Send the journal as it stands; one that has ended is marked as sent."""
    from convoy.tracking import runs, store

    with store.reachable(), store.turn(record.id):
        runs.send(client, record, samples(record.path))
        if record.status != "RUNNING":
            sent_file(record.path).write_text(store.mark(), encoding="utf-8")


def deliver_all(client: Any) -> int:
    """Send every journal that has ended and is not yet with this store; returns how many."""
    from convoy.tracking import store

    count = 0
    for record in journal.records():
        sent = sent_file(record.path)
        known = sent.is_file() and sent.read_text(encoding="utf-8") == store.mark()
        if record.status != "RUNNING" and not known:
            deliver(client, record)
            count += 1
    return count


def _sample(path: Path, ended: threading.Event) -> None:
    """Append a line of system metrics every few seconds."""
    import psutil

    gpus = _gpus()
    record = journal.read(path)
    trainer = None
    with contextlib.suppress(psutil.Error):
        trainer = psutil.Process(record.start["pid"]) if record is not None else None
    psutil.cpu_percent()
    while not ended.wait(SAMPLE):
        memory = psutil.virtual_memory()
        sample = {
            "time": round(time.time() * 1000),
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": round(memory.used / 1e6, 1),
            "system_memory_usage_percentage": memory.percent,
        }
        with contextlib.suppress(psutil.Error):
            if trainer is not None:
                sample["training_memory_megabytes"] = round(trainer.memory_info().rss / 1e6, 1)
        with open(system_file(path), "a", encoding="utf-8") as file:
            file.write(json.dumps({**sample, **_gpu_figures(gpus)}) + "\n")


def _gpus() -> list[Any]:
    import pynvml

    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def _gpu_figures(gpus: list[Any]) -> dict[str, float]:
    import pynvml

    figures: dict[str, float] = {}
    for number, gpu in enumerate(gpus):
        with contextlib.suppress(pynvml.NVMLError):
            memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
            figures[f"gpu_{number}_utilization_percentage"] = pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu
            figures[f"gpu_{number}_memory_usage_megabytes"] = round(memory.used / 1e6, 1)
            figures[f"gpu_{number}_memory_usage_percentage"] = round(100 * memory.used / memory.total, 1)
    return figures


if __name__ == "__main__":
    main(Path(sys.argv[1]))
