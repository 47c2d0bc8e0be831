"""Stores that cannot be used: each is told in one line with what to do, at once."""

import os
import sqlite3
import time

import pytest

from convoy.core.errors import ConvoyError
from convoy.tracking import store
from convoy.tracking.registry.decisions import rollback
from tests.tracking.servers import free_port
from tests.tracking.shelves import TEXT

AGAIN = "move it away, and `convoy publish` makes it again"


def refused():
    before = time.monotonic()
    with pytest.raises(ConvoyError) as caught:
        store.client()
    assert time.monotonic() - before < 20
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def database(repository):
    return repository / "mlruns" / "mlflow.db"


def test_a_file_that_is_no_data_base(database):
    database.write_text("garbage\n" * 100)
    assert f"MLflow's store {database}: broken (file is not a database); {AGAIN}" in refused()


def test_a_truncated_data_base(database):
    database.write_bytes(database.read_bytes()[:50_000])
    assert f"broken (database disk image is malformed); {AGAIN}" in refused()


def test_a_data_base_of_another_version_of_mlflow(database):
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    line = refused()
    assert "made by another version of MLflow" in line
    assert "ffffffffffff" in line
    assert AGAIN in line


def test_a_data_base_that_somebody_writes_all_the_time(database, monkeypatch):
    with sqlite3.connect(database) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConvoyError, match="database is locked; try again when it ends"):
            store.client(timeout=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_data_base_that_must_not_be_written(database):
    database.chmod(0o444)
    assert "see to it that it can be written" in refused()


def test_a_file_in_the_place_of_the_folder(repository):
    (repository / "mlruns").rename(repository / "elsewhere")
    (repository / "mlruns").touch()
    assert f"{repository / 'mlruns'}: a file, where the folder of MLflow's store should be" in refused()


def test_a_folder_that_is_not_there(repository, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repository / 'none' / 'mlflow.db'}")
    assert f"{repository / 'none'}: no such folder for MLflow's store mlflow.db" in refused()


@pytest.mark.parametrize("uri", ["garbage", "mlruns", "file:///tmp/mlruns", "databricks"])
def test_a_uri_that_is_no_store(repository, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    line = refused()
    assert "expected sqlite:///FILE, postgresql://" in line
    assert f"found '{uri}'" in line


def test_a_postgresql_that_does_not_run_or_has_no_driver(repository, monkeypatch):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg://me:secret@127.0.0.1:{port}/runs")
    line = refused()
    assert f"port {port} failed: Connection refused" in line
    assert "secret" not in line
    assert "run `convoy publish` when it answers" in line
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+pg8000://me:secret@127.0.0.1:{port}/runs")
    assert "No module named 'pg8000'; install it" in refused()


def test_a_rollback_makes_no_store(repository):
    (repository / "mlruns" / "mlflow.db").unlink()
    with pytest.raises(ConvoyError, match=r"no store at .*; `convoy publish` makes it"):
        rollback(TEXT)
    assert not (repository / "mlruns" / "mlflow.db").exists()
