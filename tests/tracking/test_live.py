"""Live epochs: what a training writes, and what becomes of it with a store that is well, slow, ill, dead."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convoy.tracking import live, store
from convoy.tracking.runs import NOTHING
from convoy.training import event_log
from tests.tracking.servers import (
    convoy,
    environment,
    free_port,
    mlflow_server,
    train,
    trouble,
    wait_for,
)

LONG = 6000  # epochs: until it is killed or the file `enough` is there, however slow the machine

# A training without a network: the event log and its follower are the real ones.
TRAINING = """
import sys, time
from pathlib import Path
from convoy.training.event_log import recorded
name, epochs, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
facts = {"task": "streamrec/text", "model": name, "key": name, "seeds": [0], "device": "cpu"}
with recorded({**facts, "params": {"a": {"b": 1}}}, "convoy.tracking.live") as live:
    for epoch in range(1, epochs + 1):
        time.sleep(pause)
        live.epoch(0, {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 2 / epoch})
        if Path("enough").exists():
            break
    live.finished(name)
"""


def start(folder: Path, name: str, epochs: int, pause: float, **settings: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", TRAINING, name, str(epochs), str(pause)],
        cwd=folder, env=environment(folder, **settings),
    )  # fmt: skip


@pytest.fixture
def empty(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A repository with our code and nothing else, in which no training outlives the test."""
    folder = tmp_path / "empty"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".venv").symlink_to(built / ".venv")
    (folder / "src").symlink_to(built / "src")
    yield folder
    (folder / "enough").touch()


def query(store: Path, sql: str) -> list[tuple[Any, ...]]:
    try:
        with sqlite3.connect(store) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.OperationalError:  # not made yet
        return []


def event_logs(folder: Path) -> list[event_log.Record]:
    found = [event_log.read(path) for path in (folder / "mlruns" / "events").glob("*.jsonl")]
    return [record for record in found if record is not None]


def all_sent(folder: Path) -> bool:
    files = list((folder / "mlruns" / "events").glob("*.jsonl"))
    return bool(files) and all(path.with_suffix(".sent").exists() for path in files)


def same_points(store: Path, folder: Path) -> None:
    """Every point of every event log is in the store exactly once, with its own time; nothing else is."""
    expected = [
        (record.id, key, event["epoch"], event["time"])
        for record in event_logs(folder)
        for event in record.epochs
        for key in ("train_loss", "validation_loss")
    ]
    found = query(
        store,
        "SELECT t.value, m.key, m.step, m.timestamp FROM metrics m JOIN tags t USING (run_uuid) "
        "WHERE t.key = 'convoy.event_log' AND m.key IN ('train_loss', 'validation_loss')",
    )
    assert sorted(found) == sorted(expected)
    assert expected


def test_epochs_show_while_the_training_runs(empty: Path) -> None:
    store = empty / "mlruns" / "mlflow.db"
    training = start(empty, "slow", LONG, 0.25)
    seen = "SELECT count(*) FROM metrics WHERE key = 'train_loss'"
    first = wait_for(lambda: (query(store, seen) or [(0,)])[0][0])
    assert training.poll() is None
    wait_for(lambda: (query(store, seen) or [(0,)])[0][0] > first)
    assert query(store, "SELECT status FROM runs") == [("RUNNING",)]
    assert training.poll() is None
    training.kill()
    training.wait()
    wait_for(lambda: query(store, "SELECT status FROM runs") == [("KILLED",)])
    same_points(store, empty)


def test_a_killed_run_is_marked_at_the_next_start(empty: Path) -> None:
    """Training and follower killed at once: nobody is left to say so."""
    store = empty / "mlruns" / "mlflow.db"
    training = start(empty, "first", LONG, 0.1)
    wait_for(lambda: query(store, "SELECT 1 FROM runs"))
    (path,) = (empty / "mlruns" / "events").glob("*.jsonl")
    followers = subprocess.run(
        ["pgrep", "-f", f"convoy.tracking.live {path}"], check=True, capture_output=True, text=True
    )
    for pid in followers.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    training.kill()
    training.wait()
    assert query(store, "SELECT status FROM runs") == [("RUNNING",)]
    assert start(empty, "second", 2, 0.0).wait() == 0
    wait_for(lambda: all_sent(empty))
    statuses = query(
        store,
        "SELECT t.value, r.status FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'convoy.model'",
    )
    assert sorted(statuses) == [("first", "KILLED"), ("second", "FINISHED")]
    same_points(store, empty)


def test_eight_trainings_at_once_in_sqlite(empty: Path) -> None:
    store = empty / "mlruns" / "mlflow.db"
    trainings = [start(empty, f"m{number}", 20, 0.1) for number in range(8)]
    assert [training.wait() for training in trainings] == [0] * 8
    wait_for(lambda: all_sent(empty))
    same_points(store, empty)
    assert query(store, "SELECT DISTINCT status FROM runs") == [("FINISHED",)]
    assert query(store, "SELECT count(*) FROM runs") == [(8,)]


