"""The no-op benchmark on two small projects: its ratio, and what it does where a stage is stale."""

import json

import pytest

from benchmarks import noop


def test_the_ratio_is_that_of_the_medians(tmp_path):
    noop.write_bare(tmp_path / "project", 3)
    path = noop.run(tmp_path / "project", 1, tmp_path / "results")
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = {row["side"]: row for row in found["rows"]}
    assert set(rows) == {noop.PROJECT, noop.BARE}
    for side, row in rows.items():
        assert row["stages"] == 3
        assert found["measured"]["seconds"][side] == [row["seconds"]]
        assert row["CPU seconds"] > 0.1
        assert row["times bare"] == pytest.approx(row["seconds"] / rows[noop.BARE]["seconds"])


def test_a_stale_project_is_not_measured_and_not_reproduced(tmp_path, capsys):
    noop.write_bare(tmp_path, 2)
    (tmp_path / "1.txt").unlink()
    assert noop.run(tmp_path, 1, tmp_path / "results") is None
    assert "run `dvc repro` first; not up to date: Running stage 's1':" in capsys.readouterr().out
    assert not (tmp_path / "1.txt").exists()
    assert not (tmp_path / "results").exists()
    with pytest.raises(AssertionError, match="a stage ran"):
        noop.repro(tmp_path, [])
