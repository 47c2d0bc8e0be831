"""`convoy neighbours`: the nearest items as a table, and what cannot be looked up."""

import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from convoy.embeddings import io, read
from tests.cli.test_app import invoke, refused
from tests.embeddings.test_damaged import renew
from tests.support import embedded
from tests.support.accepted import contents, store


def table(*arguments):
    """Rows of the last table, cells by position."""
    result = invoke("neighbours", "vectors", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    start = max(number for number, line in enumerate(lines) if line.startswith("─"))
    return [line.split() for line in lines[start + 1 :]]


def test_the_nearest_items_with_titles_and_categories(folder):
    ids, vectors = read("vectors")
    rows = table(ids[7], "-k", "5", "--catalogue=catalogue.parquet")
    cosines = cosine_similarity(vectors[7:8], vectors)[0]
    cosines[7] = -1
    order = np.argsort(-cosines, kind="stable")[:5]
    assert [row[1] for row in rows] == ids[order].tolist()
    assert [float(row[-1]) for row in rows] == pytest.approx(cosines[order], abs=1e-4)
    known = {row["item_id"]: row for row in pq.read_table("catalogue.parquet").to_pylist()}
    for row in rows:
        assert " ".join(row[2:-2]) == known[row[1]]["title"]
        assert row[-2] == known[row[1]]["category"]


def test_a_new_text(folder):
    known = pq.read_table("catalogue.parquet").to_pylist()[11]
    rows = table("--text", f"{known['title']} {known['synopsis']}", "--model=model", "-k", "3")
    assert rows[0] == ["1", known["item_id"], "1.0000"]


def test_k_beyond_the_items_lists_them_all_but_the_item_itself(folder):
    ids, _ = read("vectors")
    rows = table(ids[0], "-k", "9999")
    assert sorted(row[1] for row in rows) == ids[1:].tolist()


def test_what_is_refused(folder):
    ids, _ = read("vectors")
    last = ids[-1]
    line = refused("neighbours", "vectors", f"{last}x")
    assert line.startswith(f"convoy: vectors: no item '{last}x'; the nearest ids are {last}, ")
    assert "name either an ITEM_ID or a --text" in refused("neighbours", "vectors")
    assert "need each other" in refused("neighbours", "vectors", "--text=a")
    assert "--text: no vector: empty_text" in refused("neighbours", "vectors", "--text= ", "--model=model")
    rows = contents(folder / "vectors")
    rows.vectors[4], rows.status[4] = 0, "no_signal"
    rows.facts["weights_sha256"] = "0" * 64
    store(folder / "other", rows)
    assert "has no vector: its status is not ok" in refused("neighbours", "other", rows.ids[4])
    assert "by other weights" in refused("neighbours", "other", "--text=a", "--model=model")
    listed = invoke("neighbours", "other", rows.ids[5], "-k", "9999").stdout
    assert rows.ids[4] not in listed


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.arange(100), "its ids are no strings"),
        (np.full(100, 0x110000, np.uint32).view("<U1"), "no strings"),
    ],
    ids=["numbers", "no characters"],
)
def test_ids_that_are_none(tmp_path, monkeypatch, ids, message):
    monkeypatch.chdir(tmp_path)
    embedded.write(tmp_path)
    np.save(tmp_path / "out" / io.IDS, ids)
    renew(tmp_path / "out")
    assert message in refused("neighbours", "out", "7")


def test_a_vector_that_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    embedded.write(tmp_path)
    ids, vectors = read("out")
    vectors[3] = np.nan
    np.save(tmp_path / "out" / io.VECTORS, vectors)
    renew(tmp_path / "out")
    assert "holds NaN or infinity; make the folder again" in refused("neighbours", "out", ids[3])


def test_an_id_far_longer_than_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    embedded.write(tmp_path)
    tracemalloc.start()
    line = refused("neighbours", "out", "7" * 50_000)
    assert tracemalloc.get_traced_memory()[1] < 10e6  # 100 ids of that width take 20 MB
    tracemalloc.stop()
    near = line.partition("ids are ")[2].strip().split(", ")
    assert len(set(near)) == 3


def test_an_id_that_lost_its_zeros_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = embedded.items(40).set_column(0, "item_id", [[f"{number:03}" for number in range(40)]])
    embedded.write(tmp_path, table)
    assert "no item '7'; the nearest ids are 007, " in refused("neighbours", "out", "7")
