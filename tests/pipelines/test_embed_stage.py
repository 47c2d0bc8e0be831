"""The embed stage in a folder of its own: both models, the same bytes again, a refusal."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.embeddings import io as embeddings
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue.build import build
from convoy.streamrec.catalogue.params import CatalogueParams
from tests.conftest import ROOT
from tests.support.tiny import write_model

SYNOPSES = ["the road of two cats", "a tale\xa0of the road", "", "zebra", "<i>a</i> cat &amp; two tales"]


@pytest.fixture
def workspace(tmp_path):
    data = tmp_path / "data/streamrec"
    data.mkdir(parents=True)
    raw = pa.table(
        {
            "item_id": ["c", "a", "b", "e", "d"],
            "title": ["", None, "", "", "Cats"],
            "synopsis": SYNOPSES,
            "category": ["one", "two", "one", "two", "one"],
        }
    )
    table, _ = build(raw, CatalogueParams(source="items.csv"))
    facts = {"source": "items.csv", "source_sha256": "5" * 64, "max_characters": 500}
    catalogues.write(data / "catalogue.parquet", table, facts)
    for model in ("bow", "textcnn"):
        write_model(data / "models" / model, model, [*SYNOPSES[:3], "a cat and two tales"])
    (tmp_path / "params.yaml").write_text("streamrec: {embed: {normalise: l2}}")
    return tmp_path


def run(folder, model):
    return subprocess.run(
        [sys.executable, "-P", ROOT / "pipelines/streamrec/embed.py", "--model", model],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("model", "dimension"), [("bow", 16), ("textcnn", 36)])
def test_embeddings_follow_the_catalogue_and_repeat(workspace, model, dimension):
    manifests = []
    for _ in range(2):
        done = run(workspace, model)
        assert (done.returncode, done.stderr) == (0, "")
        manifests.append(embeddings.read_manifest(workspace / "data/streamrec/embeddings" / model))
    assert manifests[0] == manifests[1]
    assert done.stdout == (
        f"embeddings: 5 items by {model} (3 ok, 1 empty_text, 1 all_unknown, 0 no_signal); "
        f"{dimension} dimensions, normalise l2\n"
    )
    assert manifests[0]["source_sha256"] == ["5" * 64]
    part = pq.read_table(workspace / "data/streamrec/embeddings" / model / "parquet/part-00000.parquet")
    catalogue = pq.read_table(workspace / "data/streamrec/catalogue.parquet").sort_by("item_id")
    # The catalogue was cleaned already; cleaning it again changes no text, so the hashes are the same.
    assert part.select(["item_id", "text_sha256"]).equals(catalogue.select(["item_id", "text_sha256"]))
    ids, vectors = embeddings.read(workspace / "data/streamrec/embeddings" / model)
    assert ids.tolist() == ["a", "b", "c", "d", "e"]
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths == pytest.approx([1, 0, 1, 1, 0])


def test_without_its_model_it_refuses_and_leaves_nothing(workspace):
    done = run(workspace, "linear")
    assert done.returncode == 2
    assert done.stderr == (
        "convoy: data/streamrec/models/linear: no such model folder; run `dvc repro` or name another one\n"
    )
    assert not (workspace / "data/streamrec/embeddings").exists()
