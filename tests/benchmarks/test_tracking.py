"""The benchmark of tracking: it waits for the uploaders of its own trainings, and for nobody else's."""

import subprocess
import sys

import psutil

from benchmarks import tracking


def test_an_uploader_is_known_by_the_folder_of_its_event_log(tmp_path):
    log = tmp_path / "project" / "mlruns" / "log.jsonl"
    command = [sys.executable, "-c", "input()", "convoy.tracking.live", str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as uploader:
        running = [process for process in psutil.process_iter(["cmdline"]) if process.pid == uploader.pid]
        assert [tracking._follows(process, tmp_path / "project") for process in running] == [True]
        assert [tracking._follows(process, tmp_path / "other") for process in running] == [False]
        uploader.communicate(b"\n")
