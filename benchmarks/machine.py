"""What the benchmarks share: the name of the machine, sides measured in turn, a table and a JSON file."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parent / "results"
Row = Mapping[str, Any]
# The environment that keeps torch and the compiled kernels to what a CPU with AVX2 alone has.
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NUMBA_CPU_NAME": "haswell",
}


def cores() -> int:
    """CPU cores that this process may use: its affinity, or less by the quota of a container."""
    allowed = len(os.sched_getaffinity(0))
    quota = Path("/sys/fs/cgroup/cpu.max")
    limit, period = quota.read_text().split() if quota.is_file() else ("max", "1")
    return allowed if limit == "max" else max(1, min(allowed, int(limit) // int(period)))


def cpu() -> str:
    """The model of the CPU as the kernel calls it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return os.uname().machine


def gpu() -> str | None:
    """The model of the first GPU, if there is one."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    return names[0].strip() if names else None


def machine() -> dict[str, Any]:
    """Cores, CPU and GPU."""
    return {"cores": cores(), "cpu": cpu(), "gpu": gpu()}


def in_turn(sides: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each side in so many rounds, A B A B …, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            seconds[name].append(round(time.perf_counter() - began, 6))
    return {name: values[1:] for name, values in seconds.items()}


def report(
    name: str, rows: Sequence[Row], measured: Row, libraries: Sequence[str], results: Path = RESULTS
) -> Path:
    """Print `rows`, whose keys are the columns, and write all as JSON under the machine's name.

    `measured`: sizes, single rounds and words that say what the rows mean; `libraries`: those whose versions
    matter.
    """
    here = machine()
    on = f"{here['cores']} cores, {here['cpu']}" + (f", {here['gpu']}" if here["gpu"] else "")
    show(f"{name}: {on}", rows)
    facts = {
        "benchmark": name,
        "machine": here,
        "versions": {library: version(library) for library in libraries},
        "measured": measured,
        "rows": rows,
    }
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{name}.{re.sub('[^a-z0-9]+', '-', on.lower()).strip('-')}.json"
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return path


def show(title: str, rows: Sequence[Row]) -> None:
    """Print a table whose columns are the keys of the rows, in the order in which they first occur."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=not numeric)
    for row in rows:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    console = Console()
    if not console.is_terminal:
        console.width = 120
    console.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
