"""The larger setting of the downscaling network, by the README's command in a clone of the committed HEAD.

No speed is compared here: it shows how near to the noise floor more width and more epochs come, on every
split. It trains for as long as that setting needs, and is not among those that `python -m benchmarks` runs:
`python -m benchmarks.larger`. Intervals are of 95%, by bootstrap over blocks of 30 days; `share` is that of
the way from the best baseline to the noise floor.
"""

import argparse
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, report
from convoy.climate.downscaling.evaluation.files import FILES

ROOT = Path(__file__).resolve().parents[1]
# By the name of the column; the file has them in the model's metrics.
FIGURES = {
    "RMSE, K": "rmse", "low": "rmse_low", "high": "rmse_high", "best baseline": "best_baseline",
    "its RMSE, K": "best_baseline_rmse", "share": "noise_floor_share", "share low": "noise_floor_share_low",
    "share high": "noise_floor_share_high", "change error, K": "change_error", "sd ratio": "sd_ratio",
}  # fmt: skip


def settings(readme: str) -> list[str]:
    """What the README sets for the larger network, `key=value` each."""
    (command,) = re.findall(r"dvc exp run [\w-]+ (-S \S+hidden=.+)", readme.replace("\\\n", ""))
    return re.findall(r"-S (\S+)", command)


def run(chosen: list[str], results: Path = RESULTS) -> Path:
    """Train, evaluate and report the network `residual` with the params `chosen`."""
    with tempfile.TemporaryDirectory(prefix="convoy-bench-") as temporary:
        folder = Path(temporary) / "checkout"
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        options = [part for setting in chosen for part in ("-S", setting)]
        subprocess.run(
            ["dvc", "exp", "run", *options, "climate-compare"], cwd=folder, check=True,
            env={**os.environ, "PATH": f"{folder / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        metrics = figures(folder, "residual")
    what = " ".join((__doc__ or "").split())
    facts = {"what": what, "params": chosen, "noise floor, K": metrics["noise_floor"]["rmse"]}
    return report("larger", rows(metrics), facts, ["torch"], results)


def figures(checkout: Path, model: str) -> dict[str, Any]:
    """All figures of a downscaling model in a checkout."""
    return FILES.read_from({name: checkout / path for name, path in FILES.of(model).items()})


def rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per split of a model's metrics."""
    return [
        {"split": split, **{column: found[key] for column, key in FIGURES.items()}}
        for split, found in metrics.items()
        if split != "noise_floor"
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--set", nargs="+", metavar="KEY=VALUE", help="instead of the README's")
    chosen = parser.parse_args().set or settings((ROOT / "README.md").read_text(encoding="utf-8"))
    run(chosen)


if __name__ == "__main__":
    main()
