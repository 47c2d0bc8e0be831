"""The event log of a training, read back: whole, torn, foreign."""

import json
from pathlib import Path

import pytest

from convoy.training import event_log

FACTS = {"task": "t", "model": "m", "key": "k", "seeds": [0], "device": "cpu", "params": {}}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an event log with two epochs and an end."""
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("CONVOY_TRACKING", "off")
    with event_log.recorded(FACTS, "no.such.module") as live:
        live.epoch(0, {"epoch": 1, "train_loss": 0.5})
        live.epoch(0, {"epoch": 2, "train_loss": 0.25})
        live.finished("content")
    return live.path


def test_what_was_written_is_read_back(written: Path) -> None:
    record = event_log.read(written)
    assert record is not None
    assert [event["train_loss"] for event in record.epochs] == [0.5, 0.25]
    assert (record.status, record.end["content"]) == ("FINISHED", "content")
    assert record.last_time == record.end["time"] >= record.start["time"]


def test_lines_that_are_torn_or_foreign_are_left_out(written: Path) -> None:
    before = event_log.read(written)
    with open(written, "a") as file:
        file.write('{"event": "epoch", "time": 5}\n{"event": "start", "time": 1, "foreign": true}\n')
        file.write('[1, 2]\nnot json\n\n{"event": "other", "time": 3}\n{"event": "epoch", "ti')
    assert event_log.read(written) == before


@pytest.mark.parametrize("text", ["", "{", '{"event": "start", "time": 1, "foreign": true}\n', "\0\n"])
def test_a_file_that_is_no_event_log_is_none(written: Path, text: str) -> None:
    (written.parent / "foreign.jsonl").write_text(text)
    assert event_log.read(written.parent / "foreign.jsonl") is None
    assert [record.path for record in event_log.records()] == [written]


def test_an_error_ends_it_as_failed_and_a_signal_as_killed(written: Path) -> None:
    for error, status in ((ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")):
        with pytest.raises(error), event_log.recorded(FACTS, "no.such.module") as live:
            raise error
        record = event_log.read(live.path)
        assert record is not None
        assert record.status == status


def test_a_resumed_epoch_keeps_its_time(written: Path) -> None:
    first = event_log.read(written)
    assert first is not None
    with event_log.recorded(FACTS, "no.such.module") as live:
        live.epoch(0, {"epoch": 1, "train_loss": 0.5}, resumed=True)
        live.epoch(0, {"epoch": 2, "train_loss": 0.25})
    again = [json.loads(line) for line in live.path.read_text().splitlines()]
    assert again[1]["time"] == first.epochs[0]["time"]
    assert again[2]["time"] >= again[0]["time"]
