"""Publishing: outputs become runs, versions and pictures, once, and again from nothing."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from convoy.training import event_log
from tests.tracking.servers import convoy, free_port, mlflow_server, train

MODELS = {"bow", "textcnn", "linear", "linear_pairs", "majority"}


def rows(project: Path) -> dict[str, int]:
    """How many rows each table of the store has."""
    with sqlite3.connect(project / "mlruns" / "mlflow.db") as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def query(project: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(project / "mlruns" / "mlflow.db") as store:
        return store.execute(sql).fetchall()


def view(project: Path) -> dict[str, Any]:
    """What a person sees of the store, without ids and times."""
    names = dict(query(project, "SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active'"))
    points = query(project, "SELECT run_uuid, key, step, value FROM metrics WHERE key NOT LIKE 'system/%'")
    folder = project / "mlruns" / "artifacts"
    files = [path for path in folder.rglob("*") if path.is_file()]
    versions = query(
        project,
        "SELECT v.version, t.value FROM model_versions v JOIN model_version_tags t USING (name, version) "
        "WHERE t.key = 'convoy.content' ORDER BY t.value",
    )
    aliases = query(
        project,
        "SELECT a.alias, t.value FROM registered_model_aliases a JOIN model_version_tags t "
        "ON t.name = a.name AND t.version = a.version WHERE t.key = 'convoy.content' ORDER BY a.alias",
    )
    return {
        "runs": sorted(names.values()),
        "points": sorted((names[run], key, step, value) for run, key, step, value in points),
        "files": sorted(path.name for path in files),
        "contents": sorted(content for _, content in versions),
        "aliases": aliases,
    }


def test_every_model_has_a_run_with_its_figures_and_pictures(published_project: Path) -> None:
    seen = view(published_project)
    assert len(seen["runs"]) == len(MODELS) + 1
    metrics = json.loads((published_project / "data/streamrec/metrics/textcnn.json").read_text())
    run = next(name for name in seen["runs"] if name.startswith("textcnn"))
    points = {key: value for name, key, _, value in seen["points"] if name == run}
    assert points["test_accuracy"] == metrics["test"]["accuracy"]
    assert points["bayes_full"] == metrics["bayes"]["full"]
    assert {"validation_loss", "train_loss", "share_of_bayes"} <= set(points)
    assert {"confusion.png", "curve.png", "report.html", "predictions.parquet"} <= set(seen["files"])
    assert [alias for alias, _ in seen["aliases"]] == ["challenger"]
    assert len(seen["contents"]) == 2, "bow and textcnn; baselines stay in the house"


def test_the_runs_stand_below_one_parent_and_name_their_data(published_project: Path) -> None:
    parents = query(published_project, "SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'")
    assert len(parents) == len(MODELS)
    assert len({parent for _, parent in parents}) == 1
    digests = {digest for (digest,) in query(published_project, "SELECT digest FROM datasets")}
    lock = (published_project / "dvc.lock").read_text()
    assert digests
    assert all(digest in lock for digest in digests)
    assert query(published_project, "SELECT DISTINCT status FROM runs") == [("FINISHED",)]


def test_publishing_again_changes_no_row(published_project: Path) -> None:
    before = rows(published_project)
    (published_project / ".dvc").mkdir(exist_ok=True)
    below = published_project / "data" / "streamrec"
    again = convoy(below, "publish", PYTHONPATH=str(published_project / "src"))
    assert again.returncode == 0, again.stdout
    assert rows(published_project) == before
    assert "0 new of 6 runs" in again.stdout


def test_an_emptied_store_is_rebuilt(published_project: Path) -> None:
    before = view(published_project)
    for path in (published_project / "mlruns").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = convoy(published_project, "publish")
    assert again.returncode == 0, again.stdout
    assert view(published_project) == before
    told = query(published_project, "SELECT value FROM tags WHERE key = 'convoy.times'")
    assert len(told) == len(MODELS)
    assert all("not known" in value for (value,) in told)


def test_a_publish_that_was_cut_off_is_completed(published_project: Path) -> None:
    """Cut off after the runs were made: figures, pictures and the mark of completion are missing."""
    with sqlite3.connect(published_project / "mlruns" / "mlflow.db") as store:
        store.execute("DELETE FROM tags WHERE key = 'convoy.published'")
        store.execute("DELETE FROM metrics WHERE key LIKE 'test_%'")
    shutil.rmtree(published_project / "mlruns" / "artifacts")
    (published_project / "mlruns" / "artifacts").mkdir()
    again = convoy(published_project, "publish")
    assert again.returncode == 0, again.stdout
    keys = query(published_project, "SELECT count(*) FROM metrics WHERE key = 'test_accuracy'")
    assert keys[0][0] >= len(MODELS)
    assert (
        len(query(published_project, "SELECT 1 FROM runs WHERE lifecycle_stage = 'active'"))
        == len(MODELS) + 1
    )


def test_a_changed_output_is_refused_in_one_line(published_project: Path) -> None:
    path = published_project / "data/streamrec/metrics/bow.json"
    path.write_text(path.read_text() + " ")
    refused = convoy(published_project, "publish")
    assert refused.returncode == 2
    assert refused.stdout.count("\n") == 1
    assert "data/streamrec/metrics/bow.json: differs from dvc.lock" in refused.stdout


@pytest.mark.parametrize(
    "text", ["schema: '2.0'\nstages: {}\n", "", "schema: '2.0'\nstages:\n  a:\n    cmd: x"]
)
def test_a_lock_without_models_or_end_is_refused_in_one_line(published_project: Path, text: str) -> None:
    (published_project / "dvc.lock").write_text(text)
    refused = convoy(published_project, "publish")
    assert refused.returncode == 2
    assert refused.stdout.count("\n") == 1
    assert "dvc.lock" in refused.stdout


def test_a_server_that_is_away_is_told_in_one_line(project: Path) -> None:
    away = convoy(project, "publish", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert away.returncode == 2
    assert away.stdout.splitlines()[-1].startswith("convoy: MLflow at http://127.0.0.1:")
    assert "Traceback" not in away.stdout


def test_a_server_gets_the_same_and_keeps_the_artifacts(project: Path, tmp_path: Path) -> None:
    port = free_port()
    with mlflow_server(tmp_path / "server", port):
        for new in ("6 new", "0 new"):
            done = convoy(project, "publish", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}")
            assert done.returncode == 0, done.stdout
            assert new in done.stdout
    assert list((tmp_path / "server" / "artifacts").rglob("confusion.png"))
    assert not (project / "mlruns" / "mlflow.db").exists()


def test_a_stage_that_dvc_restored_is_published(published_project: Path) -> None:
    """Another setting, then the old one again: DVC's run cache restores the training, nothing runs."""
    from tests.pipelines import workspace

    for path in (published_project / "mlruns").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(published_project / "data/streamrec/models/bow")
    command = "CONVOY_TRACKING=off dvc repro streamrec-train@bow"
    done = workspace.shell(command, published_project)
    assert done.returncode == 0, done.stdout
    assert convoy(published_project, "publish").returncode == 0
    assert "Running stage 'streamrec-train@bow'" not in done.stdout
    assert len(view(published_project)["runs"]) == len(MODELS) + 1


@pytest.mark.parametrize("model", ["bow"])
def test_a_live_run_becomes_the_run_of_its_content(project: Path, model: str) -> None:
    """Trained under the eyes of MLflow, then published: one run, with the times of the training."""
    shutil.rmtree(project / "mlruns" / "events")
    trained = train(project, model)
    assert trained.returncode == 0, trained.stdout
    published = convoy(project, "publish")
    assert published.returncode == 0, published.stdout
    (path,) = (project / "mlruns" / "events").glob("*.jsonl")
    record = event_log.read(path)
    assert record is not None
    times = query(
        project,
        "SELECT m.step, m.timestamp FROM metrics m JOIN tags t USING (run_uuid) WHERE m.key = 'train_loss' "
        f"AND t.key = 'convoy.model' AND t.value = '{model}' ORDER BY m.step",
    )
    assert times == [(event["epoch"], event["time"]) for event in record.epochs]
    assert len(view(project)["runs"]) == len(MODELS) + 1
