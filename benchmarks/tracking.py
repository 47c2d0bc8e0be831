"""What live tracking costs a training: the stage of TextCNN with stores that are well, slow, ill or dead.

Each side is one whole run of the stage's script on the same corpus, wall time; the sides take turns, and one
begins when nothing of the one before is left. `off` has no process other than the training. The slow server
answers every request 30 seconds late, the ill one with status 500; both are a proxy before a real MLflow
server. `same weights` compares the bytes of the model folders.
"""

import argparse
import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.machine import RESULTS, part, report
from convoy.core.files import MANIFEST, sha256
from tests.pipelines import workspace
from tests.tracking.servers import free_port, train, trouble, wait_for

ALLOWED = 1.05


def run(items: int, epochs: int, rounds: int, results: Path = RESULTS) -> Path:
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as temporary:
        folder = workspace.make(
            Path(temporary) / "project",
            {
                "streamrec.catalogue.synthetic.items": items,
                "streamrec.models.textcnn": {"training": {"epochs": epochs, "patience": epochs}},
            },
        )
        with part("corpus"):
            done = workspace.shell("dvc repro streamrec-corpus-gate", folder)
        assert done.returncode == 0, done.stdout
        weights: dict[str, set[str]] = {}
        seconds: dict[str, list[float]] = {}
        with _stores(folder) as stores:
            with part("warm-up: off"):
                _seconds(folder, stores["off"])  # compiles what later ones find compiled
            for number, (name, settings) in itertools.product(range(rounds), stores.items()):
                with part(f"round {number + 1} of {rounds}: {name}"):
                    seconds.setdefault(name, []).append(_seconds(folder, settings))
                content = sha256(folder / "data/streamrec/models/textcnn" / MANIFEST)
                weights.setdefault(name, set()).add(content)
    rows = []
    for name, values in seconds.items():
        ratio = median(values) / median(seconds["off"])
        row: dict[str, Any] = {"store": name, "train, s": median(values), "times off": ratio}
        row |= {
            "allowed": ALLOWED,
            "same weights": weights[name] == weights["off"] and len(weights[name]) == 1,
        }
        rows.append(row)
    facts = {"what": " ".join((__doc__ or "").split()), "items": items, "epochs": epochs, "seconds": seconds}
    return report("tracking", rows, facts, ["mlflow", "torch"], results)


@contextlib.contextmanager
def _stores(folder: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The environments to train in, by name."""
    with contextlib.ExitStack() as stack:
        stores: dict[str, dict[str, str]] = {"off": {"CONVOY_TRACKING": "off"}, "SQLite": {}}
        stores["dead server"] = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
        for mode in ("well", "slow", "ill"):
            with part(f"{mode} server: start"):
                proxy, _ = stack.enter_context(trouble(folder.parent / mode))
            proxy.mode = mode
            stores[f"{mode} server"] = {"MLFLOW_TRACKING_URI": proxy.uri}
        yield stores


def _seconds(folder: Path, settings: dict[str, str]) -> float:
    began = time.perf_counter()
    done = train(folder, "textcnn", **settings)
    spent = time.perf_counter() - began
    assert done.returncode == 0, done.stdout
    wait_for(lambda: not any(_follows(process, folder) for process in psutil.process_iter(["cmdline"])), 300)
    return spent


def _follows(process: psutil.Process, folder: Path) -> bool:
    """True for a process that uploads the event log of a training in `folder`."""
    command = process.info["cmdline"] or []
    return "convoy.tracking.live" in command and any(str(folder) in argument for argument in command)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=6_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    run(options.items, options.epochs, options.rounds)


if __name__ == "__main__":
    main()
