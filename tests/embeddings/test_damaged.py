"""Embeddings that somebody changed, with all checksums renewed, are refused in one line."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.core.files import sha256, write_json
from convoy.core.printable import one_line
from convoy.embeddings import io
from tests.support.embedded import parts, write


def renew(out, **changes):
    """Write the manifest with these facts and the files as they are."""
    manifest = json.loads((out / io.MANIFEST).read_text()) | changes
    for name in manifest["files"]:
        path = out / name
        manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    write_json(out / io.MANIFEST, manifest)


@pytest.mark.parametrize(
    "changes",
    [{"items": None}, {"items": "3"}, {"dimension": None}, {"status": None}, {"status": {"ok": "\x1b[31m"}}],
)
def test_facts_that_are_no_counts(tmp_path, changes):
    write(tmp_path)
    renew(tmp_path / "out", **changes)
    with pytest.raises(ConvoyError, match="items, dimension or status are missing or no counts"):
        io.read(tmp_path / "out")


def test_files_that_are_none(tmp_path):
    write(tmp_path)
    manifest = json.loads((tmp_path / "out" / io.MANIFEST).read_text())
    write_json(tmp_path / "out" / io.MANIFEST, manifest | {"files": None})
    with pytest.raises(ConvoyError, match="no list of files"):
        io.read(tmp_path / "out")
    with pytest.raises(ConvoyError, match="which no embedding made"):
        io.refuse_foreign(tmp_path / "out")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"text", b"\x93NUMPY\x01\x00v\x00{'descr': 'O'}"])
def test_arrays_that_are_none(tmp_path, data, mmap):
    write(tmp_path)
    (tmp_path / "out" / io.VECTORS).write_bytes(data)
    renew(tmp_path / "out")
    with pytest.raises(ConvoyError, match=r"embeddings\.npy: not a whole \.npy file"):
        io.read(tmp_path / "out", mmap)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    write(tmp_path)
    np.save(tmp_path / "out" / io.IDS, np.array([{"a": 1}], object), allow_pickle=True)
    renew(tmp_path / "out")
    with pytest.raises(ConvoyError, match=r"item_ids\.npy: not a whole \.npy file \(Object arrays"):
        io.read(tmp_path / "out")


@pytest.mark.parametrize(
    "facts", [b"[" * 100_000, b"\xff", b"[]", b"null", b'{"model": "\\u001b[31m\\n"}'], ids=range(5)
)
def test_metadata_of_a_part(tmp_path, facts):
    write(tmp_path)
    for part in parts(tmp_path):
        table = pq.read_table(part)
        pq.write_table(table.replace_schema_metadata({io.METADATA: facts}), part)
    renew(tmp_path / "out")
    with pytest.raises(ConvoyError) as refused:
        io.read(tmp_path / "out")
    assert one_line(refused.value).isprintable()
