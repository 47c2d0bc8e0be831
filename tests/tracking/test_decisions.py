"""Rollbacks, kills and emptied stores: the store follows the lines of data/decisions.jsonl."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys

import pytest
from mlflow import MlflowClient

from convoy.core.errors import ConvoyError
from convoy.tracking import store
from convoy.tracking.registry import decisions, ledger, state
from convoy.tracking.registry.decisions import replay, rollback
from convoy.tracking.registry.promotion import RefusedError, promote
from tests.tracking import shelves
from tests.tracking.servers import convoy
from tests.tracking.shelves import MODEL, TEXT, aliases, history, lines, tags


def replayed(client):
    with store.turn("publish"):
        replay(client, TEXT)


def test_rollback_goes_back_one_by_one_and_never_forward(client, repository, add):
    with pytest.raises(ConvoyError, match="no version of it"):
        rollback(TEXT)
    add("bow", 600)
    with pytest.raises(ConvoyError, match="no champion to roll back"):
        rollback(TEXT)
    promote(TEXT)
    for right in (700, 800):
        add("bow", right)
        promote(TEXT)
    said = rollback(TEXT, "odd categories")
    assert said == f"rollback: {MODEL} version 2 (bow) is champion again: odd categories"
    assert aliases(client) == {"champion": 2}
    assert tags(client, 3)["rolled_back_because"] == "odd categories"
    assert tags(client, 3)["rolled_back_to"] == "version 2 (bow, accuracy 70.0%)"
    assert tags(client, 2)["restored_because"] == "odd categories"
    rollback(TEXT)
    assert aliases(client) == {"champion": 1}
    with pytest.raises(
        ConvoyError, match=r"version 1 \(bow\) stays champion, no earlier one has a version now"
    ):
        rollback(TEXT)
    assert [line["action"] for line in lines(repository)] == ["promoted"] * 3 + ["rollback"] * 2
    promote(TEXT, "3")
    rollback(TEXT)
    assert aliases(client) == {"champion": 1}


def test_rollback_passes_over_what_has_no_version_any_more(client, add):
    for right in (600, 700, 800):
        add("bow", right)
        promote(TEXT)
    client.delete_model_version(MODEL, "2")
    assert "version 1 (bow) is champion again" in rollback(TEXT)


def test_a_champion_set_by_hand_is_the_one_to_beat_and_to_go_back_to(client, repository, add):
    for right in (600, 800):
        add("bow", right)
        promote(TEXT)
    add("bow", 700)
    client.set_registered_model_alias(MODEL, "champion", 3)
    replayed(client)
    assert aliases(client)["champion"] == 3
    add("bow", 750)
    assert "over version 3" in promote(TEXT)
    rollback(TEXT)
    assert aliases(client)["champion"] == 3
    rollback(TEXT)
    assert aliases(client)["champion"] == 2


def test_rollback_knows_what_another_checkout_decided(client, repository, add):
    for right in (600, 800):
        add("bow", right)
        promote(TEXT)
    (repository / "data/decisions.jsonl").unlink()
    rollback(TEXT)
    assert aliases(client) == {"champion": 1}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours handles it."""


WRITES = (
    *("set_registered_model_alias", "delete_registered_model_alias"),
    *("set_registered_model_tag", "set_model_version_tag"),
)


def seen_by_a_reader(client):
    """Aliases, what versions say of decisions, and the history, without times."""
    found = client.get_registered_model(MODEL)
    numbers = [version.version for version in client.search_model_versions(f"name = '{MODEL}'")]
    words = {
        (number, key): value
        for number in numbers
        for key, value in tags(client, number).items()
        if "_at" not in key
    }
    return aliases(client), words, history(client), json.loads(found.tags[state.FOLLOWED])["contents"]


