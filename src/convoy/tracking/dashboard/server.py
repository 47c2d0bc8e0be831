"""`make dashboard`: MLflow's pages for the repository's store, accessible from this machine only.

By default these pages open on a tour of tools for agents, and their table of runs shows no metrics. Here they
open on the pages for training, with the view that `convoy publish` saved; settings that the user has changed
are kept. Keys of the browser's local storage are those of MLflow 3.17; other versions ignore them.
"""

import contextlib
import errno
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from convoy.core import interrupts
from convoy.core.errors import ConvoyError
from convoy.tasks import RegisteredTask, TaskSpec
from convoy.tracking import store
from convoy.tracking.dashboard import views
from convoy.training.event_log import repository

if TYPE_CHECKING:
    from flask import Response
    from mlflow import MlflowClient

HOST = "127.0.0.1"
_TRIES = 20  # ports
_PATIENCE = 120.0  # seconds until the server must answer: on a cold disk its imports take most of a minute
_STARTED_HERE = "CONVOY_DASHBOARD"  # environment variable of the server: a random word of its dashboard
_STARTED_BY = "/convoy/started-by"  # the path at which the server returns it

CLOSED = ("/ajax-api/3.0/mlflow/assistant", "/gateway/")
"""Begins the paths that are not served: MLflow's assistant, and its gateway to language models."""
FIRST_VISIT = {
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
    "mlflow.telemetry.info.alert.dismissed_v1": True,
    "mlflow.settings.telemetry.enabled_v1": False,
    "_mlflow_model_registry_promo_modal_dismissed_v1": True,
}
_SCRIPT = """(function (first) {
try {
for (const key in first) if (localStorage.getItem(key) === null) localStorage.setItem(key, first[key]);
if (!location.hash) location.replace("#/experiments");
} catch (error) { console.warn(error); }
})(%s)"""


def serve(port: int, tasks: Callable[[], Sequence[TaskSpec]]) -> None:
    """Serve until Ctrl-C; where MLFLOW_TRACKING_URI names a server, print its address.

    `tasks` returns the tasks; it is called while the server starts, since it may have much to import.
    """
    if not 0 < port < 65536:
        raise ConvoyError(f"port {port}: expected 1 to 65535, such as `convoy dashboard --port 8000`")
    if store.is_server():
        print(f"dashboard: the runs are on a server: open {store.shown()}")
        return
    print("dashboard: starting MLflow's server", flush=True)
    store.make_settings()
    # A store that is there is looked at while its server starts, which takes as long.
    client = None if store.is_made() else store.client()
    found: Sequence[TaskSpec] = ()
    interrupt = signal.getsignal(signal.SIGINT)
    with interrupts.until_ctrl_c():
        for chosen in _free_ports(port):
            signal.signal(signal.SIGINT, interrupt)
            with _serving(chosen) as server:
                client, found = client or store.client(), found or tasks()
                if not server.answers():
                    continue
                print("\n".join(_guide(client, found, f"http://{HOST}:{chosen}/")), flush=True)
                server.process.wait()
                raise server.failure("the server ended by itself")
    print("dashboard: ended")


def app() -> Any:
    """MLflow's own server with `FIRST_VISIT` in its page; MLflow finds it by the entry point `mlflow.app`."""
    from mlflow.server import app as pages
    from mlflow.server.fastapi_app import app as server

    if os.environ.get(_STARTED_HERE):
        threading.Thread(target=_end_with_the_dashboard, daemon=True).start()
        pages.add_url_rule(_STARTED_BY, view_func=lambda: os.environ[_STARTED_HERE])
    pages.after_request(_with_first_visit)
    server.add_middleware(_Closed)
    return server


