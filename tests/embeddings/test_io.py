"""The embeddings contract, read back with pyarrow and pandas alone."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.embeddings import io as embeddings
from convoy.embeddings.io import Embedded
from convoy.streamrec.catalogue import io as catalogues
from tests.conftest import ROOT
from tests.support.memory import PRINT_PEAK

DIM = 6
FACTS = {"model": "textcnn", "pooling": "max", "normalise": "none"}


def embed(batch):
    """Vectors that tell which item they belong to; an item without a synopsis has none."""
    texts = [
        f"{title} {synopsis}".strip() for title, synopsis in zip(*batch.to_pydict().values(), strict=True)
    ]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    vectors = np.array([vector_of(text) for text in texts], np.float32)
    return Embedded(vectors, digests, np.array([0 if text else 1 for text in texts], np.uint8))


def vector_of(text):
    rng = np.random.default_rng(list(text.encode()))
    return rng.standard_normal(DIM) if text else np.zeros(DIM)


def without_ids(batch):
    return embed(batch.select(["title", "synopsis"]))


def items(count):
    """Ids whose order as UTF-8, as UTF-16 and as found all differ; the last item has no text."""
    ids = [f"item-{number * 7919 % count}" for number in range(count - 3)] + ["\U0001f600", "\uff5e", "Z"]
    synopses = [f"synopsis {number}" for number in range(count - 1)] + [""]
    return pa.table({"item_id": ids, "title": [""] * count, "synopsis": synopses})


def write(folder, table=None, name="items.parquet", **changes):
    folder.mkdir(exist_ok=True)
    table = items(100) if table is None else table
    pq.write_table(table, folder / name)
    return embeddings.write(folder / "out", folder / name, {}, without_ids, DIM, FACTS, **changes)


def parts(folder):
    return sorted((folder / "out").glob("part-*.parquet"))


@pytest.fixture
def small(monkeypatch):
    """Row groups of 8 rows, parts of 32, batches of 5: the same files come in many pieces."""
    monkeypatch.setattr(embeddings, "GROUP_ROWS", 8)
    monkeypatch.setattr(embeddings, "PART_ROWS", 32)
    monkeypatch.setattr(embeddings, "_BATCH_ROWS", 5)


def test_contract_by_pyarrow_alone(tmp_path, small):
    manifest = write(tmp_path)
    assert [path.name for path in parts(tmp_path)] == [f"part-0000{number}.parquet" for number in range(4)]
    table = pa.concat_tables(pq.read_table(path, page_checksum_verification=True) for path in parts(tmp_path))
    assert table.schema.names == ["item_id", "embedding", "text_sha256", "status"]
    assert table.schema.field("embedding").type == pa.list_(pa.field("element", pa.float32(), nullable=False))
    assert {str(table.schema.field(name).type) for name in ("item_id", "text_sha256", "status")} == {"string"}
    assert not any(field.nullable for field in table.schema)
    source = items(100).sort_by("item_id")
    expected = sorted(items(100).to_pylist(), key=lambda item: item["item_id"].encode())
    assert (
        table["item_id"].to_pylist()
        == [item["item_id"] for item in expected]
        == source["item_id"].to_pylist()
    )
    for row, item in zip(table.to_pylist(), expected, strict=True):
        assert row["embedding"] == np.float32(vector_of(item["synopsis"])).tolist()
        assert row["text_sha256"] == hashlib.sha256(item["synopsis"].encode()).hexdigest()
        assert row["status"] == ("ok" if item["synopsis"] else "empty_text")
    assert manifest["status"] == {"ok": 99, "empty_text": 1, "all_unknown": 0, "no_signal": 0}


def test_layout_of_the_parts(tmp_path, small):
    manifest = write(tmp_path)
    rows = {path.name: pq.ParquetFile(path).metadata.num_rows for path in parts(tmp_path)}
    assert rows == manifest["rows"] == {**dict.fromkeys(list(rows)[:3], 32), "part-00003.parquet": 4}
    metadata = pq.ParquetFile(parts(tmp_path)[0]).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [8, 8, 8, 8]
    group = metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    vectors = columns["embedding.list.element"]
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert not vectors.is_stats_set
    assert not vectors.has_dictionary_page
    assert columns["item_id"].is_stats_set
    assert group.sorting_columns == (pq.SortingColumn(0),)
    short = json.loads(metadata.metadata[b"convoy"])
    assert short == {key: value for key, value in manifest.items() if key not in ("files", "rows")}


def test_a_flipped_bit_in_a_page_is_found_by_its_checksum(tmp_path):
    write(tmp_path)
    path = parts(tmp_path)[0]
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)checksum|crc"):
        pq.read_table(path, page_checksum_verification=True)


def test_pandas_and_the_reader_agree(tmp_path, small):
    write(tmp_path)
    frame = pd.concat([pd.read_parquet(path) for path in parts(tmp_path)])
    ids, vectors = embeddings.read(tmp_path / "out")
    assert ids.tolist() == frame["item_id"].tolist()
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert np.array_equal(vectors, np.stack(frame["embedding"]))
    assert not frame["embedding"].map(np.any)[frame["status"] != "ok"].any()
    mapped_ids, mapped = embeddings.read(tmp_path / "out", mmap=True)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, vectors)
    assert np.array_equal(mapped_ids, ids)


@pytest.mark.parametrize("name", ["part-00000.parquet", "embeddings.npy", "item_ids.npy"])
def test_a_flipped_byte_is_refused(tmp_path, name):
    write(tmp_path)
    data = bytearray((tmp_path / "out" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(ConvoyError, match=f"{name}: sha256 differs from the manifest"):
        embeddings.read(tmp_path / "out")


def test_what_is_not_whole_or_not_embeddings_is_refused(tmp_path):
    write(tmp_path)
    out = tmp_path / "out"
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "schema": 2}))
    with pytest.raises(ConvoyError, match="expected embeddings of schema 1, found 2"):
        embeddings.read(out)
    (out / "manifest.json").write_text(json.dumps({**manifest, "items": 99}))
    with pytest.raises(ConvoyError, match="not what the manifest says"):
        embeddings.read(out)
    (out / "manifest.json").unlink()
    with pytest.raises(ConvoyError, match=r"no manifest\.json, so the folder is not whole"):
        embeddings.read(out)
    with pytest.raises(ConvoyError, match="nowhere: no such embeddings folder"):
        embeddings.read(tmp_path / "nowhere")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, small, error):
    write(tmp_path)
    before = embeddings.read_manifest(tmp_path / "out")

    def progress(phase, done, total):
        if phase == "vectors" and done > 50:
            raise error

    with pytest.raises(error):
        write(tmp_path, items(90), progress=progress)
    assert embeddings.read_manifest(tmp_path / "out") == before
    with pytest.raises(error):
        write(tmp_path / "fresh", items(90), progress=progress)
    assert sorted(path.name for path in (tmp_path / "fresh").iterdir()) == ["items.parquet"]


def test_bytes_do_not_depend_on_batches(tmp_path, monkeypatch):
    manifests = []
    for number, rows in enumerate((1, 7, 8192)):
        monkeypatch.setattr(embeddings, "_BATCH_ROWS", rows)
        manifests.append(write(tmp_path / str(number)))
    assert manifests[0] == manifests[1] == manifests[2]


def test_order_of_the_rows_does_not_matter(tmp_path, small):
    shuffled = items(100).take(np.random.default_rng(0).permutation(100))
    first, second = write(tmp_path / "a"), write(tmp_path / "b", shuffled)
    for name in ("embeddings.npy", "item_ids.npy"):
        assert first["files"][name] == second["files"][name]
    for one, other in zip(parts(tmp_path / "a"), parts(tmp_path / "b"), strict=True):
        assert pq.read_table(one).equals(pq.read_table(other))


def test_progress_names_the_phases_and_ends_at_all_items(tmp_path, small):
    seen = {}
    write(tmp_path, progress=lambda phase, done, total: seen.update({phase: (done, total)}))
    assert seen == {"ids": (100, 0), "vectors": (100, 100), "Parquet": (100, 100)}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "c", "b"], r"ids given twice: 'b' \(rows 2 and 4\); give every item its own"),
        (
            ["b ", "a", "b", "c", "\tb"],
            r"ids given twice but for blanks at the ends: 'b' \(rows 1 and 3\), 'b' \(rows 3 and 5\);",
        ),
        (["a", "b" * 300], "an item_id of more than 256 characters in row 2"),
        (["a", "b\0"], "an item_id with a NUL"),
    ],
)
def test_ids_that_no_reader_could_tell_apart_are_refused(tmp_path, ids, message):
    table = pa.table({"item_id": ids, "title": ids, "synopsis": ids})
    with pytest.raises(ConvoyError, match=rf"items\.parquet: .*{message}"):
        write(tmp_path, table)
    assert not (tmp_path / "out").exists()


def test_many_repeated_ids_are_counted_not_listed(tmp_path, small):
    table = pa.table({"item_id": ["same"] * 40, "title": [""] * 40, "synopsis": [""] * 40})
    with pytest.raises(ConvoyError, match=r"'same' \(rows 5 and 6\) and 34 more"):
        write(tmp_path, table)


def test_a_catalogue_that_changes_meanwhile_is_refused(tmp_path):
    def progress(phase, done, total):
        if phase == "vectors":
            pq.write_table(items(100).slice(1), tmp_path / "items.parquet")

    with pytest.raises(ConvoyError, match="changed while it was read"):
        write(tmp_path, progress=progress)

    def grows(phase, done, total):
        if phase == "ids":
            pq.write_table(items(120), tmp_path / "items.parquet")

    with pytest.raises(ConvoyError, match="changed while it was read"):
        write(tmp_path, progress=grows)


def test_a_full_disk_is_told_before_any_work(tmp_path):
    pq.write_table(items(100), tmp_path / "items.parquet")
    with pytest.raises(ConvoyError, match=r"GB free, 8000\d+\.\d needed for 100 vectors of 10000000000000"):
        embeddings.write(tmp_path / "out", tmp_path / "items.parquet", {}, without_ids, 10**13, FACTS)


def test_sources_of_the_catalogue(tmp_path):
    ours = pa.table({name: ["a", "b"] for name in catalogues.CATALOGUE.names})
    for source, expected in (("5" * 64, ["5" * 64]), (None, [])):
        path = tmp_path / "ours.parquet"
        catalogues.write(path, ours, {"source": "x.csv", "source_sha256": source, "max_characters": 9})
        manifest = embeddings.write(tmp_path / "out", path, {}, without_ids, DIM, FACTS)
        assert manifest["source_sha256"] == expected
        assert manifest["catalogue_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    path = tmp_path / "theirs.csv"
    path.write_text("item_id,title,synopsis\n1,a,b\n")
    manifest = embeddings.write(tmp_path / "out", path, {}, without_ids, DIM, FACTS)
    assert manifest["source_sha256"] == [manifest["catalogue_sha256"]]


def test_row_numbers_serve_where_there_are_no_ids(tmp_path):
    manifest = write(tmp_path, items(12).drop_columns("item_id"))
    assert manifest["items"] == 12
    ids, vectors = embeddings.read(tmp_path / "out")
    assert ids.tolist() == sorted(str(number) for number in range(1, 13))
    assert np.array_equal(vectors[1], np.float32(vector_of("synopsis 9")))  # row 10


GROWTH = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from convoy.embeddings import io as embeddings
embeddings.GROUP_ROWS, embeddings.PART_ROWS, embeddings._BATCH_ROWS = 1024, 16384, 1024
folder, count, dim = Path(sys.argv[1]), int(sys.argv[2]), 256

def embed(batch):
    n = len(batch)
    return embeddings.Embedded(np.ones((n, dim), np.float32), ["0" * 64] * n, np.zeros(n, np.uint8))

order = np.random.default_rng(0).permutation(count)
schema = pa.schema({name: pa.string() for name in ("item_id", "title", "synopsis")})
with pq.ParquetWriter(folder / "items.parquet", schema) as writer:
    for start in range(0, count, 4096):
        ids = [f"item-{number:08}" for number in order[start : start + 4096]]
        texts = ["x" * 300] * len(ids)
        writer.write_table(pa.table({"item_id": ids, "title": texts, "synopsis": texts}))
embeddings.write(folder / "out", folder / "items.parquet", {}, embed, dim, {})
"""


def test_memory_holds_neither_texts_nor_vectors(tmp_path):
    """Per item at most 100 bytes; a vector has 1,024 here and a text 600."""
    peaks = []
    for count in (40_000, 140_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", GROWTH + PRINT_PEAK, folder, str(count)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) * 1024)
    noise = 20e6
    assert peaks[1] - peaks[0] < 100_000 * 100 + noise
