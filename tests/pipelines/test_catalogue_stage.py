"""The catalogue stage in a folder of its own: synthetic, a real file, and a refusal."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from convoy.core import files
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue import source_io as sources
from tests.conftest import ROOT


def run(folder, **section):
    (folder / "params.yaml").write_text(yaml.safe_dump({"streamrec": {"catalogue": section}}))
    return subprocess.run(
        [sys.executable, "-P", "-m", "convoy.core.stage", ROOT / "pipelines/streamrec/catalogue.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def outputs(folder):
    return {path.name: files.sha256(path) for path in (folder / "data/streamrec").iterdir()}


def test_synthetic_twice_gives_the_same_bytes(tmp_path):
    done = run(tmp_path, synthetic={"items": 300})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3
    first = outputs(tmp_path)
    assert set(first) == {"catalogue.parquet", "truth.parquet", "catalogue_report.json"}
    table, facts = catalogues.read(tmp_path / "data/streamrec/catalogue.parquet")
    truth = catalogues.read_truth(tmp_path / "data/streamrec/truth.parquet")
    assert facts == {"source": "synthetic", "source_sha256": None, "max_characters": 20_000}
    assert truth["item_id"].equals(table["item_id"])
    assert run(tmp_path, synthetic={"items": 300}).returncode == 0
    assert outputs(tmp_path) == first


def test_a_real_catalogue(tmp_path, real_data):
    source = real_data / "catalogue" / "netflix_titles.csv"
    columns = {"item_id": "show_id", "synopsis": "description", "category": "listed_in"}
    done = run(
        tmp_path,
        source=str(source),
        columns=columns,
        category_separator=", ",
        min_category_size=50,
        small_categories="drop",
    )
    assert (done.returncode, done.stderr) == (0, "")
    table, facts = catalogues.read(tmp_path / "data/streamrec/catalogue.parquet")
    report = json.loads((tmp_path / "data/streamrec/catalogue_report.json").read_text(encoding="utf-8"))
    # Counted by the publisher of these test data.
    labelled = sum(report["categories"].values())
    assert (report["rows_read"], len(table), labelled, len(report["categories"])) == (8786, 8786, 8543, 20)
    assert table["category"].to_pylist().count("") == facts["dropped"] == 8786 - 8543
    assert max(report["categories"].values()) / labelled == pytest.approx(0.19, abs=0.005)
    assert facts["source"] == "netflix_titles.csv"
    assert facts["source_sha256"] == files.sha256(source)
    truth = catalogues.read_truth(tmp_path / "data/streamrec/truth.parquet")
    assert truth.equals(catalogues.TRUTH.empty_table())
    again = sources.read_source(tmp_path / "data/streamrec/catalogue.parquet", {}, need_category=True)
    assert again.to_pylist() == table.select(again.schema.names).to_pylist()


def test_a_wrong_source_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "items.csv").write_text("item_id,title\n1,a\n")
    done = run(tmp_path, source="items.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("convoy: items.csv: no column 'category'; its columns are item_id")
    assert not (tmp_path / "data").exists()