def test_four_trainings_at_once_in_postgresql(empty: Path, postgres: str, tmp_path: Path) -> None:
    import psycopg

    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(tmp_path / "server", port, postgres):
        trainings = [start(empty, f"m{number}", 20, 0.1, MLFLOW_TRACKING_URI=uri) for number in range(4)]
        assert [training.wait() for training in trainings] == [0] * 4
        wait_for(lambda: all_sent(empty))
        with psycopg.connect(postgres) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT status, count(*) FROM runs WHERE lifecycle_stage = 'active' GROUP BY status"
            )
            assert cursor.fetchall() == [("FINISHED", 4)]
            cursor.execute(
                "SELECT t.value, m.step, m.timestamp FROM metrics m JOIN tags t USING (run_uuid) "
                "WHERE t.key = 'convoy.event_log' AND m.key = 'train_loss'"
            )
            found = sorted(cursor.fetchall())
    expected = [
        (record.id, event["epoch"], event["time"]) for record in event_logs(empty) for event in record.epochs
    ]
    assert found == sorted(expected)
    assert len(found) == 4 * 20


@pytest.mark.parametrize("mode", ["slow", "ill"])
def test_a_server_in_trouble_harms_nothing_and_gets_all_later(
    mode: str, project: Path, tmp_path: Path
) -> None:
    model = project / "data/streamrec/models/textcnn/model.safetensors"
    before = model.read_bytes()
    for path in (project / "mlruns" / "events").iterdir():
        path.unlink()
    with trouble(tmp_path / "server") as (proxy, store):
        proxy.mode = mode
        done = train(project, "textcnn", MLFLOW_TRACKING_URI=proxy.uri)
        assert done.returncode == 0, done.stdout
        assert model.read_bytes() == before
        wait_for(lambda: proxy.refused)
        proxy.mode = "well"
        published = convoy(project, "publish", MLFLOW_TRACKING_URI=proxy.uri)
        assert published.returncode == 0, published.stdout
        same_points(store, project)
        alive = "SELECT count(*), min(status), max(status) FROM runs WHERE lifecycle_stage = 'active'"
        assert query(store, alive) == [(6, "FINISHED", "FINISHED")]


def test_a_server_killed_in_mid_training_gets_all_later(empty: Path, tmp_path: Path) -> None:
    port = free_port()
    uri, store = f"http://127.0.0.1:{port}", tmp_path / "server" / "mlflow.db"
    with mlflow_server(tmp_path / "server", port):
        training = start(empty, "cut", LONG, 0.25, MLFLOW_TRACKING_URI=uri)
        wait_for(lambda: query(store, "SELECT 1 FROM metrics WHERE key = 'train_loss' LIMIT 1"))
        assert training.poll() is None
    seen = len(event_logs(empty)[0].epochs)
    wait_for(lambda: len(event_logs(empty)[0].epochs) > seen + 20)
    (empty / "enough").touch()
    assert training.wait() == 0
    with mlflow_server(tmp_path / "server", port):
        again = start(empty, "later", 1, 0.0, MLFLOW_TRACKING_URI=uri)
        assert again.wait() == 0
        wait_for(lambda: all_sent(empty))
        same_points(store, empty)
        assert query(store, "SELECT DISTINCT status FROM runs") == [("FINISHED",)]


def test_a_dead_server_and_a_full_disk_cost_a_line_at_most(project: Path) -> None:
    model = project / "data/streamrec/models/bow/model.safetensors"
    before = model.read_bytes()
    done = train(project, "bow", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stdout
    assert model.read_bytes() == before
    folder = project / "mlruns" / "events"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    done = train(project, "bow")
    assert done.returncode == 0, done.stdout
    assert "training goes on without it" in done.stdout
    assert model.read_bytes() == before


def test_system_metrics_arrive_under_mlflows_names(empty: Path) -> None:
    store = empty / "mlruns" / "mlflow.db"
    assert start(empty, "measured", 12, 1.0).wait() == 0
    wait_for(lambda: all_sent(empty))
    keys = {key for (key,) in query(store, "SELECT DISTINCT key FROM metrics WHERE key LIKE 'system/%'")}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= keys
    params = dict(query(store, "SELECT key, value FROM params"))
    assert params["a.b"] == "1"


def test_what_has_been_sent_is_not_sent_again(
    empty: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long training would otherwise cost its follower more at every epoch."""
    monkeypatch.chdir(empty)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(empty_store, empty / 'mlflow.db')}")
    facts = {"task": "streamrec/text", "model": "long", "key": "long", "seeds": [0], "device": "cpu"}
    monkeypatch.setenv("CONVOY_TRACKING", "off")
    with event_log.recorded({**facts, "params": {}}, "convoy.tracking.live") as log:
        client, sent = store.client(), NOTHING
        points: list[int] = []
        log_batch = client.log_batch

        def counted(run_id: str, **parts: Any) -> None:
            points.append(len(parts.get("metrics", ())))
            log_batch(run_id, **parts)

        monkeypatch.setattr(client, "log_batch", counted)
        for epoch in range(1, 4):
            log.epoch(0, {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 2 / epoch})
            with live.system_file(log.path).open("a") as file:
                file.write(json.dumps({"time": epoch, "cpu_utilization_percentage": 50.0}) + "\n")
            record = event_log.read(log.path)
            assert record is not None
            sent = live.deliver(client, record, sent)
    assert sent[1:] == (3, 3)
    assert [count for count in points if count] == [2, 1] * 3
    same_points(empty / "mlflow.db", empty)


def test_an_event_log_without_mlflow_is_read_back(empty: Path) -> None:
    assert start(empty, "off", 3, 0.0, CONVOY_TRACKING="off").wait() == 0
    (record,) = event_logs(empty)
    assert record.status == "FINISHED"
    assert [event["epoch"] for event in record.epochs] == [1, 2, 3]
    assert not (empty / "mlruns" / "mlflow.db").exists()
    lines = record.path.read_text().splitlines()
    assert json.loads(lines[-1])["content"] == "off"
