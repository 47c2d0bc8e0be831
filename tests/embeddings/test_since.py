"""An export since a former version: the bytes of a full one, with less embedded."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoy.core import files
from convoy.core.errors import ConvoyError
from convoy.embeddings import former_io, io, write_io
from convoy.embeddings.changes import Changes
from convoy.streamrec.catalogue.source_io import Items
from tests.support.embedded import DIM, FACTS, items, parts, without_ids, write, write_items


@pytest.fixture
def small(monkeypatch):
    """The same files come in many pieces, of other sizes on both sides of the comparison."""
    monkeypatch.setattr(write_io, "GROUP_ROWS", 8)
    monkeypatch.setattr(write_io, "PART_ROWS", 16)
    monkeypatch.setattr(write_io, "_BATCH_ROWS", 5)
    monkeypatch.setattr(former_io, "_BATCH_ROWS", 7)


def digests(batch):
    return without_ids(batch).text_sha256


def since(folder, table, former="former", **changes):
    """Export `table` since `former`; return the manifest, the changes and the texts that were embedded."""
    pq.write_table(table, folder / "items.parquet")
    embedded = []

    def counting(batch):
        embedded.extend(batch["synopsis"].to_pylist())
        return without_ids(batch)

    settings = {"dimension": DIM, "facts": FACTS, **changes}
    result = write_io.write_since(
        folder / former, folder / "out", Items(folder / "items.parquet", {}), counting, digests, **settings
    )
    return *result, embedded


def all_bytes(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(**texts):
    return pa.table({"item_id": list(texts), "title": [""] * len(texts), "synopsis": list(texts.values())})


def test_new_and_changed_texts_alone_are_embedded_and_the_bytes_are_those_of_a_full_export(tmp_path, small):
    before = items(100)
    pq.write_table(before, tmp_path / "before.parquet")
    write_items(tmp_path / "former", tmp_path / "before.parquet")
    after = before.slice(9).to_pylist()  # 9 removed
    for row in (3, 50, 90):  # the last of these had no text
        after[row] = {**after[row], "synopsis": f"another {row}"}
    after[10] = {**after[10], "synopsis": ""}
    after += [
        {"item_id": name, "title": "", "synopsis": f"new {name}"} for name in ("0", "item-50a", "~", "007")
    ]
    order = np.random.default_rng(1).permutation(len(after))
    table = pa.Table.from_pylist([after[place] for place in order])
    manifest, changes, embedded = since(tmp_path, table)
    assert changes == Changes(new=4, changed=4, kept=87, removed=9)
    assert sorted(embedded) == sorted(
        ["", "another 3", "another 50", "another 90", "new 0", "new 007", "new item-50a", "new ~"]
    )
    full = tmp_path / "full"
    assert write_items(full, tmp_path / "items.parquet") == manifest
    assert all_bytes(full) == all_bytes(tmp_path / "out")
    assert len(parts(tmp_path)) == 6
    io.read(tmp_path / "out")


IDS = st.sampled_from(["", "0", "00", "1", "10", "a", "aa", "ab", "b", "ä", "\uff5e", "\U0001f600", "Z" * 40])
CATALOGUES = st.dictionaries(IDS.map("x{}".format), st.sampled_from(["", "one", "two"]), min_size=1)


@settings(max_examples=25, deadline=None)
@given(before=CATALOGUES, after=CATALOGUES)
def test_any_two_catalogues(tmp_path_factory, before, after):
    folder = tmp_path_factory.mktemp("since")
    pq.write_table(rows(**before), folder / "before.parquet")
    write_items(folder / "former", folder / "before.parquet")
    _, changes, _ = since(folder, rows(**after))
    both = before.keys() & after.keys()
    kept = sum(before[name] == after[name] for name in both)
    assert changes == Changes(len(after) - len(both), len(both) - kept, kept, len(before) - len(both))
    write_items(folder / "full", folder / "items.parquet")
    assert all_bytes(folder / "full") == all_bytes(folder / "out")


def test_the_former_folder_may_be_the_one_that_is_replaced(tmp_path):
    write(tmp_path)
    _, changes, embedded = since(tmp_path, items(100).slice(1), former="out")
    assert changes == Changes(0, 0, 99, 1)
    assert embedded == []
    assert len(io.read(tmp_path / "out")[0]) == 99


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"facts": FACTS | {"model": "bow"}},
            "former: model: made by another model or in another way; expected bow; found textcnn",
        ),
        (
            {"facts": FACTS | {"normalise": "l2"}},
            "normalise: made by another .*; expected l2; found none; .* without --since",
        ),
        ({"facts": FACTS | {"weights_sha256": "5" * 64}}, "weights_sha256: .*; expected 5{19}…; found None"),
        ({"dimension": DIM + 1}, "dimension: .*; expected 7; found 6"),
    ],
)
def test_vectors_of_another_origin_are_refused(tmp_path, changed, message):
    pq.write_table(items(20), tmp_path / "before.parquet")
    write_items(tmp_path / "former", tmp_path / "before.parquet")
    with pytest.raises(ConvoyError, match=message):
        since(tmp_path, items(20), **changed)
    assert not (tmp_path / "out").exists()


def test_a_former_folder_that_was_harmed_or_is_none_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="former: no such embeddings folder"):
        since(tmp_path, items(20))
    pq.write_table(items(20), tmp_path / "before.parquet")
    write_items(tmp_path / "former", tmp_path / "before.parquet")
    vectors = tmp_path / "former" / io.VECTORS
    data = bytearray(vectors.read_bytes())
    data[-1] ^= 1
    vectors.write_bytes(data)
    with pytest.raises(ConvoyError, match=r"embeddings\.npy: sha256 differs from the manifest"):
        since(tmp_path, items(20))
    assert not (tmp_path / "out").exists()


def sign(folder):
    """Renew the checksums of a folder that was changed."""
    facts = json.loads((folder / io.MANIFEST).read_text())
    del facts["files"]
    files.write_manifest(folder, io.MANIFEST, **facts)


def test_vectors_that_no_embedding_wrote_are_refused_though_the_checksums_match(tmp_path):
    pq.write_table(items(20), tmp_path / "before.parquet")
    former = tmp_path / "former"
    write_items(former, tmp_path / "before.parquet")
    vectors = np.load(former / io.VECTORS)
    for wrong in (np.nan, 0):
        harmed = vectors.copy()
        harmed[4] = wrong
        np.save(former / io.VECTORS, harmed)
        sign(former)
        with pytest.raises(ConvoyError, match=r"embeddings\.npy: row 5: not finite, or not zero exactly"):
            since(tmp_path, items(20))
    np.save(former / io.VECTORS, vectors)
    part = former / "parquet/part-00000.parquet"
    table = pq.read_table(part)
    for column, value in (("status", "fine"), ("text_sha256", "no digest")):
        values = pa.array([value] * len(table))
        place = table.schema.get_field_index(column)
        pq.write_table(table.set_column(place, table.schema.field(place), values), part)
        sign(former)
        with pytest.raises(ConvoyError, match=r"part-00000\.parquet: not a part of embeddings"):
            since(tmp_path, items(20))


OTHER_ARRAYS = {
    "numbers": (io.IDS, lambda ids: np.arange(len(ids)), "does not match the manifest"),
    "bytes": (io.IDS, np.strings.encode, "does not match the manifest"),
    "not sorted": (io.IDS, lambda ids: ids[::-1].copy(), "ids twice or not sorted"),
    "doubled": (io.IDS, lambda ids: np.repeat(ids[:1], len(ids)), "ids twice or not sorted"),
    "columns first": (io.VECTORS, np.asfortranarray, "another order of rows"),
    "big-endian": (io.VECTORS, lambda vectors: vectors.astype(">f4"), "another order of rows"),
    "doubles": (io.VECTORS, lambda vectors: vectors.astype("f8"), "does not match the manifest"),
    "fewer": (io.VECTORS, lambda vectors: vectors[:-1], "does not match the manifest"),
}


@pytest.mark.parametrize("other", OTHER_ARRAYS)
def test_arrays_that_no_embedding_wrote_are_refused_though_the_checksums_match(tmp_path, other):
    name, change, message = OTHER_ARRAYS[other]
    pq.write_table(items(20), tmp_path / "before.parquet")
    former = tmp_path / "former"
    write_items(former, tmp_path / "before.parquet")
    np.save(former / name, change(np.load(former / name)))
    sign(former)
    with pytest.raises(ConvoyError, match=message):
        since(tmp_path, items(20))
    assert not (tmp_path / "out").exists()


def test_a_former_folder_that_changes_meanwhile_is_refused(tmp_path):
    pq.write_table(items(20), tmp_path / "before.parquet")
    write_items(tmp_path / "former", tmp_path / "before.parquet")
    pq.write_table(items(30), tmp_path / "other.parquet")

    def progress(phase, done, total):
        if phase == "ids":
            write_items(tmp_path / "former", tmp_path / "other.parquet")

    with pytest.raises(ConvoyError, match="former: changed while it was read; run again"):
        since(tmp_path, items(20), progress=progress)
