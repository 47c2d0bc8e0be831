"""How OpenMP's threads wait: alike in stages and commands, and as the caller's shell says where it does."""

import os
import subprocess
from pathlib import Path

import pytest

from convoy import threads
from tests.conftest import ROOT

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
OURS = dict(zip(NAMES, (threads.POLICY, threads.TURNS), strict=True))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, OURS),
        ({"OMP_WAIT_POLICY": ""}, OURS),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
    ],
)
def test_commands_and_stages_wait_alike(
    given: dict[str, str], expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, given.get(name, ""))
        if name not in given:
            monkeypatch.delenv(name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nenv\n")
    python.chmod(0o755)
    run = [str(ROOT / "pipelines" / "run"), "some/stage.py"]
    said = subprocess.run(
        run, env={**os.environ, "DVC_ROOT": str(tmp_path)}, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert {line for line in said if line.startswith(NAMES)} == {f"{k}={v}" for k, v in expected.items()}
    threads.sleep_soon()
    assert {name: os.environ[name] for name in NAMES if os.environ.get(name)} == expected
