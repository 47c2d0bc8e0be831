"""Temporary folders, also those of processes that were killed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from convoy.tracking import scratch_io
from convoy.tracking.scratch_io import scratch
from tests.tracking.servers import wait_for

HOLDS = """
import time
from convoy.tracking.scratch_io import scratch
with scratch("model") as folder:
    open(f"{folder}/weights", "w").write("x")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch_io, "_SECONDS_TO_LOCK", 0.0)
    return tmp_path


def test_a_folder_goes_at_the_end_also_after_an_error(temporary: Path) -> None:
    def fail() -> None:
        with scratch("upload") as folder:
            assert Path(folder).parent == temporary
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert list(temporary.iterdir()) == []


def test_folders_of_killed_processes_go_and_those_of_the_living_stay(temporary: Path) -> None:
    for name in ("convoy-model-mine", "convoy-other-abcdefgh", "tmpabcdefgh"):
        (temporary / name).mkdir()
    (temporary / "convoy-model-abcdefgh").symlink_to(temporary / "tmpabcdefgh")
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    with scratch("model"):
        assert (folder / "weights").is_file()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (folder / "weights").is_file()
    with scratch("evidence") as other:
        wait_for(lambda: not folder.exists(), 10)
        kept = {Path(other).name, "convoy-model-mine", "convoy-other-abcdefgh", "tmpabcdefgh"}
        assert {path.name for path in temporary.iterdir()} == {*kept, "convoy-model-abcdefgh"}


def test_a_folder_that_is_not_locked_yet_stays(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_io, "_SECONDS_TO_LOCK", 60.0)
    (temporary / "convoy-model-abcdefgh").mkdir()
    with scratch("model"):
        assert (temporary / "convoy-model-abcdefgh").is_dir()
