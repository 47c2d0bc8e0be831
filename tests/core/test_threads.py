"""How OpenMP's threads wait: in stages, and as the caller's shell says where it does."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
OURS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, OURS),
        ({"OMP_WAIT_POLICY": ""}, OURS),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
    ],
)
def test_a_stage_knows_how_to_wait_before_torch_is_loaded(
    given: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "stage.py"
    script.write_text(f"""
import json, os, sys
assert not {{"torch", "numba", "sklearn"}} & set(sys.modules)
print(json.dumps({{name: os.environ[name] for name in {NAMES} if os.environ.get(name)}}))
""")
    here = {name: value for name, value in os.environ.items() if name not in NAMES}
    said = subprocess.run(
        [sys.executable, "-P", "-m", "convoy.core.stage", str(script)],
        env={**here, **given, "PYTHONPATH": str(ROOT / "src")}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert json.loads(said) == expected


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="thresholds of glibc's malloc")
@pytest.mark.parametrize(("given", "kept"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "131072"}, False)])
def test_a_stage_keeps_the_memory_of_freed_arrays(given: dict[str, str], kept: bool, tmp_path: Path) -> None:
    script = tmp_path / "stage.py"
    script.write_text("""
import numpy as np, resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**22)  # 32 MB
began = faults()
for _ in range(40):
    np.ones(2**22)
print(faults() - began)
""")
    here = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    said = subprocess.run(
        [sys.executable, "-P", "-m", "convoy.core.stage", str(script)],
        env={**here, **given, "PYTHONPATH": str(ROOT / "src")}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    # A page of 2 MB costs one fault: 640 of them at least, or 327,680 of 4 kB.
    assert (int(said) < 200) is kept
