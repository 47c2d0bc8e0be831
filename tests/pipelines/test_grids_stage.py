"""The grids stage in a folder of its own: synthetic, a person's files, and a refusal."""

import os
import subprocess
import sys

import numpy as np
import yaml

from convoy.climate.data import io as grids
from convoy.core import files
from tests.conftest import ROOT
from tests.support.gridfiles import daily, write


def run(folder, **section):
    (folder / "params.yaml").write_text(yaml.safe_dump({"climate": {"grids": section}}))
    return subprocess.run(
        [sys.executable, "-P", "-m", "convoy.core.stage", ROOT / "pipelines/climate/grids.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_synthetic_grids(tmp_path):
    done = run(tmp_path, synthetic={"years": 4})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3
    facts = grids.read_facts(tmp_path / "data/climate/grids")
    assert facts["inputs"] == ["tasmax", "psl", "huss"]
    assert (facts["factor"], facts["perfect"], facts["left_out"]) == (4, True, {})
    assert len(facts["domains"]) == 7
    (test,) = grids.read(tmp_path / "data/climate/grids", "test")
    assert test.target.shape == (365, 64, 64)


def test_files_twice_give_the_same_bytes(tmp_path):
    write(tmp_path / "tx.nc", daily(name="tx", times=np.arange(200.0)))
    write(tmp_path / "tn.nc", daily(name="tn", times=np.arange(190.0)))
    source = {"fine": ["tx.nc", "tn.nc"], "factor": 4}
    manifests = []
    for _ in range(2):
        done = run(tmp_path, source=source)
        assert (done.returncode, done.stderr) == (0, "")
        manifests.append(files.check_manifest(tmp_path / "data/climate/grids"))
    assert manifests[0] == manifests[1]
    assert done.stdout.splitlines()[2] == "left out: days of fine tasmax 10"


def test_a_broken_file_is_one_line_and_leaves_nothing(tmp_path):
    path = write(tmp_path / "tx.nc", daily(name="tx"))
    path.write_bytes(path.read_bytes()[:5000])
    done = run(tmp_path, source={"fine": "tx.nc", "factor": 4})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("convoy: tx.nc: cannot be opened, truncated or broken (")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()
