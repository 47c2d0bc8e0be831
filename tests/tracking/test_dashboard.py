"""The dashboard's process: its port, its server and how both end."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from convoy.core.errors import ConvoyError
from convoy.projects import TASKS
from convoy.tracking import store
from convoy.tracking.dashboard import server, views
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
        for path in ("ajax-api/3.0/mlflow/assistant/config", "gateway/mlflow/v1/chat/completions"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{found}/{path}")
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


def test_the_server_starts_before_a_store_that_is_there_is_looked_at(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both take as long, so that one after the other took twice the time of MLflow's own server."""
    happened: list[str] = []

    class Started:
        def answers(self) -> bool:
            happened.append("answers")
            return True

    @contextlib.contextmanager
    def serving(port: int) -> Iterator[Started]:
        happened.append(capsys.readouterr().out.splitlines()[0])
        yield Started()

    def client() -> None:
        happened.append("client")
        raise ConvoyError("enough")

    monkeypatch.chdir(empty)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(server, "_serving", serving)
    monkeypatch.setattr(store, "client", client)
    monkeypatch.setattr(store, "make_settings", lambda: None)
    for made, expected in ((True, ["dashboard: starting MLflow's server", "client"]), (False, ["client"])):
        happened.clear()
        monkeypatch.setattr(store, "is_made", lambda made=made: made)
        with pytest.raises(ConvoyError, match="enough"):
            server.serve(free_port(), lambda: ())
        assert happened == expected


ODD_TAGS: tuple[object, ...] = (
    "", "{", "null", "3", "[]", "{}", {"state": None}, {"state": "["}, {"state": "[]"}, {"state": "{}"},
    {"state": "[" * 100_000}, {"state": {"orderByAsc": True}}, "[" * 100_000, "\ud800", {"state": "NaN"},
)  # fmt: skip


@pytest.mark.parametrize("tag", ODD_TAGS)
def test_a_tag_of_ours_with_a_wrong_value_changes_nothing(tag: object) -> None:
    value = tag if isinstance(tag, str) else json.dumps(tag)
    assert views.saved({views.TAG: value}) is None


def test_a_view_with_a_wrong_value_changes_nothing() -> None:
    good = views.state(TASKS[0])
    for wrong in (
        {**good, "orderByAsc": "yes"},
        {**good, "selectedColumns": {}},
        {**good, "columnWidths": None},
    ):
        assert views.saved({views.TAG: json.dumps({"state": json.dumps(wrong)})}) is None
    assert views.saved(views.tags(TASKS[0])) == json.loads(json.dumps(good))


def test_the_front_page_is_served_where_the_store_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def broken(self: MlflowClient) -> None:
        raise MlflowException("no such table")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(MlflowClient, "search_experiments", broken)
    assert server._first_visit() == {key: json.dumps(value) for key, value in server.FIRST_VISIT.items()}
