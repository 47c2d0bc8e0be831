"""The corpus stage in a folder of its own: bytes repeat, the corpus is whole, refusals leave nothing."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import yaml

from convoy.core import files
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.classification.corpus import data as corpus
from convoy.streamrec.classification.corpus import tokens
from tests.conftest import ROOT

FACTS = {"source": "synthetic", "source_sha256": None, "max_characters": 100}


def write_catalogue(folder, texts, categories):
    columns = {
        "item_id": [f"i{number}" for number in range(len(texts))],
        "title": [""] * len(texts),
        "synopsis": texts,
        "category": categories,
        "text_sha256": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
    }
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    catalogues.write(folder / "data/streamrec/catalogue.parquet", table, FACTS)


def run(folder, **section):
    (folder / "params.yaml").write_text(yaml.safe_dump({"streamrec": {"corpus": section}}))
    return subprocess.run(
        [sys.executable, "-P", "-m", "convoy.core.stage", ROOT / "pipelines/streamrec/corpus.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def texts():
    words = ["love", "murder", "ship", "café", "東京", "don't"]
    return [f"{words[number % 6]} {words[number % 5]} item {number}" for number in range(200)] + [""]


def test_twice_gives_the_same_bytes_and_the_tokens_are_the_tokenizers(tmp_path, texts):
    write_catalogue(tmp_path, texts, [f"c{number % 3}" for number in range(len(texts))])
    manifests = []
    for _ in range(2):
        done = run(tmp_path, min_count=2, max_tokens=4)
        assert (done.returncode, done.stderr) == (0, "")
        manifests.append(files.check_manifest(tmp_path / "data/streamrec/corpus"))
    assert manifests[0] == manifests[1]
    assert done.stdout.count("\n") == 1
    stored = corpus.read(tmp_path / "data/streamrec/corpus")
    assert stored.text == {"max_characters": 100, "max_tokens": 4}
    assert stored.categories == ("c0", "c1", "c2")
    flat, offsets = tokens.encode(stored.tokenizer_json, texts, 4)
    np.testing.assert_array_equal(stored.tokens, flat)
    np.testing.assert_array_equal(stored.offsets, offsets)
    assert f"corpus: {len(stored.items(corpus.TRAIN))} train, " in done.stdout
    assert sum(len(stored.items(side)) for side in range(3)) == 200


def test_a_small_catalogue_is_refused_and_leaves_nothing(tmp_path, texts):
    write_catalogue(tmp_path, texts[:3], ["a", "b", "b"])
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "split; found 3 distinct texts, expected 50 or more" in done.stderr
    assert [path.name for path in (tmp_path / "data/streamrec").iterdir()] == ["catalogue.parquet"]


def test_a_wrong_param_stops_the_stage_before_any_data_is_read(tmp_path):
    done = run(tmp_path, vocabulary=5)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("convoy: params.yaml: section 'streamrec.corpus': unknown key 'vocabulary'")
