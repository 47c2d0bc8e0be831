"""`dvc repro` with nothing to do, compared with a bare DVC project of as many stages that do nothing.

In the bare project, a git repository of its own, each stage writes one line into one output and has no
dependency. Both projects are up to date before anything is timed, and the two take turns. Seconds are the
wall time of the whole command, the start of DVC included; CPU seconds, of the same commands, change less
where other work shares the cores.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import RESULTS, in_turn, report

ROOT = Path(__file__).resolve().parents[1]
REQUIRED = 1.6
PROJECT, BARE = "this project", "bare DVC"
NOTHING_TO_DO = "Data and pipelines are up to date."
# What DVC and git set for the processes that they start would lead them into another project.
FOREIGN = ("DVC_ROOT", "DVC_STAGE", "DVC_EXP_NAME", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")


def run(project: Path, rounds: int, results: Path = RESULTS) -> Path | None:
    """Measure `project`; None, with a line that gives the reason, where it is not up to date."""
    planned = dvc(project, "repro", "--dry")
    if NOTHING_TO_DO not in planned:
        stale = [line for line in planned.splitlines() if line.startswith("Running stage")]
        print(f"noop: skipped: run `dvc repro` first; not up to date: {' '.join(stale[:1])}")
        return None
    stages = len(dvc(project, "stage", "list", "--name-only").split())
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as temporary:
        folders = {PROJECT: project, BARE: Path(temporary)}
        write_bare(folders[BARE], stages)
        cpu: dict[str, list[float]] = {side: [] for side in folders}
        sides = {side: partial(repro, folder, cpu[side]) for side, folder in folders.items()}
        seconds = in_turn(sides, rounds)
    cpu = {side: values[1:] for side, values in cpu.items()}
    rows = [
        {
            "side": side,
            "stages": stages,
            "seconds": median(seconds[side]),
            "times bare": median(seconds[side]) / median(seconds[BARE]),
            "CPU seconds": median(cpu[side]),
            "times bare, CPU": median(cpu[side]) / median(cpu[BARE]),
            "at most": REQUIRED if side == PROJECT else None,
        }
        for side in folders
    ]
    measured: dict[str, Any] = {"what": " ".join((__doc__ or "").split()), "seconds": seconds, "CPU": cpu}
    return report("noop", rows, measured, ["dvc"], results)


def write_bare(folder: Path, stages: int) -> None:
    """Make a DVC project of so many stages at `folder` and reproduce it."""
    subprocess.run(["git", "init", "--quiet", folder], check=True, env=environment())
    dvc(folder, "init", "--quiet")
    dvc(folder, "config", "core.analytics", "false")
    text = "".join(f"  s{n}:\n    cmd: echo {n} > {n}.txt\n    outs: [{n}.txt]\n" for n in range(stages))
    (folder / "dvc.yaml").write_text(f"stages:\n{text}", encoding="utf-8")
    dvc(folder, "repro", "--quiet")


def repro(folder: Path, cpu: list[float]) -> None:
    """Run `dvc repro`, which must find nothing to do; its CPU seconds are appended to `cpu`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert NOTHING_TO_DO in dvc(folder, "repro"), f"{folder}: a stage ran"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu.append(round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3))


def dvc(folder: Path, *command: str) -> str:
    """Run a command of DVC in `folder`; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"dvc {' '.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in FOREIGN}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--project", type=Path, default=ROOT, help="up to date (this checkout)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    run(options.project.resolve(), options.rounds)


if __name__ == "__main__":
    main()
