"""Commands of ours as processes, real MLflow servers, and a proxy that makes trouble before one."""

import base64
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """What a person's shell has in `folder`, with the copy's own code."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DVC_", "PYTHON", "MLFLOW_", "CONVOY_TRACKING", "_MLFLOW"))
    }
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(folder / "src"), **settings}


def convoy(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `convoy …` in `folder`; stderr goes into stdout."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "convoy.cli.app", *arguments],
        cwd=folder, env=environment(folder, **settings), timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def train(folder: Path, model: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one train stage by its script, as DVC does."""
    return subprocess.run(
        ["pipelines/run", "streamrec/train.py", "--model", model],
        cwd=folder, env=environment(folder, DVC_ROOT=str(folder), **settings), timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition: Callable[[], Any], seconds: float = 180) -> Any:
    """The first true value of `condition`."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
    return value


def answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


DASHBOARD = [sys.executable, "-P", "-m", "convoy.cli.app", "dashboard", "--port"]
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # four more processes, which nothing here needs


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int, backend: str | None = None) -> Iterator[subprocess.Popen]:
    """A real MLflow server that keeps its artifacts; `folder` holds its store unless `backend` names one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "mlflow", "server",
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", backend or f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with open(folder / "server.log", "ab") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(folder, **NO_JOBS),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}") or server.poll() is not None, 120)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield server
    finally:
        stop(server)


def started(folder: Path, port: int, log: IO[str], **settings: str) -> subprocess.Popen[str]:
    """A dashboard from its first moment on; who starts it ends it."""
    return subprocess.Popen(
        [*DASHBOARD, str(port)], cwd=folder, env=environment(folder, **settings), text=True,
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip


@contextlib.contextmanager
def dashboard(
    folder: Path, port: int, log: Path, meanwhile: Callable[[subprocess.Popen[str]], None] = lambda _: None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A dashboard that answers, and the port that it found; what it says is in `log`."""
    with open(log, "w") as file:
        process = started(folder, port, file)
    try:
        meanwhile(process)
        wait_for(lambda: port_told(log) or process.poll() is not None)
        port_found = port_told(log)
        assert port_found is not None, log.read_text()
        yield process, port_found
    finally:
        process.terminate()
        process.wait(timeout=30)


def port_told(log: Path) -> int | None:
    """Where a dashboard says that it answers; None before that."""
    found = re.search(r"^dashboard: http://127\.0\.0\.1:(\d+)/ \(Ctrl-C", log.read_text(), re.MULTILINE)
    return int(found[1]) if found else None


def stop(server: subprocess.Popen) -> None:
    """Kill the process and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, 9)
    server.wait()


USER, SECRET = "reader", "long-secret-word"
LOGIN = base64.b64encode(f"{USER}:{SECRET}".encode()).decode()


class Trouble:
    """A proxy before a real server: `well`, `slow` (30 s late), `ill` (500), `guarded` (401)."""

    def __init__(self, upstream: str) -> None:
        self.upstream, self.mode = upstream, "well"
        self.refused = 0
        trouble = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                if trouble.mode == "guarded" and self.headers.get("Authorization") != f"Basic {LOGIN}":
                    trouble.refused += 1
                    self.send_error(401)
                    return
                if trouble.mode == "ill":
                    trouble.refused += 1
                    self.send_error(500)
                    return
                request = urllib.request.Request(
                    trouble.upstream + self.path, body, dict(self.headers.items()), method=self.command
                )
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        status, data = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, data = error.code, error.read()
                if trouble.mode == "slow":
                    # Carried out at once, told late: the client has given up and must not do it twice.
                    trouble.refused += 1
                    time.sleep(30)
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None: ...

        self.server = Server(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextlib.contextmanager
def trouble(folder: Path) -> Iterator[tuple[Trouble, Path]]:
    port = free_port()
    with mlflow_server(folder, port):
        proxy = Trouble(f"http://127.0.0.1:{port}")
        try:
            yield proxy, folder / "mlflow.db"
        finally:
            proxy.server.shutdown()
            proxy.server.server_close()
