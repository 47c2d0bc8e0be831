"""The sweep stage in a folder of its own: the same bytes twice, and a refusal."""

import os
import subprocess
import sys

import yaml

from convoy.core import files
from convoy.core import plots_io as plots
from tests.conftest import ROOT

SMALL = {"items": 1000, "phrase_fidelity": [0.0, 0.9], "word_fidelity": [0.35], "synonyms": [1]}


def run(folder, **section):
    (folder / "params.yaml").write_text(yaml.safe_dump({"streamrec": {"sweep": section}}))
    return subprocess.run(
        [sys.executable, "-P", ROOT / "pipelines/streamrec/sweep.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_twice_gives_the_same_bytes_with_a_line_for_every_cell(tmp_path):
    folder = tmp_path / "data/streamrec/sweep"
    manifests = []
    for _ in range(2):
        done = run(tmp_path, **SMALL)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line[:7] for line in done.stdout.splitlines()] == ["1 of 2:", "2 of 2:"]
        manifests.append(files.check_manifest(folder))
    assert manifests[0] == manifests[1]
    assert set(manifests[0]["files"]) == {"sweep.csv", "sweep.png"}
    columns = plots.read_plots(folder)["sweep.csv"]
    assert columns["phrase_fidelity"] == ["0.0", "0.9"]
    assert columns["order_blind"][0] == columns["full"][0]
    assert float(columns["linear_pairs"][1]) > float(columns["linear"][1])


def test_unknown_key_leaves_no_output(tmp_path):
    done = run(tmp_path, synonym=[1])
    assert done.returncode == 2
    assert done.stderr.startswith("convoy: params.yaml: section 'streamrec.sweep': unknown key 'synonym'")
    assert not (tmp_path / "data").exists()
