"""Reads an embeddings folder that may be broken; writes certificates.

`convoy.embeddings.read` raises an error at the first fault. Here every fault is kept, under the name of the
check that reports it, and whatever can be read is.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from convoy.acceptance.case import Items, Version
from convoy.core.errors import ConvoyError
from convoy.core.files import check_manifest, read_json, sha256, write_json, write_text
from convoy.core.printable import cut, reason
from convoy.embeddings.io import IDS, MANIFEST, METADATA, OK, PARTS, SCHEMA, SCHEMA_VERSION, STATUSES, VECTORS

SCHEMA_CHECK, CHECKSUMS, PARTS_CHECK, ONE_VERSION, COPIES = (
    "schema",
    "checksums",
    "parts",
    "one_version",
    "copies",
)
CERTIFICATE, PAGE = "certificate.json", "certificate.html"
_BATCH_ROWS = 8_192
_VALUE = 60
_MANIFEST_BYTES = 1 << 26
_ROW_BYTES, _PART_BYTES = 4_096, 1 << 24  # of ids and the like; of dictionaries
_HEX = 64
_LARGEST_FIGURE = 1e9
_LAST_CODE = 0x10FFFF  # of Unicode, of which D800 to DFFF are no characters


class _BrokenError(Exception):
    """A fault that keeps the items from being read."""


def examine(path: Path) -> Version:
    """Everything that can be read of an embeddings folder, and its faults.

    Raises ConvoyError where there is no folder, or no manifest that is JSON: then it is no version.
    """
    path = Path(path)
    manifest_path = path / MANIFEST
    if not path.is_dir():
        raise ConvoyError(
            "no such embeddings folder", path=path, hint="run `dvc repro` or `convoy embed` to make it"
        )
    if not manifest_path.is_file():
        raise ConvoyError(
            f"no {MANIFEST}, so this is not a whole embeddings folder", path=path, hint="make it again"
        )
    if manifest_path.stat().st_size > _MANIFEST_BYTES:
        raise ConvoyError("too large for a manifest", path=manifest_path, hint="make the folder again")
    manifest = read_json(manifest_path)
    faults: dict[str, str] = {}
    if (fault := _schema_fault(manifest)) is not None:
        faults[SCHEMA_CHECK] = fault
        return Version(path.name, sha256(manifest_path), _facts(manifest), faults, None)
    try:
        check_manifest(path, MANIFEST)
    except (ConvoyError, OSError) as error:
        faults[CHECKSUMS] = _words(error, path)
    items = None
    try:
        items = _items(path, manifest, faults)
    except _BrokenError as broken:
        faults[PARTS_CHECK] = str(broken)
    return Version(path.name, sha256(manifest_path), manifest, faults, items)


def _schema_fault(manifest: Any) -> str | None:
    """What keeps a manifest from being one of this schema, or None."""
    if not isinstance(manifest, dict):
        return "the manifest holds no facts"
    if manifest.get("schema") != SCHEMA_VERSION:
        return f"schema {cut(str(manifest.get('schema')), _VALUE)}, expected {SCHEMA_VERSION}"
    for key in ("items", "dimension"):
        if type(manifest.get(key)) is not int or manifest[key] < 1:
            return f"{key} is {cut(str(manifest.get(key)), _VALUE)}, expected a count"
    if manifest.get("normalise") not in ("none", "l2"):
        return f"normalise is {cut(str(manifest.get('normalise')), _VALUE)}, expected none or l2"
    files, rows, status = (manifest.get(key) for key in ("files", "rows", "status"))
    if not isinstance(files, dict) or not all(isinstance(facts, dict) for facts in files.values()):
        return "no list of files"
    if not isinstance(rows, dict) or not all(type(count) is int for count in rows.values()):
        return "no rows of the parts"
    if not isinstance(status, dict) or not set(status) <= set(STATUSES):
        return f"no counts of {', '.join(STATUSES)}"
    return None


def _facts(manifest: Any) -> dict[str, Any]:
    return manifest if isinstance(manifest, dict) else {}


def _items(path: Path, manifest: Mapping[str, Any], faults: dict[str, str]) -> Items:
    """The rows of all parts; differing facts and differing .npy files are added to `faults`."""
    count, dimension = manifest["items"], manifest["dimension"]
    ids, vectors = _npy(path / IDS, IDS), _npy(path / VECTORS, VECTORS)
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not are_ids(ids):
        raise _BrokenError(f"{VECTORS} or {IDS} hold no float32 vectors and their ids")
    digests, states = np.zeros(len(ids), f"S{_HEX}"), np.zeros(len(ids), np.uint8)
    start = 0
    for name in sorted(manifest["rows"]):
        with _part(path, name, dimension) as part:
            if (differs := _differs(part, manifest)) is not None:
                faults.setdefault(ONE_VERSION, f"{name}: {differs}")
            found = 0
            for batch in _batches(part, name):
                rows = slice(start, start + len(batch))
                if rows.stop > len(ids):
                    raise _BrokenError(f"the parts hold more rows than {IDS}, which has {len(ids):,}")
                if not _same(batch, ids[rows], vectors[rows]):
                    faults.setdefault(COPIES, f"{name} and {VECTORS} differ from row {start:,} on")
                digests[rows], states[rows] = _digests(batch, name), _states(batch, name)
                start, found = rows.stop, found + len(batch)
            if found != manifest["rows"][name]:
                raise _BrokenError(f"{name} has {found:,} rows, the manifest {manifest['rows'][name]:,}")
    if start != len(ids) or len(vectors) != len(ids) or start != count:
        raise _BrokenError(
            f"{start:,} rows in the parts, {len(ids):,} ids, {len(vectors):,} vectors; the manifest has "
            f"{count:,} items"
        )
    if vectors.shape[1] != dimension:
        raise _BrokenError(f"vectors of {vectors.shape[1]} values, by the manifest {dimension}")
    return Items(np.array(ids), vectors, digests, states)


def _npy(path: Path, name: str) -> npt.NDArray[Any]:
    try:
        return np.load(path, "r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, TokenError) as error:  # NumPy parses Python
        raise _BrokenError(f"{name} is no whole .npy file ({_reason(error)})") from None


def are_ids(ids: npt.NDArray[Any]) -> bool:
    """Whether an array holds strings of Unicode characters; NumPy maps any four bytes as one."""
    if ids.ndim != 1 or not ids.dtype.str.startswith("<U") or ids.dtype.itemsize == 0:
        return False
    for start in range(0, len(ids), _BATCH_ROWS):
        codes = np.ascontiguousarray(ids[start : start + _BATCH_ROWS]).view(np.uint32)
        if not ((codes <= _LAST_CODE) & ((codes < 0xD800) | (codes > 0xDFFF))).all():
            return False
    return True


def _part(path: Path, name: str, dimension: int) -> pq.ParquetFile:
    if Path(name).parent.as_posix() != PARTS or ".." in name:
        raise _BrokenError(f"'{cut(name, _VALUE)}' is no part")
    try:
        part = pq.ParquetFile(path / name, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _BrokenError(f"{name} cannot be read ({_reason(error)})") from None
    rows = sum(part.metadata.row_group(group).num_rows for group in range(part.num_row_groups))
    size = sum(part.metadata.row_group(group).total_byte_size for group in range(part.num_row_groups))
    if size > rows * (8 * dimension + _ROW_BYTES) + _PART_BYTES:  # checked before it is read
        raise _BrokenError(f"{name} would take {size:,} bytes, for {rows:,} rows of {dimension} values")
    if part.schema_arrow.remove_metadata() != SCHEMA:
        raise _BrokenError(f"{name} has other columns: {cut(', '.join(part.schema_arrow.names), _VALUE)}")
    return part


def _differs(part: pq.ParquetFile, manifest: Mapping[str, Any]) -> str | None:
    """The first fact in which a part's metadata and the manifest differ."""
    try:
        facts = json.loads((part.schema_arrow.metadata or {})[METADATA])
    except (ValueError, KeyError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        return "no facts in its metadata"
    expected = {name: value for name, value in manifest.items() if name not in ("files", "rows")}
    for key in sorted(facts.keys() | expected.keys()):
        if facts.get(key) != expected.get(key):
            one, other = (cut(str(each.get(key)), _VALUE) for each in (facts, expected))
            return f"{cut(key, _VALUE)} is {one}, in the manifest {other}"
    return None


def _batches(part: pq.ParquetFile, name: str) -> Any:
    try:
        yield from part.iter_batches(_BATCH_ROWS)
    except (pa.ArrowException, OSError) as error:
        raise _BrokenError(f"{name} cannot be read ({_reason(error)})") from None


def _same(batch: pa.RecordBatch, ids: npt.NDArray[np.str_], vectors: npt.NDArray[np.float32]) -> bool:
    """Whether a batch holds these ids and, bit by bit, these vectors."""
    column = batch["embedding"]
    values = column.flatten().to_numpy(zero_copy_only=False)
    lengths = np.diff(column.offsets.to_numpy())
    if values.size != vectors.size or not (lengths == vectors.shape[1]).all():
        return False
    bits = values.view(np.uint32).reshape(vectors.shape) == np.ascontiguousarray(vectors).view(np.uint32)
    return bool(bits.all()) and batch["item_id"].to_pylist() == ids.tolist()


def _digests(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.bytes_]:
    column = batch["text_sha256"]
    if column.null_count or not pc.all(pc.match_substring_regex(column, "^[0-9a-f]{64}$")).as_py():
        raise _BrokenError(f"{name}: text_sha256 that is none")
    return np.array([digest.encode() for digest in column.to_pylist()], f"S{_HEX}")


def _states(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.uint8]:
    places = pc.index_in(batch["status"], value_set=pa.array(STATUSES, pa.string()))
    if places.null_count:
        raise _BrokenError(f"{name}: a status that is none of {', '.join(STATUSES)}")
    return places.to_numpy(zero_copy_only=False).astype(np.uint8)


def _reason(error: Exception) -> str:
    return reason(error, 120)


def _words(error: Exception, path: Path) -> str:
    """An error about a file of the folder, without the folder's own path, which is no property of it."""
    moved = error.moved(path, "") if isinstance(error, ConvoyError) else error
    return reason(str(moved), 200)


def sound(path: Path) -> Version:
    """A version to compare with: read as `examine` does; ConvoyError where any of its files has a fault."""
    version = examine(path)
    for name, fault in version.faults.items():
        raise ConvoyError(f"{name}: {fault}", path=path, hint="name a version whose files are whole")
    if version.items is not None and not (version.items.status == OK).any():
        raise ConvoyError("no item has a vector", path=path, hint="name a version with vectors")
    return version


def read_clicks(path: Path) -> dict[str, dict[str, float]]:
    """The figures of a click model by representation of the items, from the recommender's metrics.

    Raises ConvoyError for a file without them.
    """
    found = read_json(path)
    clicks = found.get("clicks") if isinstance(found, dict) else None
    if not isinstance(clicks, dict) or not all(map(_has_auc, clicks.values())):
        raise ConvoyError(
            path=path, key="key 'clicks'", expected="auc, auc_low and other figures by representation",
            hint="name the recommender's metrics",
        )  # fmt: skip
    return clicks


def _has_auc(figures: Any) -> bool:
    return (
        isinstance(figures, dict) and {"auc", "auc_low"} <= set(figures)
        and all(
            type(value) in (int, float) and abs(value) <= _LARGEST_FIGURE for value in figures.values()
        )
    )  # fmt: skip


def write_certificate(folder: Path, certificate: Mapping[str, Any], html: str) -> None:
    """Write certificate.html, then certificate.json, each as a whole; other files stay as they are."""
    if folder.exists() and not folder.is_dir():
        raise ConvoyError("is not a folder", path=folder, hint="name another place for the certificate")
    write_text(folder / PAGE, html)
    write_json(folder / CERTIFICATE, certificate)
