"""`convoy downscale` on 10 and on 100 years: the peak resident set of its process, and days a second.

The network has the default size; its weights do not matter here. The input is one file of 16 x 16 cells that
repeats the synthetic climate's days under running dates.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, part, report
from benchmarks.memory import peak

REQUIRED_GB = 1.5
DAYS = 365


def measure(folder: Path, years: Sequence[int], results: Path = RESULTS) -> Path:
    """Measure and report for a folder that benchmarks.century_files has filled."""
    rows: list[dict[str, Any]] = []
    for count in sorted(years):
        coarse, out = folder / f"coarse-{count}.nc", folder / "fine.nc"
        command = [sys.executable, "-m", "convoy.cli.app", "downscale", str(coarse), str(out)]
        with part(f"convoy downscale, {count} years"):
            peak_bytes, seconds = peak([*command, "--model", str(folder / "model")])
        row = {"years": count, "peak, GB": peak_bytes / 1e9, "at most, GB": REQUIRED_GB}
        row["written, GB"] = out.stat().st_size / 1e9
        out.unlink()
        rows.append({**row, "seconds": seconds, "days/s": count * DAYS / seconds})
    return report("century", rows, {"what": " ".join((__doc__ or "").split())}, ["torch", "netCDF4"], results)


def run(years: Sequence[int]) -> Path:
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as folder:
        command = [sys.executable, "-m", "benchmarks.century_files", folder, *map(str, years)]
        with part("coarse files and model"):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return measure(Path(folder), years)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--years", type=int, nargs="+", default=[10, 100])
    run(parser.parse_args().years)


if __name__ == "__main__":
    main()
