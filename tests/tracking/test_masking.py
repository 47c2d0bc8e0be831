"""No secret reaches an output, a log or a file; real commands run against a guarded server."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from convoy.core.errors import ConvoyError
from convoy.tracking import store
from tests.conftest import ROOT
from tests.tracking.servers import LOGIN, SECRET, USER, convoy, environment, trouble, wait_for
from tests.tracking.test_live import TRAINING


def test_errors_of_a_dead_server_show_no_password(repository, monkeypatch):
    for uri in (
        "http://me:s3cret@127.0.0.1:9",
        "http://s3cret@127.0.0.1:9",
        "http://127.0.0.1:9/?token=s3cret",
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(ConvoyError) as refused:
            store.client(timeout=5)
        assert "s3cret" not in str(refused.value)
        assert "127.0.0.1:9" in str(refused.value)


def files_with(secret: str, folder: Path) -> list[Path]:
    """The files below a folder in which the secret, or the header made of it, stands."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if any(word.encode() in path.read_bytes() for word in (secret, LOGIN))]


def test_a_password_in_the_uri_is_used_and_stands_nowhere(climate, tmp_path):
    project = shutil.copytree(climate, tmp_path / "project")
    (project / ".dvc").mkdir()
    (project / "src").symlink_to(ROOT / "src")
    (project / "pipelines").symlink_to(ROOT / "pipelines")
    with trouble(tmp_path / "server") as (proxy, database):
        proxy.mode = "guarded"
        guarded = proxy.uri.replace("://", f"://{USER}:{SECRET}@")
        done = convoy(project, "publish", MLFLOW_TRACKING_URI=guarded)
        assert done.returncode == 0, done.stdout
        assert f"publish: {proxy.uri}" in done.stdout
        assert SECRET not in done.stdout
        assert "View run" not in done.stdout
        for wrong in (proxy.uri, guarded.replace(SECRET, "wrong-word")):
            refused = convoy(project, "publish", MLFLOW_TRACKING_URI=wrong)
            assert refused.returncode == 2
            assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in refused.stdout
            assert "wrong-word" not in refused.stdout
        settings = environment(project, MLFLOW_TRACKING_URI=guarded)
        training = [sys.executable, "-c", TRAINING, "guarded", "2", "0"]
        subprocess.run(training, cwd=project, env=settings, check=True)
        logs = project / "mlruns" / "events"
        wait_for(lambda: list(logs.glob("*.sent")))
        assert not files_with(SECRET, project)
        assert not files_with(SECRET, tmp_path / "server")
        assert database.is_file()
