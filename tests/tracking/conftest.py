"""A small project that real stages made, its published store, and stores filled by hand."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convoy.tracking import store
from tests.conftest import ROOT
from tests.pipelines import workspace
from tests.support import trained
from tests.support.once import once
from tests.tracking import climates, shelves
from tests.tracking.servers import convoy

TINY: dict[str, Any] = {
    "streamrec.catalogue.synthetic.items": 1000,
    "streamrec.models.bow": {"training": {"epochs": 2, "patience": 2, "threads": 1}},
    "streamrec.models.textcnn": {
        "embedding_dim": 16, "num_filters": 8, "training": {"epochs": 3, "patience": 3, "threads": 1},
    },
    "streamrec.evaluate.resamples": 200,
}  # fmt: skip


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose stages ran, but for publish. Not to be changed."""

    def make(folder: Path) -> None:
        workspace.make(folder, TINY)
        run = workspace.shell("CONVOY_TRACKING=off dvc repro streamrec-compare streamrec-embed", folder)
        assert run.returncode == 0, run.stdout

    return once(tmp_path_factory, "built", make)


@pytest.fixture(scope="session")
def climate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of all climate stages. Not to be changed."""
    return once(tmp_path_factory, "climate", climates.make)


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


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store with nothing in it. Not to be changed."""
    return shelves.empty_store(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="session")
def two_networks(tmp_path_factory: pytest.TempPathFactory) -> trained.Product:
    """A tiny bow and a tiny textcnn, quickly trained."""
    return trained.make(tmp_path_factory.mktemp("networks"), ("bow", "textcnn"))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """A git repository with an empty store, as the current folder."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    folder = shelves.repository(tmp_path / "repository", empty_store)
    (folder / "src").symlink_to(ROOT / "src")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def client(repository: Path) -> Any:
    """Of the store of `repository`."""
    return store.client()


@pytest.fixture
def add(client: Any, two_networks: trained.Product, tmp_path: Path) -> Callable[..., int]:
    """Publishes a model that is right about so many of 1,000 test items; it becomes the challenger."""
    return lambda kind, right, **facts: shelves.add(client, two_networks, tmp_path, kind, right, **facts)
