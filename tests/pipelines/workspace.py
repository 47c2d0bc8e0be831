"""A small copy of the checkout in which DVC runs: files as they are now, few items, quick training."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT

SMALL: dict[str, Any] = {
    "streamrec.catalogue.synthetic.items": 2000,
    "streamrec.models.bow": {"training": {"epochs": 2, "patience": 2, "threads": 1}},
    "streamrec.models.textcnn": {
        "num_filters": 20,
        "training": {"epochs": 2, "patience": 2, "threads": 1},
    },
    "streamrec.recommender.interactions.synthetic": {"users": 60, "slates": 10},
    "streamrec.recommender.clicks": {"seeds": [0, 1], "training": {"epochs": 1}},
    "streamrec.recommender.evaluate.resamples": 200,
    "climate.grids.synthetic.years": 4,
    "climate.baselines": ["bicubic", "lapse_daily"],
    "climate.models.residual": {
        "width": 4,
        "hidden": 8,
        "depth": 1,
        "training": {"epochs": 1, "patience": 1, "threads": 1},
    },
    "climate.evaluate.resamples": 200,
    "climate.series.data.synthetic": {"sites": 200, "years": 1},
    "climate.series.models.temporal_cnn": {
        "n_filters": 4,
        "n_layers": 2,
        "output_dim": 8,
        "training": {"epochs": 1, "threads": 1},
    },
    "climate.events.images.synthetic": {"train": 60, "validation": 50, "test": 50},
    "climate.events.models": {
        "simple_cnn": {"width": 4, "training": {"epochs": 1, "threads": 1}},
        "simple_cnn_marked": {"width": 4, "training": {"epochs": 1, "threads": 1}},
    },
    "climate.events.evaluate.resamples": 200,
    "streamrec.sweep": {"items": 1000, "phrase_fidelity": [0.9], "word_fidelity": [0.35], "synonyms": [8]},
}


def make(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """A git repository at `folder` with one commit, its .venv a link to the checkout's.

    Without dvc.lock, which is of other params: DVC would rewrite its thousands of lines at each stage.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    _share_compiled_kernels(folder)
    edit(folder, {**SMALL, **(changes or {})})
    identity = ["-c", "user.name=convoy", "-c", "user.email=convoy@example.org"]
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    # Of the checkout's .gitignore, `__pycache__/` is of folders alone.
    (folder / ".git/info/exclude").write_text("__pycache__\n")
    for command in (["add", "-A"], [*identity, "commit", "-qm", "small"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def _share_compiled_kernels(folder: Path) -> None:
    """Let stages use what numba compiled for the checkout, or compile it there, for all that come after."""
    compiled = "src/convoy/nn/kernels/__pycache__"
    (ROOT / compiled).mkdir(exist_ok=True)
    (folder / compiled).symlink_to(ROOT / compiled)


def merged(old: Any, new: Any) -> Any:
    """`new`, with the keys of `old` that it leaves out where both are mappings."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}


def edit(folder: Path, changes: dict[str, Any]) -> None:
    """Set dotted keys in params.yaml."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    for dotted, value in changes.items():
        *parents, key = dotted.split(".")
        section = params
        for parent in parents:
            section = section[parent]
        section[key] = merged(section.get(key), value)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def shell(command: str, folder: Path, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run a command as a user with the activated environment would; stderr goes into stdout."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "PYTHON", "MLFLOW_", "_MLFLOW"))  # tests in process leave them behind
    }
    environment["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        command, shell=True, executable="/bin/bash", cwd=folder, env=environment, timeout=timeout,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