def test_a_kill_after_any_write_is_mended_by_the_next_command(client, repository, add, tmp_path, monkeypatch):
    add("bow", 600)
    promote(TEXT)
    add("textcnn", 900)
    left = {"writes": 0}

    def limited(write):
        def call(self, *arguments, **keywords):
            if left["writes"] == 0:
                raise Killed
            left["writes"] -= 1
            return write(self, *arguments, **keywords)

        return call

    for name in WRITES:
        monkeypatch.setattr(MlflowClient, name, limited(getattr(MlflowClient, name)))
    seen = []
    for writes in range(30):
        copy = shutil.copytree(repository, tmp_path / f"killed-{writes}", symlinks=True)
        monkeypatch.chdir(copy)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy / 'mlruns' / 'mlflow.db'}")
        left["writes"] = writes
        try:
            promote(TEXT)
            killed = False
        except Killed:
            killed = True
        left["writes"] = 1000
        again = store.client()
        replayed(again)
        seen.append(seen_by_a_reader(again))
        assert len(lines(copy)) == 2
        before = shelves.rows(copy)
        replayed(again)
        assert shelves.rows(copy) == before
        if not killed:
            break
    assert len(seen) > 5
    assert all(one == seen[-1] for one in seen)
    assert seen[-1][0] == {"champion": 2}


KILLED_AFTER_THE_LINE = """
import os, signal
from convoy.streamrec.classification.task import TASK as CLASSIFICATION
from convoy.tracking.registry import ledger, promotion
append = ledger.append

def appended(decision):
    append(decision)
    os.kill(os.getpid(), signal.SIGKILL)

ledger.append = appended
promotion.promote(CLASSIFICATION)
"""


