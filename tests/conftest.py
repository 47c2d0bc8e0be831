"""Fixtures shared by all tests."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from convoy.core import threads
from tests.tracking.servers import free_port

ROOT = Path(__file__).resolve().parents[1]

# Triton reads this when it is first imported, by whichever test comes first: without a GPU its kernels run in
# its interpreter, on the CPU.
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"

threads.sleep_soon()  # the tests' processes share the cores
if "PYTEST_XDIST_WORKER" in os.environ:  # and there is a worker a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# What `make test ARGS=…` was told is not for the `make` that a test runs.
for name in ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)


# Minutes each, the longest first: begun last, they would leave the other workers idle.
LONG = ("test_pipeline.py", "test_live.py", "test_own_data.py", "test_lineage.py", "test_dashboard.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; all else keeps its order."""
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data files; tests that need it skip, saying so, where there is none."""
    folder = Path(os.environ.get("CONVOY_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data: CONVOY_REAL_DATA or {folder.name}/ beside the checkout")
    return folder


@pytest.fixture(scope="session", autouse=True)
def signals_reach_children() -> None:
    """Tests in the background of a shell ignore Ctrl-C, under nohup SIGHUP, and their children would, too."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URI of an empty data base of a real PostgreSQL; skips, saying so, where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    # Not below pytest's own folder, which nobody else may enter: PostgreSQL refuses to run as root.
    programs, port = found[-1].parent, free_port()
    data = Path(tempfile.mkdtemp(prefix="convoy-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    run = [*as_user, str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust"]
    subprocess.run(run, check=True, capture_output=True, cwd="/")
    options = f"-p {port} -h 127.0.0.1 -k {data}"
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-l", str(data / "log"), "-w"]
    subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        shutil.rmtree(data)
