"""A small project that real stages made, its published store, a real PostgreSQL."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import workspace
from tests.tracking.servers import convoy, free_port

TINY: dict[str, Any] = {
    "streamrec.catalogue.synthetic.items": 1000,
    "streamrec.models.bow": {"training": {"epochs": 2, "patience": 2}},
    "streamrec.models.textcnn": {
        "embedding_dim": 16, "num_filters": 8, "training": {"epochs": 3, "patience": 3},
    },
    "streamrec.evaluate.resamples": 200,
}  # fmt: skip


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` fills, by the first of the workers that asks for it."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(shared / f"{name}.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / f"{name}.done").exists():
            shutil.rmtree(shared / name, ignore_errors=True)
            make(shared / name)
            (shared / f"{name}.done").touch()
    return shared / name


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose stages ran, but for publish. Not to be changed."""

    def make(folder: Path) -> None:
        workspace.make(folder, TINY)
        run = workspace.shell("CONVOY_TRACKING=off dvc repro streamrec-compare streamrec-embed", folder)
        assert run.returncode == 0, run.stdout

    return once(tmp_path_factory, "built", make)


@pytest.fixture(scope="session")
def published(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a store that `convoy publish` filled. Not to be changed."""

    def make(folder: Path) -> None:
        shutil.copytree(built, folder, symlinks=True)
        run = convoy(folder, "publish")
        assert run.returncode == 0, run.stdout

    return once(tmp_path_factory, "published", make)


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of the built workspace to work in, without a store."""
    return shutil.copytree(built, tmp_path / "project", symlinks=True)


@pytest.fixture
def published_project(published: Path, tmp_path: Path) -> Path:
    """A copy of the published workspace to work in, at another place than where it was published."""
    return shutil.copytree(published, tmp_path / "project", symlinks=True)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The URI of an empty data base of a real PostgreSQL; skips, saying so, where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    programs, data, port = found[-1].parent, tmp_path / "pg", free_port()
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        for path in (data, *data.parents):
            if path != Path("/") and not path.stat().st_mode & 0o001:
                path.chmod(path.stat().st_mode | 0o011)
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
