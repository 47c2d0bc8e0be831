"""Every snippet of docs/embeddings.md and of the README that reads embeddings, run as it stands there.

All of them give the vectors of the same ids, with ids that other readers would change, in 14 parts.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.embeddings import read, write_io
from tests.conftest import ROOT
from tests.support.embedded import vector_of, write_items

IDS = ["007", "7", "07", "1e5", "NaN", "null", "true", "0x10", "1_000", "2026-01-01", "a b", "-", "'",
       "été", "e\u0301te\u0301", "映画", "😀", "\uff5e"]  # fmt: skip
EMPTY = "-"
FOLDER = "data/streamrec/embeddings/textcnn"
NAMES = ("docs/embeddings.md", "README.md")


def snippets(name):
    """The Python snippets of a page that read embeddings, by the headings above them."""
    found, counts = {}, {}
    text = (ROOT / name).read_text(encoding="utf-8")
    for heading, code in re.findall(r"^## ([^\n]+)|^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if heading:
            last = heading
        elif FOLDER in code:
            counts[last] = counts.get(last, 0) + 1
            found[f"{name}: {last} {counts[last]}"] = code
    return found


SNIPPETS = {key: code for name in NAMES for key, code in snippets(name).items()}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with embeddings of 215 items in 14 parts, and what their vectors have to be by id."""
    folder = tmp_path_factory.mktemp("reading")
    ids = [*IDS, *(f"item-{number}" for number in range(197))]
    texts = ["" if name == EMPTY else f"text of {name}" for name in ids]
    pq.write_table(
        pa.table({"item_id": ids, "title": [""] * len(ids), "synopsis": texts}), folder / "items.parquet"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_io, "GROUP_ROWS", 8)
        patch.setattr(write_io, "PART_ROWS", 16)
        write_items(folder / FOLDER, folder / "items.parquet")
    parts = sorted((folder / FOLDER / "parquet").iterdir())
    assert len(parts) == 14
    assert parts[2].name < parts[10].name  # also to readers that sort names as text
    return folder, {name: np.float32(vector_of(text)) for name, text in zip(ids, texts, strict=True)}


def run(code, every_batch=False):
    """The names that a snippet defines; with `every_batch` `ids` and `vectors` of all turns of its loop."""
    names = {}
    if every_batch:
        code += "\n    all_ids += ids\n    all_vectors.append(vectors.copy())\n"
        names |= {"all_ids": [], "all_vectors": []}
    exec(compile(code, "snippet", "exec"), names)
    if every_batch:
        names |= {"ids": names["all_ids"], "vectors": np.concatenate(names["all_vectors"])}
    return names


def test_all_readers_have_a_snippet():
    code = "\n".join(SNIPPETS.values())
    for library in ("numpy", "pyarrow", "pandas", "polars", "duckdb", "faiss", "voyager"):
        assert f"import {library}" in code
    assert sum(key.startswith("README") for key in SNIPPETS) == 2


@pytest.mark.parametrize("key", SNIPPETS)
def test_a_snippet_gives_the_vectors_of_the_ids(workspace, monkeypatch, key):
    folder, expected = workspace
    monkeypatch.chdir(folder)
    # In some a batch is read in each turn of a loop.
    names = run(SNIPPETS[key], every_batch="\nfor " in SNIPPETS[key])
    # The first snippet of the README shows the vectors alone.
    ids = names["ids"] if "ids" in names else names["table"]["item_id"].to_pylist()
    vectors = names["vectors"]
    one = '== "007").select' in SNIPPETS[key]
    assert [str(name) for name in ids] == (["007"] if one else sorted(expected, key=str.encode))
    assert len(vectors) == len(ids)
    for name, vector in zip(ids, vectors, strict=True):
        assert np.array_equal(np.float32(vector), expected[str(name)])
    if not one:
        assert vectors.dtype == np.float32
    if "vector" in names:
        assert np.array_equal(names["vector"], expected["007"])
    if "neighbours" in names:
        check_neighbours(names["neighbours"])


def check_neighbours(neighbours):
    """Compare with cosines that NumPy computes; items without a vector are neither asked for nor found."""
    ids, vectors = read(FOLDER)
    rows = np.flatnonzero(vectors.any(1))
    unit = vectors[rows].astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    order = np.argsort(-unit[:5] @ unit.T, axis=1)[:, :11]
    assert neighbours == [[str(ids[rows[place]]) for place in places] for places in order]
    assert EMPTY not in {name for found in neighbours for name in found}
