"""Loading by MLflow's URIs, and what is refused before anything of it runs."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from convoy.cli.app import app
from convoy.core import artifact as models
from convoy.core.errors import ConvoyError
from convoy.streamrec.classification.prediction import Predictor
from convoy.streamrec.classification.task import TASK as CLASSIFICATION
from convoy.tracking import store
from convoy.tracking.registry.checked_artifacts import CheckedArtifacts
from tests.conftest import ROOT
from tests.support import trained
from tests.tracking import packaged
from tests.tracking.packaged import NAME, check_same, frame, loaded, of_mlflow, uploaded, uris
from tests.tracking.servers import environment
from tests.tracking.tampering import (
    AROUND,
    FOREIGN,
    IN_DATA,
    WORDS,
    Marking,
    a_link,
    code_in_place_of_ours,
)


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    return trained.make(tmp_path_factory.mktemp("product"), ("bow",))


@pytest.fixture(scope="module")
def original(product, tmp_path_factory):
    return packaged.make(tmp_path_factory.mktemp("original"), product)


@pytest.fixture
def repository(original, tmp_path, monkeypatch):
    return packaged.copy(original, tmp_path / "repository", monkeypatch)


def test_every_uri_loads_by_us_and_by_mlflow_where_the_checkout_was_moved_to(repository, product):
    rows = packaged.rows_of(product)
    predictor = Predictor(product.stored("bow"))
    for uri in uris(repository):
        for model in (loaded(uri), of_mlflow(uri)):
            check_same(model.predict(frame(rows)), predictor, rows)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        (f"models:/{NAME}/2", r"-text/2: no such version at .*; there are models:/streamrec-text/1$"),
        (f"models:/{NAME}@best", r"streamrec-text@best: no such version at .*; there are .*text/1$"),
        ("models:/other/1", r"models:/other/1: no such version at .*; there are none, run `convoy publish`"),
        ("models:/m-0123", r"models:/m-0123: .*not found"),
        ("runs:/0123/bow", r"runs:/0123/bow: .*not found"),
        (f"models:/{NAME}/latest", "expected models:/NAME/VERSION"),
        ("/etc", "expected models:/NAME/VERSION"),
    ],
)
def test_uris_that_name_nothing_are_told_in_one_line(repository, uri, words):
    with pytest.raises(ConvoyError, match=words) as refused:
        loaded(uri)
    assert "\n" not in str(refused.value)


def test_a_store_that_lost_the_files_is_told(repository):
    shutil.rmtree(uploaded(repository))
    for uri in uris(repository)[:3]:
        with pytest.raises(ConvoyError, match=f"^{uri}: "):
            loaded(uri)


def test_what_publish_did_not_make_is_refused(repository):
    client, ids = store.client(), json.loads((repository / "ids.json").read_text())
    client.delete_model_version_tag(NAME, "1", "convoy.content")
    client.delete_logged_model_tag(ids["model"], "convoy.content")
    client.delete_tag(ids["run"], "convoy.content")
    for uri in uris(repository):
        with pytest.raises(ConvoyError, match=rf"{uri}: no tag convoy\.content, so `convoy publish` did not"):
            loaded(uri)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "ran"


def test_the_mark_is_left_by_what_runs(mark):
    pickle.loads(pickle.dumps(Marking(mark)))
    assert mark.exists()


@pytest.mark.parametrize("change", [*WORDS], ids=lambda change: change.__name__)
def test_our_own_loading_refuses_it_unrun(repository, mark, change):
    change(uploaded(repository), mark)
    for uri in uris(repository):
        with pytest.raises(ConvoyError, match=WORDS[change]) as refused:
            loaded(uri)
        assert str(refused.value).startswith(uri)
        assert "\n" not in str(refused.value)
    assert not mark.exists()


@pytest.mark.parametrize("change", [*IN_DATA, *AROUND, *FOREIGN], ids=lambda change: change.__name__)
def test_mlflow_s_loading_refuses_it_unrun(repository, mark, change):
    """By URI nothing foreign is handed out; by path MLflow itself refuses what would unpickle."""
    from mlflow.exceptions import MlflowException

    folder, path = uploaded(repository), list(sys.path)
    change(folder, mark)
    places = [] if change in FOREIGN else [folder]
    for uri in (*places, *uris(repository)):
        with pytest.raises((ConvoyError, MlflowException)) as refused:
            of_mlflow(uri)
        if isinstance(refused.value, MlflowException):
            assert re.search("disallowed|Failed to download artifacts", str(refused.value))
    assert not mark.exists()
    assert sys.path == path


@pytest.mark.parametrize("change", [*AROUND, *FOREIGN], ids=lambda change: change.__name__)
def test_artifacts_of_a_local_store_are_not_handed_out(repository, mark, change):
    folder = uploaded(repository)
    change(folder, mark)
    artifacts = CheckedArtifacts(folder.as_uri(), lambda: [CLASSIFICATION.serving.loader])
    with pytest.raises(ConvoyError, match=WORDS[change]):
        artifacts.download_artifacts("")
    assert Path(artifacts.download_artifacts("MLmodel")).is_file()
    assert not mark.exists()


@pytest.mark.parametrize("change", [*IN_DATA, *AROUND, *FOREIGN], ids=lambda change: change.__name__)
def test_reading_the_model_folder_refuses_it_or_runs_nothing(repository, mark, change, product, tmp_path):
    """What is around a model folder, or pins it, is none of its readers' business: they run nothing of it."""
    folder = uploaded(repository) / "data" / "bow"
    change(uploaded(repository), mark)
    embed = ["embed", str(product.source), str(tmp_path / "out"), "--model", str(folder)]
    if change in IN_DATA or change is a_link:
        with pytest.raises(ConvoyError, match=WORDS[change]):
            models.read(folder)
        done = CliRunner().invoke(app, embed)
        assert done.exit_code == 2
        assert not (tmp_path / "out").exists()
    else:
        models.read(folder)
        assert CliRunner().invoke(app, embed).exit_code == 0
    assert not mark.exists()


def test_a_fresh_process_of_mlflow_refuses_planted_code(repository, mark):
    """Nothing of ours was imported there before MLflow puts the planted folder first."""
    folder = uploaded(repository)
    code_in_place_of_ours(folder, mark)
    script = "import sys, mlflow.pyfunc; mlflow.pyfunc.load_model(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, folder], cwd=repository, env=environment(ROOT), timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("convoy.core.errors.ConvoyError: ")
    assert "names the code path 'code'" in last
    assert not mark.exists()