class _Closed:
    """The server without interfaces that nothing here needs and that run commands or call services."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(CLOSED):
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"not served by convoy dashboard"})
        else:
            await self._inner(scope, receive, send)


def _free_ports(wanted: int) -> Iterator[int]:
    """The free ports from `wanted` on; another program may take one before the server does."""
    last = min(wanted + _TRIES, 65536) - 1
    for port in range(wanted, last + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port != wanted:
            print(f"dashboard: port {wanted} is taken; using {port}", flush=True)
        yield port
    raise ConvoyError(
        f"dashboard: ports {wanted} to {last} of {HOST} are taken or not permitted; name another, such as "
        "`convoy dashboard --port 8000`"
    )


@dataclass(frozen=True)
class _Server:
    """MLflow's server as a child process, and its output."""

    process: subprocess.Popen[bytes]
    port: int
    word: str
    log: IO[bytes]

    def answers(self) -> bool:
        """Wait until it answers; False where another program took the port before it."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            # Not urllib, which would use a proxy.
            connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                connection.request("GET", _STARTED_BY)
                if connection.getresponse().read(64) == self.word.encode():
                    return True
            time.sleep(0.2)
        if os.strerror(errno.EADDRINUSE).lower() in self.output().lower():
            return False
        raise self.failure("the server does not answer")

    def output(self) -> str:
        """The text that the server has written to its standard output and error."""
        # pread: the file's position is shared with the server, which goes on writing.
        return os.pread(self.log.fileno(), 1 << 20, 0).decode("utf-8", errors="replace").strip()

    def failure(self, what: str) -> ConvoyError:
        """An error with the last line of the output, which is kept in mlruns/dashboard.log."""
        output = self.output() or "no output"
        kept = repository() / "mlruns" / "dashboard.log"
        place = ""
        with contextlib.suppress(OSError):
            kept.write_text(f"{output}\n", encoding="utf-8")
            place = f" ({kept})"
        return ConvoyError(f"dashboard: {what}: {output.splitlines()[-1].strip()}{place}")


@contextlib.contextmanager
def _serving(port: int) -> Iterator[_Server]:
    """MLflow's server as a child process that ends with this one, however this one ends."""
    command = [
        *(sys.executable, "-P", "-m", "mlflow", "server", "--app-name", "convoy", "--workers", "1"),
        *("--host", HOST, "--port", str(port)),
        *("--allowed-hosts", f"{HOST},localhost,{HOST}:*,localhost:*"),
        *("--no-serve-artifacts", "--default-artifact-root", "convoy:///"),
        *("--uvicorn-opts", "--log-level warning --timeout-graceful-shutdown 2"),
    ]
    word = secrets.token_hex(16)
    settings = {
        "MLFLOW_BACKEND_STORE_URI": store.uri(),  # not in the command line, which other users can read
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        _STARTED_HERE: word,
    }
    with tempfile.TemporaryFile() as log:
        # In its own session it does not receive Ctrl-C, which is handled here.
        process = subprocess.Popen(  # noqa: S603
            command, env={**os.environ, **settings}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield _Server(process, port, word, log)
        finally:
            _end(process)


def _end(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C
    server.stdin.close()
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)


def _end_with_the_dashboard() -> None:
    """End this process once the dashboard's end of its standard input is closed, also by the kernel."""
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _guide(client: "MlflowClient", tasks: Sequence[TaskSpec], address: str) -> list[str]:
    """The addresses to open first."""
    from mlflow.exceptions import MlflowException

    lines = []
    for task in tasks:
        experiment = client.get_experiment_by_name(task.experiment)
        if experiment is None or not client.search_runs([experiment.experiment_id], max_results=1):
            continue
        identity = experiment.experiment_id
        lines.append(f"  {task.experiment}, best first")
        lines.append(f"    table of runs          {address}{views.runs_link(identity)}")
        lines.append(f"    curves and pictures    {address}{views.runs_link(identity, charts=True)}")
        if not isinstance(task, RegisteredTask):
            continue
        with contextlib.suppress(MlflowException):
            client.get_registered_model(task.registered)
            lines.append(f"    versions of the model  {address}{views.model_link(task.registered)}")
    if not lines:
        lines = ["  no runs yet: `make repro` trains and publishes; `convoy publish` publishes DVC's outputs"]
    return [f"dashboard: {address} (Ctrl-C ends it)", *lines]


def _with_first_visit(response: "Response") -> "Response":
    from flask import request

    if request.path == "/" and response.status_code == 200 and response.mimetype == "text/html":
        response.direct_passthrough = False
        page = response.get_data(as_text=True)
        # A script element ends at the first `</`, also within a string.
        script = _SCRIPT % json.dumps(_first_visit()).replace("<", "\\u003c")
        response.set_data(page.replace("<head>", f"<head><script>{script}</script>", 1))
        for header in ("ETag", "Last-Modified", "Accept-Ranges"):
            response.headers.pop(header, None)
    return response


def _first_visit() -> dict[str, str]:
    """Initial values of the browser's local storage: key -> JSON."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    kept: dict[str, Any] = dict(FIRST_VISIT)
    experiments: Sequence[Any] = ()
    with contextlib.suppress(MlflowException):  # which the page itself then shows
        experiments = MlflowClient(store.uri(), store.uri()).search_experiments()
    for experiment in experiments:
        arranged = views.saved(experiment.tags)
        if arranged is not None:
            identity = experiment.experiment_id
            page = f'ExperimentPage-["{identity}"]-ReactComponentState'
            kept[f"MLflowLocalStorage-1.1-{page}"] = arranged
            kept[f"MLflowLocalStorage-1.1-ExperimentView-{identity}-expandRows"] = True
    return {key: json.dumps(value) for key, value in kept.items()}
