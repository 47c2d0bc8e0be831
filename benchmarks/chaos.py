"""Kill every stage at random moments, repeat, and compare with an unbroken run.

In a clone of the committed HEAD, with a small catalogue, few years and short training, the pipeline runs
once without a break. Then each stage is made stale ten times and killed (-9) somewhere between its start and
its end: DVC alone (the stage lives on), the stage alone, or both. A plain `dvc repro` must then give the same
dvc.lock, and in between no output may be half-written. Ctrl-C must end without a traceback.
Exit code 1 where anything differs; the table is also written to benchmarks/results/chaos.json.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "chaos.json"
VICTIMS = ("dvc", "stage", "both")
HUNG_S = 1800.0
PARTIAL, CHECKPOINTS = "data/**/.*.partial-*", "data/checkpoints/*"
# Messages of DVC about a file that it was writing, in place, when it was killed.
TORN = {
    "dvc.lock' validation failed": "torn dvc.lock",
    "dvc.lock' is invalid": "torn dvc.lock",
    "RWLock-file": "torn rwlock",
}

# Small and quick, with a checkpoint after every epoch, so that kills fall before, between and after them.
TRAINING = {"epochs": 3, "patience": 3, "checkpoint_seconds": 0}
PRESET = {
    "streamrec.catalogue.synthetic.items": 2000,
    "streamrec.models.bow.training": TRAINING,
    "streamrec.models.textcnn.training": TRAINING,
    "streamrec.evaluate.resamples": 200,
    "streamrec.sweep.items": 2000,
    "streamrec.sweep.synonyms": [8],
    "streamrec.sweep.word_fidelity": [0.35],
    "climate.grids.synthetic.years": 4,
    "climate.models.residual": {"width": 4, "hidden": 8, "depth": 1, "training": TRAINING},
    "climate.evaluate.resamples": 200,
}


class Run:
    """One `dvc repro` in a session of its own, as a terminal gives it; what it prints goes to a file."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = Path(tempfile.mkstemp(prefix="chaos-", suffix=".log")[1])
        path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        with self.log.open("w") as log:
            self.dvc = psutil.Popen(
                ["dvc", "repro", "--no-run-cache", *arguments],
                cwd=folder,
                env={**os.environ, "PATH": path},
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stage(self) -> list[psutil.Process]:
        """The living processes of the stage that DVC runs at the moment."""
        try:
            return list(self.dvc.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def until_stage(self) -> list[psutil.Process]:
        while self.dvc.poll() is None:
            if processes := self.stage():
                return processes
            time.sleep(0.005)
        return []

    def end(self) -> tuple[int, str]:
        """Wait for DVC; its exit code and everything printed so far."""
        code = self.dvc.wait(HUNG_S)
        printed = self.log.read_text(encoding="utf-8", errors="replace")
        self.log.unlink()
        return code, printed


class Workspace:
    """A clone in which stages run, die and are compared with their unbroken selves."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", source, folder], check=True)
        (folder / ".venv").symlink_to((source / ".venv").resolve())
        (folder / ".git" / "info" / "exclude").write_text(".venv\n", encoding="utf-8")
        apply_preset(folder / "params.yaml")
        # With the stages of other params in it, which the preset does not have.
        (folder / "dvc.lock").unlink(missing_ok=True)
        code, printed = Run(folder).end()
        if code != 0:
            raise SystemExit(f"chaos: the unbroken run fails:\n{printed}")
        self._commit()
        self.reference = self.lock()
        self.digests = {path: digest(folder / path) for stage in self.stages for path in self.outputs(stage)}

    @property
    def stages(self) -> list[str]:
        return list(self.reference["stages"])

    def outputs(self, stage: str) -> list[str]:
        return [output["path"] for output in self.reference["stages"][stage].get("outs", [])]

    def lock(self) -> Any:
        return yaml.safe_load((self.folder / "dvc.lock").read_text(encoding="utf-8"))

    def lock_is_torn(self) -> bool:
        """Whether DVC died while it wrote dvc.lock; what is there of it often passes for a whole one."""
        return not (self.folder / "dvc.lock").read_text(encoding="utf-8").endswith("\n")

    def mend(self) -> None:
        subprocess.run(["make", "mend"], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def stale(self, stage: str) -> Run:
        """Run `stage` anew: without its entry in dvc.lock, while its former outputs are still there."""
        stages = {name: entry for name, entry in self.reference["stages"].items() if name != stage}
        text = yaml.safe_dump({**self.reference, "stages": stages}, sort_keys=False)
        (self.folder / "dvc.lock").write_text(text, encoding="utf-8")
        return self.again(stage)

    def again(self, stage: str) -> Run:
        return Run(self.folder, "--single-item", stage)

    def halves(self, stage: str) -> list[str]:
        """Outputs of `stage` that are there, but not as the unbroken run left them."""
        present = [path for path in self.outputs(stage) if (self.folder / path).exists()]
        return [
            f"half-written: {path}" for path in present if digest(self.folder / path) != self.digests[path]
        ]

    def leftovers(self, *patterns: str) -> list[str]:
        found = [path for pattern in patterns for path in self.folder.glob(pattern)]
        return [f"left behind: {path.relative_to(self.folder)}" for path in found]

    def differences(self, stage: str) -> list[str]:
        """Differences of this workspace from the uninterrupted one, after `stage` has run to its end."""
        missing = [path for path in self.outputs(stage) if not (self.folder / path).exists()]
        found = [f"missing: {path}" for path in missing] + self.halves(stage)
        found += self.leftovers(PARTIAL, CHECKPOINTS)
        return found if self.lock() == self.reference else [*found, "dvc.lock differs"]

    def _commit(self) -> None:
        # `make mend` goes back to the committed dvc.lock, so that has to be the unbroken run's.
        git = ["git", "-c", "user.name=chaos", "-c", "user.email=chaos@localhost"]
        subprocess.run([*git, "add", "--", "dvc.lock"], cwd=self.folder, check=True)
        message = "The unbroken run"
        subprocess.run(
            [*git, "commit", "--quiet", "--all", "--allow-empty", "-m", message], cwd=self.folder, check=True
        )


def apply_preset(params: Path) -> None:
    """Write the preset's values into params.yaml, those whose section is there."""
    if not params.exists():
        return
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    for key, value in PRESET.items():
        *sections, last = key.split(".")
        section: Any = values
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section[last] = value
    params.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's names and bytes."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    total = hashlib.sha256()
    for file in files:
        total.update(file.relative_to(path).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def lifetime(workspace: Workspace, stage: str) -> float:
    """Seconds that the stage's process lives when nobody disturbs it."""
    run = workspace.stale(stage)
    processes = run.until_stage()
    begun = time.monotonic()
    psutil.wait_procs(processes, timeout=HUNG_S)
    seconds = time.monotonic() - begun
    code, printed = run.end()
    if code != 0 or workspace.differences(stage):
        raise SystemExit(f"chaos: {stage} does not repeat itself: {workspace.differences(stage)}\n{printed}")
    return seconds


def strike(run: Run, victim: str, delay_s: float) -> tuple[bool, list[psutil.Process]]:
    """Kill `victim` so long after the stage's start; whether it was still there, and who lives on."""
    run.until_stage()
    time.sleep(delay_s)
    stage = run.stage()
    targets = {"dvc": [run.dvc], "stage": stage, "both": [run.dvc, *stage]}.get(victim, [])
    # Without its stage, DVC may be past the point at which it still reports an end by Ctrl-C.
    living = run.dvc.poll() is None and (bool(stage) or victim in {"dvc", "both"})
    if victim == "interrupt" and living:
        os.killpg(run.dvc.pid, signal.SIGINT)
    for process in targets:
        if process.is_running():
            process.kill()
    return living, stage


def strike_and_mend(
    workspace: Workspace, stage: str, victim: str, delay_s: float, orphan_first: bool
) -> tuple[str, list[str]]:
    """One round: kill, look, repeat, compare. What happened (hit, missed, torn ...), and what is wrong."""
    run = workspace.stale(stage)
    hit, orphans = strike(run, victim, delay_s)
    code, printed = run.end()
    problems = []
    if victim == "interrupt" and hit:
        problems += [f"Ctrl-C: {printed}"] if "Traceback" in printed else []
        problems += ["Ctrl-C: exit code 0"] if code == 0 else []
        problems += workspace.leftovers(PARTIAL)  # a checkpoint stays: the next run goes on from it
    if victim != "dvc" or orphan_first:
        psutil.wait_procs(orphans, timeout=HUNG_S)
        problems += workspace.halves(stage)
    outcome = "hit" if hit else "missed"
    if workspace.lock_is_torn():
        outcome = "torn dvc.lock"
        workspace.mend()
    code, printed = workspace.again(stage).end()
    torn = [name for sign, name in TORN.items() if sign in printed]
    if code != 0 and torn:
        outcome = torn[0]
        workspace.mend()
        code, printed = workspace.again(stage).end()
    if code != 0:
        problems.append(f"repro fails: {printed}")
    # One that was late for the workspace's lock writes its outputs only now: they must be the same.
    _, living = psutil.wait_procs(orphans, timeout=60)
    problems += [f"still alive: {process.pid}" for process in living]
    return outcome, problems + workspace.differences(stage)


def torment(workspace: Workspace, stage: str, kills: int, interrupts: int, moments: random.Random) -> Any:
    """All rounds of one stage as a row of the result."""
    seconds = lifetime(workspace, stage)
    outcomes: Counter[str] = Counter()
    problems: list[str] = []
    plan = [VICTIMS[count % 3] for count in range(kills)] + ["interrupt"] * interrupts
    for count, victim in enumerate(plan):
        for _ in range(5):
            # A little beyond the stage's end: DVC hashes and records what it made.
            delay_s = moments.uniform(0, seconds + 0.2)
            outcome, found = strike_and_mend(workspace, stage, victim, delay_s, count // 3 % 2 == 0)
            problems += [f"{victim} killed after {delay_s:.2f} s: {problem}" for problem in found]
            outcomes[outcome] += 1
            if outcome != "missed":
                outcomes[victim] += 1
                break
    return {"seconds": round(seconds, 2), **outcomes, "problems": problems}


def show(results: Mapping[str, Any]) -> None:
    torn = sorted(set(TORN.values()))
    table = Table("stage", "alone, s", *VICTIMS, "Ctrl-C", *torn, "differences", box=None)
    for column in table.columns:
        column.no_wrap = True
    for stage, row in results.items():
        counts = [str(row.get(key, 0)) for key in (*VICTIMS, "interrupt", *torn)]
        table.add_row(stage, f"{row['seconds']:.1f}", *counts, str(len(row["problems"])))
    Console(width=110).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=10, help="kills of each stage (10)")
    parser.add_argument("--interrupts", type=int, default=2, help="Ctrl-C of each stage (2)")
    parser.add_argument("--stages", default="*", help="only those that match, such as 'streamrec-train@*'")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (0)")
    parser.add_argument("--source", type=Path, default=ROOT, help="the checkout to clone (this one)")
    options = parser.parse_args()
    # A shell that starts this in the background has it ignore Ctrl-C, and what it starts would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the clone goes, too
    moments = random.Random(options.seed)
    results = {}
    with tempfile.TemporaryDirectory(prefix="convoy-chaos-", ignore_cleanup_errors=True) as folder:
        print("chaos: the unbroken run", flush=True)
        workspace = Workspace(options.source, Path(folder) / "clone")
        for stage in fnmatch.filter(workspace.stages, options.stages):
            results[stage] = torment(workspace, stage, options.kills, options.interrupts, moments)
            counts = {key: value for key, value in results[stage].items() if key != "problems"}
            print(f"chaos: {stage} {counts}", *results[stage]["problems"], sep="\n  ", flush=True)
    show(results)
    if options.source == ROOT and options.stages == "*":
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        facts = {"seed": options.seed, "kills": options.kills, "interrupts": options.interrupts}
        RESULTS.write_text(json.dumps({**facts, "stages": results}, indent=2) + "\n", encoding="utf-8")
    return int(any(row["problems"] for row in results.values()))


if __name__ == "__main__":
    sys.exit(main())
