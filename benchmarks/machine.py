"""What the benchmarks share: the machine's name, progress, sides measured in turn, a table, a JSON file."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).resolve().parent / "results"
Row = Mapping[str, Any]
# The environment that keeps torch and the compiled kernels to what a CPU with AVX2 alone has. oneDNN's
# variable decides on bfloat16 too: results name the limit by it.
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
    """Cores, CPU and GPU, and the instructions that torch is limited to, by the CPU or by its settings."""
    limited = os.environ.get("ONEDNN_MAX_CPU_ISA") or _newest_below_avx512()
    return {"cores": cores(), "cpu": cpu(), "gpu": gpu(), **({"limited to": limited} if limited else {})}


def _newest_below_avx512() -> str | None:
    """AVX2 on a CPU that has nothing newer; None on others and where Linux does not tell."""
    facts = Path("/proc/cpuinfo")
    flags = set(facts.read_text(encoding="utf-8").split()) if facts.exists() else set()
    return "AVX2" if "avx2" in flags and "avx512f" not in flags else None


@contextlib.contextmanager
def part(name: str) -> Iterator[None]:
    """Print the name of a part as it begins, and its seconds as it ends."""
    print(f"  {name} …", end="", flush=True)
    began = time.perf_counter()
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.perf_counter() - began:.1f} s", flush=True)


def in_turn(sides: Mapping[str, Callable[[], Any]], rounds: int, what: str = "") -> dict[str, list[float]]:
    """Seconds of each side in so many rounds, A B A B …, after a first one that is not counted."""
    of = f"{what}, " if what else ""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            with part(f"{of}round {number} of {rounds}: {name}" if number else f"{of}warm-up: {name}"):
                began = time.perf_counter()
                side()
                seconds[name].append(round(time.perf_counter() - began, 6))
    return {name: values[1:] for name, values in seconds.items()}


def report(
    name: str, rows: Sequence[Row], measured: Row, libraries: Sequence[str], results: Path = RESULTS
) -> Path:
    """Print `rows`, whose keys are the columns, and write all as JSON under the machine's name.

    `measured`: sizes, single rounds and words that describe the rows; `libraries`: those whose versions
    matter.
    """
    here = machine()
    on = f"{here['cores']} cores, {here['cpu']}" + (f", {here['gpu']}" if here["gpu"] else "")
    on += f", limited to {here['limited to']}" if "limited to" in here else ""
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
    """Print a title and a table whose columns are the keys of the rows, in the order of first occurrence."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table()
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=not numeric)
    for row in rows:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    console = Console()
    if not console.is_terminal:
        console.width = 120
    # A title of the table's own is broken to the table's width.
    console.print(title, soft_wrap=True)
    console.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
