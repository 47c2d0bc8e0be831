"""Peak memory of `convoy embed`: the resident set of its process, libraries included, by catalogue size."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, part, report

REQUIRED_GB = 1.2  # at a million items


def peak(command: Sequence[str]) -> tuple[int, float]:
    """Peak resident bytes of a command's process, and its seconds."""
    # A child's peak counts that of its parent before exec, so this module imports nothing large.
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)}: ended with {process.returncode}"
    return usage.ru_maxrss * 1024, time.perf_counter() - began


def embed(folder: Path, items: int) -> tuple[int, float]:
    """Peak bytes and seconds of `convoy embed` on catalogue-ITEMS.parquet; what it wrote is removed."""
    paths = [str(folder / f"catalogue-{items}.parquet"), str(folder / "out")]
    command = [sys.executable, "-m", "convoy.cli.app", "embed", *paths, "--model", str(folder / "model")]
    found = peak(command)
    shutil.rmtree(folder / "out")
    return found


def measure(folder: Path, sizes: Sequence[int], results: Path = RESULTS) -> Path:
    """Measure and report for a folder that benchmarks.workload has filled."""
    peaks = {}
    for items in sorted(sizes):
        with part(f"convoy embed, {items:,} items"):
            peaks[items] = embed(folder, items)
    rows: list[dict[str, Any]] = []
    for items, (peak_bytes, seconds) in peaks.items():
        row = {"items": items, "peak, GB": peak_bytes / 1e9, "at most, GB": REQUIRED_GB}
        rows.append({**row, "seconds": seconds, "items/s": items / seconds})
    return report("memory", rows, {"what": __doc__}, ["pyarrow", "numba"], results)


def run(sizes: Sequence[int]) -> Path:
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as folder:
        command = [sys.executable, "-m", "benchmarks.workload", folder, *map(str, sizes)]
        with part("catalogues and model"):
            subprocess.run(command, check=True)
        return measure(Path(folder), sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[50_000, 1_000_000])
    run(parser.parse_args().items)


if __name__ == "__main__":
    main()
