"""Exports of real processes into one folder: killed at any moment, or two at once."""

import json
import os
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.embeddings import io
from tests.conftest import ROOT
from tests.support.embedded import items, write_items

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
# Each line on standard input is an export of the file that it names; it answers with a line.
EXPORTS = """
import sys, time
from pathlib import Path
from convoy.core.errors import ConvoyError
from tests.support.embedded import write_items
pause = float(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    try:
        write_items(Path("out"), Path(line.strip()), progress=lambda *_: time.sleep(pause))
        print("written", flush=True)
    except ConvoyError as error:
        print(error, flush=True)
"""


@pytest.fixture
def exporter(tmp_path):
    """Start processes that export into tmp_path/out; they are ended with the test."""
    pq.write_table(items(100), tmp_path / "hundred.parquet")
    pq.write_table(items(90), tmp_path / "ninety.parquet")
    started = []

    def start(pause=0.0):
        process = subprocess.Popen(
            [sys.executable, "-c", EXPORTS, str(pause)], cwd=tmp_path, env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_kill_in_mid_export_leaves_the_former_version_and_the_next_run_finishes(tmp_path, exporter):
    process = exporter(pause=0.3)
    process.stdin.write("hundred.parquet\n")
    while not list(tmp_path.glob(".out.partial-*/_mmap/embeddings.npy")):
        time.sleep(0.01)
        assert not (tmp_path / "out").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(names(tmp_path)) == 3  # what it left is hidden, and no reader takes it for a version
    (left,) = tmp_path.glob(".out.partial-*")
    with pytest.raises(ConvoyError, match="not whole"):
        io.read(left)
    write_items(tmp_path / "out", tmp_path / "hundred.parquet")
    assert names(tmp_path) == ["hundred.parquet", "ninety.parquet", "out"]

    process = exporter(pause=0.3)
    process.stdin.write("ninety.parquet\n")
    while not list(tmp_path.glob(".out.partial-*/parquet/*")):
        assert len(io.read(tmp_path / "out")[0]) == 100
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(io.read(tmp_path / "out")[0]) == 100
    write_items(tmp_path / "out", tmp_path / "ninety.parquet")
    assert len(io.read(tmp_path / "out")[0]) == 90
    assert names(tmp_path) == ["hundred.parquet", "ninety.parquet", "out"]


def test_of_two_exports_at_once_one_wins_whole(tmp_path, exporter):
    files = ("hundred.parquet", "ninety.parquet")
    expected = []
    for name in files:
        write_items(tmp_path / "alone" / name, tmp_path / name)
        expected.append(io.read_manifest(tmp_path / "alone" / name))
    processes = [exporter() for _ in files]
    for _ in range(40):
        for process, name in zip(processes, files, strict=True):
            process.stdin.write(f"{name}\n")
        assert [process.stdout.readline() for process in processes] == ["written\n"] * 2
        manifest = io.read_manifest(tmp_path / "out")
        assert manifest in expected
        ids, vectors = io.read(tmp_path / "out")
        assert len(ids) == len(vectors) == manifest["items"]
        assert np.isfinite(vectors).all()
    assert names(tmp_path) == ["alone", "hundred.parquet", "ninety.parquet", "out"]


def test_readers_find_a_whole_version_at_any_moment_of_an_export(tmp_path, exporter):
    write_items(tmp_path / "out", tmp_path / "hundred.parquet")
    before = json.loads((tmp_path / "out" / io.MANIFEST).read_text())
    process = exporter()
    seen = set()
    for name in ["ninety.parquet", "hundred.parquet"] * 10:
        process.stdin.write(f"{name}\n")
        while not select.select([process.stdout], [], [], 0)[0]:
            seen.add(json.loads((tmp_path / "out" / io.MANIFEST).read_text())["items"])
        assert process.stdout.readline() == "written\n"
    assert seen == {90, 100}
    assert json.loads((tmp_path / "out" / io.MANIFEST).read_text()) == before
