"""Small embeddings with their catalogue and model, as the current folder."""

import pytest

from tests.support.accepted import make
from tests.support.once import once


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return once(tmp_path_factory, "accepted", make)


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("vectors", "model", "catalogue.parquet"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path
