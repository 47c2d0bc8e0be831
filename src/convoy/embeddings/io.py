"""The layout of an embeddings folder, and its reader.

    parquet/part-00000.parquet …    the items, nothing else: a Parquet dataset to every reader
    _mmap/embeddings.npy            the vectors (N, D) float32, for readers that map them into memory
    _mmap/item_ids.npy              their ids (N,)
    _manifest.json                  facts, and the size and sha256 of every file; written last

pandas, pyarrow and Spark skip names with a leading underscore, so they can read the folder itself too. Polars
does not skip them and refuses a folder with files of several kinds: pass it the subfolder `parquet`.

Columns, sorted by item_id (as UTF-8 bytes): item_id string, embedding list<float32 not null> of one length,
text_sha256, status. A vector is all zeros exactly where the status is not `ok`. The facts of the manifest are
repeated in the metadata of every part.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import check_manifest, read_json
from convoy.core.printable import cut, reason

SCHEMA_VERSION = 2
STATUSES = ("ok", "empty_text", "all_unknown", "no_signal")
OK, EMPTY_TEXT, ALL_UNKNOWN, NO_SIGNAL = range(4)

MANIFEST = "_manifest.json"
PARTS, SIDECAR = "parquet", "_mmap"
VECTORS, IDS = f"{SIDECAR}/embeddings.npy", f"{SIDECAR}/item_ids.npy"
SCHEMA = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        # A plain list, not one of fixed size, and float32: several readers break on the others.
        pa.field("embedding", pa.list_(pa.field("element", pa.float32(), nullable=False)), nullable=False),
        pa.field("text_sha256", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
    ]
)
METADATA = b"convoy"
_OF_FILES = ("files", "rows")  # known when the parts are written, so in the manifest alone
_SHOWN = 3
_VALUE = 80  # characters of a value in a message
_AGAIN = "make the folder again"


@dataclass(frozen=True, eq=False)
class Embedded:
    """A batch of n items: vectors (n, D) float32, hex text_sha256, status as a number of STATUSES (n,)."""

    vectors: npt.NDArray[np.float32]
    text_sha256: list[str]
    status: npt.NDArray[np.uint8]


def read(path: Path, mmap: bool = False) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
    """Item ids (N,) and their vectors (N, D), sorted by id, after comparing every file with the manifest.

    With `mmap` both stay on disk until they are touched. Raises ConvoyError as `read_manifest` does.
    """
    path = Path(path)
    manifest = read_manifest(path)
    mode: Literal["r"] | None = "r" if mmap else None
    ids, vectors = (_array(path / name, mode) for name in (IDS, VECTORS))
    shape = (manifest["items"], manifest["dimension"])
    if vectors.shape != shape or ids.shape != shape[:1] or vectors.dtype != np.float32:
        raise ConvoyError(f"{VECTORS} and {IDS} do not match the manifest", path=path, hint=_AGAIN)
    return ids, vectors


def _array(path: Path, mode: Literal["r"] | None) -> npt.NDArray[Any]:
    try:
        return np.load(path, mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ConvoyError(f"not a whole .npy file ({reason(error)})", path=path, hint=_AGAIN) from None


def read_manifest(path: Path) -> dict[str, Any]:
    """The facts of an embeddings folder, after comparing all files with their sha256.

    Raises ConvoyError for a missing manifest, a changed, missing or additional file, another schema version,
    and facts that differ between the manifest and the metadata of the parts.
    """
    path = Path(path)
    if not path.is_dir():
        raise ConvoyError(
            "no such embeddings folder", path=path, hint="run `dvc repro` or `convoy embed` to make it"
        )
    manifest = check_manifest(path, MANIFEST)
    if manifest.get("schema") != SCHEMA_VERSION or VECTORS not in manifest["files"]:
        raise ConvoyError(
            path=path, expected=f"embeddings of schema {SCHEMA_VERSION}", found=str(manifest.get("schema")),
            hint="name a folder of embeddings, or make it again",
        )  # fmt: skip
    status = manifest.get("status")
    counts = [manifest.get("items"), manifest.get("dimension")]
    counts += status.values() if isinstance(status, dict) else [None]
    if not all(type(count) is int for count in counts):
        raise ConvoyError(
            "items, dimension or status are missing or no counts", path=path / MANIFEST, hint=_AGAIN
        )
    _check_parts(path, manifest)
    return manifest


def is_embeddings(path: Path) -> bool:
    """Whether a folder was made by `write_io.write`, even if it has been damaged since."""
    manifest = path / MANIFEST
    facts = read_json(manifest) if manifest.is_file() else None
    return isinstance(facts, dict) and {"schema", "items", "dimension", "pooling", "files"} <= set(facts)


def refuse_foreign(path: Path) -> None:
    """Raise ConvoyError where `path` holds other files than embeddings, which replacing it would delete."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ConvoyError("is not a folder", path=path, hint="name another place for the embeddings")
    # Another export may take the place of the folder while one looks at it, so that names count at two looks.
    foreign = _foreign(path) and _foreign(path)
    if foreign:
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise ConvoyError(
            f"holds {', '.join(foreign[:_SHOWN])}{more}, which no embedding made",
            path=path, hint="name another folder",
        )  # fmt: skip


def _foreign(path: Path) -> list[str]:
    """Names below a folder that its manifest does not list, sorted."""
    files = read_json(path / MANIFEST)["files"] if is_embeddings(path) else None
    ours = {MANIFEST, *files} if isinstance(files, dict) else set()
    ours |= {parent.as_posix() for name in ours for parent in Path(name).parents}
    present = (entry.relative_to(path).as_posix() for entry in path.rglob("*"))
    return sorted(name for name in present if name not in ours)


def _check_parts(path: Path, manifest: dict[str, Any]) -> None:
    """Compare the facts and rows of the manifest with those inside each part."""
    facts = {name: value for name, value in manifest.items() if name not in _OF_FILES}
    parts = sorted(name for name in manifest["files"] if Path(name).parent.name == PARTS)
    rows = {}
    for name in parts:
        rows[name], of_part = _inside(path / name)
        for key in sorted(facts.keys() | of_part.keys()):
            if facts.get(key) != of_part.get(key):
                one, other = (cut(str(each.get(key)), _VALUE) for each in (facts, of_part))
                raise ConvoyError(
                    f"{key} is {one}, in {name} it is {other}", path=path / MANIFEST, hint=_AGAIN
                )
    if rows != manifest.get("rows") or sum(rows.values()) != manifest["items"]:
        raise ConvoyError("its rows are not those of the parts", path=path / MANIFEST, hint=_AGAIN)


def _inside(part: Path) -> tuple[int, dict[str, Any]]:
    """The number of rows of a part, and the facts in its metadata."""
    try:
        found = pq.read_metadata(part)
        facts = json.loads((found.metadata or {})[METADATA])
        if isinstance(facts, dict):
            return found.num_rows, facts
    except (pa.ArrowException, OSError, ValueError, KeyError, RecursionError):
        pass
    raise ConvoyError("not a part of embeddings", path=part, hint=_AGAIN)