def test_a_kill_between_line_and_alias_is_mended(client, repository, add):
    add("bow", 600)
    done = subprocess.run([sys.executable, "-c", KILLED_AFTER_THE_LINE], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert aliases(client) == {"challenger": 1}
    assert len(lines(repository)) == 1
    assert promote(TEXT, "1").startswith("kept: ")
    assert aliases(client) == {"champion": 1}
    assert [line["action"] for line in lines(repository)] == ["promoted", "kept"]


@pytest.fixture
def two(client, repository, add, tmp_path):
    """Two versions, of which the second is champion over the first; and both as they were published."""
    add("bow", 600)
    promote(TEXT)
    add("textcnn", 900)
    promote(TEXT)
    return [(tmp_path / "models" / name, tmp_path / "evaluation" / name) for name in ("bow-0", "textcnn-1")]


@pytest.fixture
def emptied(repository, empty_store, monkeypatch):
    """Throws the store away and makes it again, with nothing in it."""

    def empty():
        shutil.rmtree(repository / "mlruns")
        (repository / "mlruns").mkdir()
        # Another name: this process still holds the former one open.
        shutil.copy(empty_store, repository / "mlruns" / "again.db")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{repository / 'mlruns' / 'again.db'}")
        return store.client()

    return empty


def test_an_emptied_store_gets_its_champion_back_by_content(two, emptied, repository):
    bow, textcnn = two
    client = emptied()
    assert shelves.publish(client, *textcnn, "textcnn") == 1
    assert shelves.publish(client, *bow, "bow") == 2
    replayed(client)
    assert aliases(client) == {"champion": 1}
    assert tags(client, 1)["promoted_over"] == "version 2 (bow, accuracy 60.0%)"
    assert history(client)[1].startswith("promoted version 1 (textcnn, accuracy 90.0%) over version 2 (bow, ")
    rollback(TEXT)
    assert aliases(client) == {"champion": 2}


def test_what_came_after_the_last_decision_is_the_challenger_again(two, emptied, add):
    number = add("bow", 850)
    bow, textcnn = two
    new = textcnn[0].with_name("bow-2"), textcnn[1].with_name("bow-2")
    client = emptied()
    for folders, kind in ((new, "bow"), (bow, "bow"), (textcnn, "textcnn")):
        shelves.publish(client, *folders, kind)
    replayed(client)
    assert number == 3
    assert aliases(client) == {"champion": 3, "challenger": 1}


def test_a_refused_challenger_is_the_challenger_again(two, emptied, add, client):
    add("bow", 850)
    with pytest.raises(RefusedError):
        promote(TEXT)
    assert aliases(client) == {"champion": 2, "challenger": 3}
    bow, textcnn = two
    client = emptied()
    new = textcnn[0].with_name("bow-2"), textcnn[1].with_name("bow-2")
    for folders, kind in ((new, "bow"), (textcnn, "textcnn"), (bow, "bow")):
        shelves.publish(client, *folders, kind)
    replayed(client)
    assert aliases(client) == {"champion": 2, "challenger": 1}


def test_without_the_content_of_the_champion_there_is_none_until_it_comes(two, emptied):
    bow, textcnn = two
    client = emptied()
    shelves.publish(client, *bow, "bow")
    replayed(client)
    assert "champion" not in aliases(client)
    with pytest.raises(
        RefusedError, match=r"the last champion, textcnn, is not in this store; −30\.0 points"
    ):
        promote(TEXT, "bow")
    shelves.publish(client, *textcnn, "textcnn")
    replayed(client)
    assert aliases(client) == {"champion": 2}


def test_a_torn_last_line_was_never_decided(client, repository, add):
    add("bow", 600)
    promote(TEXT)
    file = repository / "data/decisions.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:100])
    assert len(ledger.read(MODEL)) == 1
    promote(TEXT, "1")
    assert [line["action"] for line in lines(repository)] == ["promoted", "kept"]
    file.write_bytes(file.read_bytes()[:-1])  # an editor that ends no line
    assert len(ledger.read(MODEL)) == 2
    promote(TEXT, "1")
    assert [line["action"] for line in lines(repository)] == ["promoted", "kept", "kept"]


def test_a_conflict_of_git_is_named_and_nothing_is_decided(client, repository, add):
    add("bow", 600)
    promote(TEXT)
    file = repository / "data/decisions.jsonl"
    file.write_bytes(b"<<<<<<< HEAD\n" + file.read_bytes())
    with pytest.raises(
        ConvoyError, match=r"decisions.jsonl, line 1: expected a decision as JSON, found b'<<<<<<<"
    ):
        promote(TEXT)
    assert file.read_bytes().count(b"\n") == 2


def test_lines_about_other_models_are_left_alone(client, repository, add):
    add("bow", 600)
    promote(TEXT)
    file = repository / "data/decisions.jsonl"
    other = json.loads(file.read_text()) | {"model": "other", "id": "x"}
    file.write_text(file.read_text() + json.dumps(other) + "\n")
    before = shelves.rows(repository)
    replayed(client)
    replay(client, dataclasses.replace(TEXT, registered="other"))
    assert shelves.rows(repository) == before
    assert len(ledger.read(MODEL)) == 1


def test_the_words_fit_into_any_store():
    contents = [f"{number:064x}" for number in range(500)]
    text = state.Followed(contents, [content[-12:] for content in contents]).text
    assert len(text) < 5000  # PostgreSQL refuses longer tags


def test_publish_rebuilds_the_aliases_too(published_project, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{published_project / 'mlruns' / 'mlflow.db'}")
    monkeypatch.chdir(published_project)
    model = decisions.current(store.client(), TEXT)
    textcnn = next(one for one in model.versions if one.tags["convoy.model"] == "textcnn")
    assert decisions.decide(
        store.client(), TEXT, decisions.new_decision("promoted", model, textcnn, "a test"), None
    )
    shutil.rmtree(published_project / "mlruns")
    (published_project / "mlruns").mkdir()
    again = f"sqlite:///{published_project / 'mlruns' / 'again.db'}"
    assert convoy(published_project, "publish", MLFLOW_TRACKING_URI=again).returncode == 0
    monkeypatch.setenv("MLFLOW_TRACKING_URI", again)
    model = decisions.current(store.client(), TEXT)
    assert state.content(model.champion) == textcnn.tags["convoy.content"]
    assert model.champion.tags["promoted_because"] == "a test"
