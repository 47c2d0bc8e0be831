"""The dashboard's process: its port, its server and how both end."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from tests.tracking.servers import (
    DASHBOARD,
    dashboard,
    environment,
    free_port,
    port_told,
    started,
    stop,
    wait_for,
)


def server_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The dashboard's server, once it starts; libraries start other children, such as `uname`."""

    def found() -> psutil.Process | None:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):
                if "mlflow" in child.cmdline():
                    return child
        return None

    return wait_for(found)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def once(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """The program where it ends by itself."""
    return subprocess.run(
        [*DASHBOARD, *arguments], cwd=folder, env=environment(folder, **settings), timeout=120, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A repository in which nothing ran."""
    (tmp_path / "empty" / ".dvc").mkdir(parents=True)
    (tmp_path / "empty" / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "empty" / "src").symlink_to(Path(__file__).parents[2] / "src")
    return tmp_path / "empty"


def test_it_ends_at_ctrl_c_and_leaves_no_process(empty: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with socket.create_server(("127.0.0.1", port)), dashboard(empty, port, log) as (process, found):
        said = log.read_text()
        assert f"port {port} is taken" in said
        assert "no runs yet: `make repro`" in said
        assert found > port
        asked = urllib.request.Request(f"http://127.0.0.1:{found}/", headers={"Host": "example.org"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(asked)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert log.read_text().endswith("dashboard: ended\n")
    assert "Traceback" not in log.read_text()
    assert not listens(found)


class AlwaysWell(BaseHTTPRequestHandler):
    """Another program that says it is well, as another dashboard does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_a_port_taken_while_the_server_starts_is_left_to_who_took_it(empty: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    thief = ThreadingHTTPServer(("127.0.0.1", port), AlwaysWell, bind_and_activate=False)
    with dashboard(empty, port, log, lambda process: take(thief, process)) as (process, found):
        assert found > port
        assert f"port {port} is taken; using {found}" in log.read_text()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    thief.shutdown()
    thief.server_close()
    assert log.read_text().endswith("dashboard: ended\n")


def take(thief: ThreadingHTTPServer, process: subprocess.Popen[str]) -> None:
    """Serve at the port that the dashboard found free, once its own server starts."""
    server_of(process)
    thief.server_bind()
    thief.server_activate()
    threading.Thread(target=thief.serve_forever, daemon=True).start()


def test_two_at_once_find_a_port_each(empty: Path, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with open(log, "w") as file:
        second = started(empty, port, file)
    try:
        with dashboard(empty, port, tmp_path / "first") as (_, found):
            wait_for(lambda: port_told(log) or second.poll() is not None)
            assert port_told(log) not in (None, found), log.read_text()
    finally:
        second.terminate()
        second.wait(timeout=30)


def test_a_server_that_fails_is_told_in_one_line_with_its_last_words(empty: Path, tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as file:
        process = started(empty, free_port(), file)
    try:
        server_of(process).kill()
        assert process.wait(timeout=60) == 2
    finally:
        stop(process)
    said = (tmp_path / "log").read_text().splitlines()
    assert len(said) == 2
    assert re.match(
        r"convoy: dashboard: the server does not answer: .* \(.*mlruns/dashboard\.log\)$", said[1]
    )
    assert (empty / "mlruns" / "dashboard.log").read_text()


def test_the_server_ends_where_the_dashboard_is_killed(empty: Path, tmp_path: Path) -> None:
    with dashboard(empty, free_port(), tmp_path / "log") as (process, found):
        assert listens(found)
        process.kill()
        wait_for(lambda: not listens(found))


def test_a_server_elsewhere_is_named_in_one_line_without_its_password(empty: Path) -> None:
    done = once(empty, "5000", MLFLOW_TRACKING_URI="https://reader:secret@mlflow.example.org:8080/")
    assert done.returncode == 0
    assert done.stdout == "dashboard: the runs are on a server: open https://mlflow.example.org:8080/\n"


@pytest.mark.parametrize("port", ["0", "65536", "-1"])
def test_a_port_that_is_none_is_refused_in_one_line(empty: Path, port: str) -> None:
    done = once(empty, port)
    assert done.returncode == 2
    assert done.stdout.startswith(f"convoy: port {port}: expected 1 to 65535")
    assert done.stdout.count("\n") == 1
