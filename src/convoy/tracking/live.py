"""Follows a running training in a separate process: sends its event log and system metrics to MLflow.

`python -m convoy.tracking.live EVENT_LOG` is started by the training, which never waits for it. It ends soon
after the training; `convoy publish` later sends what could not be sent.
"""

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.errors import ConvoyError
from convoy.core.printable import mask, one_line
from convoy.tracking import runs, store
from convoy.tracking.runs import NOTHING, Sample, Sent
from convoy.training import event_log
from convoy.training.event_log import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOOK, SAMPLE = 1.0, 10.0  # seconds between looks at the event log, and between samples of the machine
LONGEST_PAUSE = 60.0  # seconds between attempts while a store does not answer


def main(path: Path) -> None:
    """Follow the event log until its training has ended, then send the rest."""
    os.nice(10)  # training has priority over imports and uploads
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(path, ended), daemon=True)
    sampler.start()
    try:
        _follow(path)
    except Exception:
        # The log keeps the traceback of a bug, which may contain the address of a store.
        print(mask(traceback.format_exc()), flush=True)
        raise SystemExit(1) from None
    finally:
        ended.set()
        sampler.join(timeout=1)


def samples(path: Path) -> list[Sample]:
    """The system metrics measured during the training with the event log at `path`, oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for line in system_file(path).read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError):
                figures = json.loads(line)
                found.append(Sample(figures.pop("time"), figures))
    return found


def system_file(path: Path) -> Path:
    """The file of the samples of system metrics."""
    return path.with_suffix(".system")


def sent_file(path: Path) -> Path:
    """The file that names the store once all events have been sent."""
    return path.with_suffix(".sent")


def _follow(path: Path) -> None:
    client, sent, shown, pause, next_try = None, NOTHING, None, 0.0, 0.0
    while True:
        record = event_log.read(path)
        if record is None:
            return
        over = record.status != "RUNNING"
        state = (len(record.epochs), record.status, _size(system_file(path)))
        if over or (state != shown and time.monotonic() >= next_try):
            try:
                if client is None:
                    client = store.client(store.LIVE_TIMEOUT)
                    deliver_all(client)  # event logs whose training and follower were killed
                sent = deliver(client, record, sent)
                shown, pause = state, 0.0
            except ConvoyError as error:
                print(one_line(error), flush=True)
                sent = NOTHING  # a store that was away may have lost some of it, and drops what it has
                pause = min(LONGEST_PAUSE, 2 * pause + 1)
                next_try = time.monotonic() + pause
        if over:
            return
        time.sleep(LOOK)


def _size(path: Path) -> int:
    """Bytes in a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def deliver(client: "MlflowClient", record: Record, sent: Sent = NOTHING) -> Sent:
    """Send what of the event log was not yet sent; one that has ended is marked as sent."""
    with store.reachable(), store.turn(record.id):
        sent = runs.send(client, record, samples(record.path), sent)
        if record.status != "RUNNING":
            sent_file(record.path).write_text(store.mark(), encoding="utf-8")
    return sent


def deliver_all(client: "MlflowClient") -> int:
    """Send every event log that has ended and was not yet sent to this store; return their number."""
    count = 0
    for record in event_log.records():
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
    record = event_log.read(path)
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
