"""The embeddings contract, read back with pyarrow and pandas alone."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from convoy.core import files
from convoy.core.errors import ConvoyError
from convoy.embeddings import io, read, write_io
from convoy.streamrec.catalogue import io as catalogues
from tests.conftest import ROOT
from tests.support.embedded import items, parts, vector_of, write, write_items
from tests.support.memory import PRINT_PEAK


@pytest.fixture
def small(monkeypatch):
    """Row groups of 8 rows, parts of 32, batches of 5: the same files come in many pieces."""
    monkeypatch.setattr(write_io, "GROUP_ROWS", 8)
    monkeypatch.setattr(write_io, "PART_ROWS", 32)
    monkeypatch.setattr(write_io, "_BATCH_ROWS", 5)


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
    assert list(rows.values()) == [32, 32, 32, 4]
    assert manifest["rows"] == {f"parquet/{name}": count for name, count in rows.items()}
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
    ids, vectors = io.read(tmp_path / "out")
    assert ids.tolist() == frame["item_id"].tolist()
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert np.array_equal(vectors, np.stack(frame["embedding"]))
    assert not frame["embedding"].map(np.any)[frame["status"] != "ok"].any()
    mapped_ids, mapped = io.read(tmp_path / "out", mmap=True)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, vectors)
    assert np.array_equal(mapped_ids, ids)


@pytest.mark.parametrize("name", ["parquet/part-00000.parquet", "_mmap/embeddings.npy", "_mmap/item_ids.npy"])
def test_a_flipped_byte_is_refused(tmp_path, name):
    write(tmp_path)
    data = bytearray((tmp_path / "out" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(ConvoyError, match=f"{name}: sha256 differs from the manifest"):
        io.read(tmp_path / "out")


def test_what_is_not_whole_or_not_embeddings_is_refused(tmp_path):
    write(tmp_path)
    out = tmp_path / "out"
    manifest = json.loads((out / io.MANIFEST).read_text())
    (out / io.MANIFEST).write_text(json.dumps({**manifest, "schema": 3}))
    with pytest.raises(ConvoyError, match="expected embeddings of schema 2; found 3"):
        io.read(out)
    (out / io.MANIFEST).unlink()
    with pytest.raises(ConvoyError, match=r"no _manifest\.json, so the folder is not whole"):
        io.read(out)
    with pytest.raises(ConvoyError, match="nowhere: no such embeddings folder"):
        io.read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("weights_sha256", "0" * 64),
        ("model", "bow"),
        ("items", 99),
        ("status", {"ok": 100}),
        ("source_sha256", None),
        ("approved", True),
    ],
)
def test_a_manifest_that_differs_from_what_the_parts_hold_is_refused(tmp_path, fact, value):
    path = tmp_path / "out" / io.MANIFEST
    manifest = write(tmp_path)
    if value is None:
        del manifest[fact]
    else:
        manifest[fact] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(ConvoyError, match=rf"_manifest\.json: {fact} is .*, in parquet/part-0.* it is"):
        io.read(tmp_path / "out")


def test_rows_of_the_manifest_are_those_of_the_parts(tmp_path, small):
    manifest = write(tmp_path)
    manifest["rows"]["parquet/part-00003.parquet"] = 5
    (tmp_path / "out" / io.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ConvoyError, match="its rows are not those of the parts"):
        io.read(tmp_path / "out")


def test_a_part_of_something_else_is_refused(tmp_path):
    write(tmp_path)
    pq.write_table(items(100), parts(tmp_path)[0])
    facts = json.loads((tmp_path / "out" / io.MANIFEST).read_text())
    files.write_manifest(tmp_path / "out", io.MANIFEST, **{k: v for k, v in facts.items() if k != "files"})
    with pytest.raises(ConvoyError, match=r"part-00000\.parquet: not a part of embeddings"):
        io.read(tmp_path / "out")


@pytest.mark.parametrize("dataset", [".", "parquet"])
def test_a_folder_is_a_dataset_to_pandas_and_pyarrow(tmp_path, small, dataset):
    """Polars takes the folder `parquet` alone: it skips no names, and refuses other kinds of files."""
    write(tmp_path)
    folder = tmp_path / "out" / dataset
    ids, vectors = read(tmp_path / "out")
    names = ["item_id", "embedding", "text_sha256", "status"]
    frame = pd.read_parquet(folder)
    assert list(frame.columns) == names
    assert frame["item_id"].tolist() == ids.tolist()
    assert np.array_equal(np.stack(frame["embedding"]), vectors)
    table = ds.dataset(folder).to_table()
    assert table.schema.names == names
    assert table["item_id"].to_pylist() == ids.tolist()
    assert pq.read_table(folder).num_rows == 100
    assert table.filter(ds.field("status") == "empty_text").num_rows == 1


def test_parts_share_their_folder_with_nothing(tmp_path, small):
    write(tmp_path)
    out = tmp_path / "out"
    assert {path.suffix for path in (out / "parquet").iterdir()} == {".parquet"}
    assert {path.name for path in out.iterdir()} == {"parquet", "_mmap", "_manifest.json"}


def test_an_empty_folder_and_embeddings_are_written_over(tmp_path):
    (tmp_path / "out").mkdir()
    assert write(tmp_path)["items"] == 100
    assert write(tmp_path, items(90))["items"] == 90
    assert len(read(tmp_path / "out")[0]) == 90


@pytest.mark.parametrize("name", ["my_notes.txt", "_mmap/a.npy", "parquet/part-00001.parquet", "a/.b", "a/"])
@pytest.mark.parametrize("embedded", [True, False])
def test_what_no_embedding_made_is_never_replaced(tmp_path, name, embedded):
    if embedded:
        write(tmp_path)
    foreign = tmp_path / "out" / name
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.mkdir() if name.endswith("/") else foreign.write_text("mine")
    before = sorted((tmp_path / "out").rglob("*"))
    with pytest.raises(ConvoyError, match=rf"out: holds .*{name.strip('/')}.*, which no embedding made"):
        write(tmp_path)
    assert sorted((tmp_path / "out").rglob("*")) == before


def test_what_is_put_there_while_it_is_written_is_kept(tmp_path):
    write(tmp_path)

    def progress(phase, done, total):
        (tmp_path / "out" / "my_notes.txt").write_text("mine")

    with pytest.raises(ConvoyError, match=r"holds my_notes\.txt, which no embedding made"):
        write(tmp_path, progress=progress)
    assert (tmp_path / "out" / "my_notes.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".out.partial*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, small, error):
    write(tmp_path)
    before = io.read_manifest(tmp_path / "out")

    def progress(phase, done, total):
        if phase == "vectors" and done > 50:
            raise error

    with pytest.raises(error):
        write(tmp_path, items(90), progress=progress)
    assert io.read_manifest(tmp_path / "out") == before
    with pytest.raises(error):
        write(tmp_path / "fresh", items(90), progress=progress)
    assert sorted(path.name for path in (tmp_path / "fresh").iterdir()) == ["items.parquet"]


def test_bytes_do_not_depend_on_batches(tmp_path, monkeypatch):
    manifests = []
    for number, rows in enumerate((1, 7, 8192)):
        monkeypatch.setattr(write_io, "_BATCH_ROWS", rows)
        manifests.append(write(tmp_path / str(number)))
    assert manifests[0] == manifests[1] == manifests[2]


def test_order_of_the_rows_does_not_matter(tmp_path, small):
    shuffled = items(100).take(np.random.default_rng(0).permutation(100))
    first, second = write(tmp_path / "a"), write(tmp_path / "b", shuffled)
    for name in (io.VECTORS, io.IDS):
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
    with pytest.raises(
        ConvoyError, match=r"8000\d+\.\d GB needed for 100 vectors of 10000000000000, .* free; "
    ):
        write_items(tmp_path / "out", tmp_path / "items.parquet", 10**13)


def test_sources_of_the_catalogue(tmp_path):
    ours = pa.table({name: ["a", "b"] for name in catalogues.CATALOGUE.names})
    for source, expected in (("5" * 64, ["5" * 64]), (None, [])):
        path = tmp_path / "ours.parquet"
        catalogues.write(path, ours, {"source": "x.csv", "source_sha256": source, "max_characters": 9})
        manifest = write_items(tmp_path / "out", path)
        assert manifest["source_sha256"] == expected
        assert manifest["catalogue_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    path = tmp_path / "theirs.csv"
    path.write_text("item_id,title,synopsis\n1,a,b\n")
    manifest = write_items(tmp_path / "out", path)
    assert manifest["source_sha256"] == [manifest["catalogue_sha256"]]


def test_row_numbers_serve_where_there_are_no_ids(tmp_path):
    manifest = write(tmp_path, items(12).drop_columns("item_id"))
    assert manifest["items"] == 12
    ids, vectors = io.read(tmp_path / "out")
    assert ids.tolist() == sorted(str(number) for number in range(1, 13))
    assert np.array_equal(vectors[1], np.float32(vector_of("synopsis 9")))  # row 10


GROWTH = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from convoy.embeddings import io, write_io
from convoy.streamrec.catalogue.source_io import Items
write_io.GROUP_ROWS, write_io.PART_ROWS, write_io._BATCH_ROWS = 1024, 16384, 1024
folder, count, dim = Path(sys.argv[1]), int(sys.argv[2]), 256

def embed(batch):
    n = len(batch)
    return io.Embedded(np.ones((n, dim), np.float32), ["0" * 64] * n, np.zeros(n, np.uint8))

order = np.random.default_rng(0).permutation(count)
schema = pa.schema({name: pa.string() for name in ("item_id", "title", "synopsis")})
with pq.ParquetWriter(folder / "items.parquet", schema) as writer:
    for start in range(0, count, 4096):
        ids = [f"item-{number:08}" for number in order[start : start + 4096]]
        texts = ["x" * 300] * len(ids)
        writer.write_table(pa.table({"item_id": ids, "title": texts, "synopsis": texts}))
items = Items(folder / "items.parquet", {})
write_io.write(folder / "out", items, embed, dim, {})

def digests(batch):
    return ["0" * 63 + str(number % 2) for number in range(len(batch))]

_, changes = write_io.write_since(folder / "out", folder / "again", items, embed, digests, dim, {})
assert changes.changed == changes.kept == count // 2
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
