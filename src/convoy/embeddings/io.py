"""An embeddings folder: item vectors as Parquet parts and as .npy files for mmap readers, manifest last.

Columns, sorted by item_id (as UTF-8 bytes): item_id string, embedding list<float32 not null> of one length,
text_sha256, status. A vector is all zeros exactly where the status is not `ok`.

`write` streams: of the items only their order stays in memory, and their ids while that is being found.
"""

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, atomic_directory, check_manifest, read_json, sha256, write_manifest
from convoy.embeddings.rows import RowFile, create
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue.source_io import strings

SCHEMA_VERSION = 1
STATUSES = ("ok", "empty_text", "all_unknown", "no_signal")
OK, EMPTY_TEXT, ALL_UNKNOWN, NO_SIGNAL = range(4)

VECTORS, IDS = "embeddings.npy", "item_ids.npy"
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
GROUP_ROWS = 65_536
PART_ROWS = 8 * GROUP_ROWS
_BATCH_ROWS = 8_192
_CHUNK_ROWS = 4_096
_SHA256_BYTES = 32
_SHOWN = 5
_PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": ["status"],
    "write_statistics": ["item_id", "status"],
    "write_page_checksum": True,
    "sorting_columns": [pq.SortingColumn(0)],
}

Progress = Callable[[str, int, int], None]
S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Embedded:
    """A batch of n items: vectors (n, D) float32, hex text_sha256, status as a number of STATUSES (n,)."""

    vectors: npt.NDArray[np.float32]
    text_sha256: list[str]
    status: npt.NDArray[np.uint8]


def read(path: Path, mmap: bool = False) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
    """Item ids (N,) and their vectors (N, D), sorted by id, after checking every file against the manifest.

    With `mmap` both stay on disk until they are touched. Raises ConvoyError for a missing manifest, a changed
    or missing file, or a schema version of the future.
    """
    path = Path(path)
    manifest = read_manifest(path)
    mode: Literal["r"] | None = "r" if mmap else None
    ids, vectors = (np.load(path / name, mode, allow_pickle=False) for name in (IDS, VECTORS))
    shape = (manifest["items"], manifest["dimension"])
    if vectors.shape != shape or ids.shape != shape[:1] or vectors.dtype != np.float32:
        raise ConvoyError(
            f"{path}: {VECTORS} and {IDS} are not what the manifest says; make the folder again"
        )
    return ids, vectors


def read_manifest(path: Path) -> dict[str, Any]:
    """The facts of an embeddings folder, all files checked against their sha256."""
    path = Path(path)
    if not path.is_dir():
        raise ConvoyError(f"{path}: no such embeddings folder; run `dvc repro` or `convoy embed` to make it")
    manifest = check_manifest(path)
    if manifest.get("schema") != SCHEMA_VERSION or VECTORS not in manifest["files"]:
        raise ConvoyError(
            f"{path}: expected embeddings of schema {SCHEMA_VERSION}, found {manifest.get('schema')}; name a "
            "folder of embeddings, or make it again"
        )
    return manifest


def is_embeddings(path: Path) -> bool:
    """Whether a folder was made by `write`, whole or broken meanwhile."""
    manifest = path / MANIFEST
    facts = read_json(manifest) if manifest.is_file() else None
    return isinstance(facts, dict) and {"schema", "items", "dimension", "pooling"} <= set(facts)


def write(
    folder: Path,
    catalogue: Path,
    columns: Mapping[str, str],
    embed: Callable[[pa.RecordBatch], Embedded],
    dimension: int,
    facts: Mapping[str, Any],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Embed every item of a catalogue file into `folder` and return its manifest.

    `columns` maps our names to the file's, as in `catalogues.iter_source`; `embed` gets batches of item_id,
    title, synopsis; `facts` (model, weights …) go into the manifest. `progress` is told the phase, the items
    done and all items (0 while unknown). Raises ConvoyError for a file that cannot be read, ids given twice,
    ids that no .npy holds, a full disk, a file that changes meanwhile.
    """
    catalogue, folder = Path(catalogue), Path(folder)
    progress = progress or _silent
    digest = sha256(catalogue) if catalogue.is_file() else ""  # if not, reading it tells what is wrong
    with atomic_directory(folder) as partial:
        ranks = _write_ids(partial / IDS, catalogue, columns, progress)
        items = len(ranks)
        _check_room(partial, items, dimension)
        scratch = partial / "states.npy"
        with (
            create(partial / VECTORS, np.dtype(np.float32), (items, dimension)) as vectors,
            create(scratch, np.dtype(np.uint8), (items, _SHA256_BYTES + 1)) as states,
        ):
            counts = _write_rows(vectors, states, ranks, catalogue, columns, embed, progress)
            if sha256(catalogue) != digest:
                raise _changed(catalogue)
            short = {
                **facts, "schema": SCHEMA_VERSION, "items": items, "dimension": dimension, "dtype": "float32",
                "status": counts, "catalogue_sha256": digest, "source_sha256": _sources(catalogue, digest),
            }  # fmt: skip
            rows = _write_parts(partial, vectors, states, short, progress)
        scratch.unlink()
        return write_manifest(partial, **short, rows=rows)


def _silent(_phase: str, _done: int, _items: int) -> None:
    pass


def _sources(catalogue: Path, digest: str) -> list[str]:
    """Checksums of the files that a catalogue was made from: of none if synthetic, of itself if not ours."""
    metadata = pq.read_schema(catalogue).metadata if catalogue.suffix.lower() == ".parquet" else None
    facts = (metadata or {}).get(catalogues.FACTS)
    if facts is None:
        return [digest]
    source = json.loads(facts).get("source_sha256")
    return [source] if source else []


def _changed(catalogue: Path) -> ConvoyError:
    return ConvoyError(f"{catalogue}: changed while it was read; run again when it is whole")


def _write_ids(
    path: Path, catalogue: Path, columns: Mapping[str, str], progress: Progress
) -> npt.NDArray[np.int64]:
    """Write all ids, sorted; return the place of each item of the file among them, (N,)."""
    chunks: list[pa.Array] = []
    items = 0
    padded = False
    for batch in catalogues.iter_source(
        catalogue, columns, need_category=False, batch_rows=_BATCH_ROWS, ids_only=True
    ):
        chunks.append(batch["item_id"].cast(pa.large_string()))
        padded = padded or not pc.utf8_trim_whitespace(chunks[-1]).equals(chunks[-1])
        items += len(batch)
        progress("ids", items, 0)
    ids = pa.concat_arrays(chunks)
    chunks.clear()
    order = pc.sort_indices(ids)
    _refuse_twice(catalogue, ids, order)
    if padded:  # a reader that strips ids must not take one item for another
        stripped = pc.utf8_trim_whitespace(ids)
        _refuse_twice(catalogue, stripped, pc.sort_indices(stripped), " but for blanks at the ends")
    width = pc.max(pc.utf8_length(ids)).as_py()
    with create(path, np.dtype(f"<U{width}"), (items,)) as sorted_ids:
        for start in range(0, items, GROUP_ROWS):
            part = ids.take(order[start : start + GROUP_ROWS])
            sorted_ids.put(start, np.array(part.to_pylist(), sorted_ids.dtype))
    ranks = np.empty(items, np.int64)
    ranks[np.frombuffer(order.buffers()[1], np.uint64)] = np.arange(items)
    return ranks


def _refuse_twice(catalogue: Path, ids: pa.Array, order: pa.Array, how: str = "") -> None:
    """Refuse ids of which two are equal, with their rows; `order` sorts them."""
    twice: list[int] = []
    for start in range(0, len(order) - 1, GROUP_ROWS):
        part = ids.take(order[start : start + GROUP_ROWS + 1])
        twice += [start + place for place in pc.indices_nonzero(pc.equal(part[:-1], part[1:])).to_pylist()]
    if twice:
        pairs = [order[place : place + 2].to_pylist() for place in twice[:_SHOWN]]
        shown = ", ".join(
            f"'{ids[first].as_py()}' (rows {first + 1} and {second + 1})" for first, second in pairs
        )
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        raise ConvoyError(f"{catalogue}: ids given twice{how}: {shown}{more}; give every item its own")


def _check_room(folder: Path, items: int, dimension: int) -> None:
    needed = 2 * items * (4 * dimension + _SHA256_BYTES)  # .npy, and Parquet of which vectors hardly shrink
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConvoyError(
            f"{folder.parent}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} needed for {items} vectors of "
            f"{dimension}; name another place"
        )


def _write_rows(
    vectors: RowFile,
    states: RowFile,
    ranks: npt.NDArray[np.int64],
    catalogue: Path,
    columns: Mapping[str, str],
    embed: Callable[[pa.RecordBatch], Embedded],
    progress: Progress,
) -> dict[str, int]:
    """Embed batch by batch, every row to its sorted place; return the number of items by status."""
    counts = np.zeros(len(STATUSES), np.int64)
    done = 0
    batches = catalogues.iter_source(catalogue, columns, need_category=False, batch_rows=_BATCH_ROWS)
    for batch in _in_order(embed, batches):
        n = len(batch.status)
        places = ranks[done : done + n]
        if len(places) < n:
            raise _changed(catalogue)
        digests = np.frombuffer(bytes.fromhex("".join(batch.text_sha256)), np.uint8).reshape(n, _SHA256_BYTES)
        vectors.scatter(places, batch.vectors)
        states.scatter(places, np.column_stack([digests, batch.status]))
        counts += np.bincount(batch.status, minlength=len(STATUSES))
        done += n
        progress("vectors", done, len(ranks))
    return dict(zip(STATUSES, counts.tolist(), strict=True))


def _write_parts(
    folder: Path, vectors: RowFile, states: RowFile, facts: Mapping[str, Any], progress: Progress
) -> dict[str, int]:
    """Write the Parquet parts out of the sorted rows; return the rows of each by file name."""
    schema = SCHEMA.with_metadata({METADATA: json.dumps(facts, sort_keys=True)})
    items = vectors.shape[0]
    rows: dict[str, int] = {}
    with RowFile(folder / IDS) as ids:
        files = ids, vectors, states

        def write_part(first: int) -> int:
            last = min(first + PART_ROWS, items)
            with pq.ParquetWriter(folder / _part_name(first), schema, **_PARQUET) as writer:
                for start in range(first, last, GROUP_ROWS):
                    stop = min(start + GROUP_ROWS, last)
                    table = _row_group(schema, [file.get(start, stop) for file in files])
                    writer.write_table(table, row_group_size=GROUP_ROWS)
                    del table  # before the next one takes as much again
            return last - first

        firsts = range(0, items, PART_ROWS)
        progress("Parquet", 0, items)
        for first, written in zip(firsts, _in_order(write_part, firsts), strict=True):
            rows[_part_name(first)] = written
            progress("Parquet", first + written, items)
    return rows


def _part_name(first_row: int) -> str:
    return f"part-{first_row // PART_ROWS:05}.parquet"


def _in_order(work: Callable[[S], T], inputs: Iterable[S]) -> Iterator[T]:
    """`map`, two at a time: while one waits for the disk or the interpreter's lock, the other gets on."""
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future[T]] = deque()
        for value in inputs:
            waiting.append(pool.submit(work, value))
            if len(waiting) == 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _row_group(schema: pa.Schema, columns: list[npt.NDArray[Any]]) -> pa.Table:
    """Table of sorted ids, vectors, states; in chunks, since Parquet makes its levels by chunk."""
    return pa.Table.from_batches(
        _record_batch(schema, *(rows[at : at + _CHUNK_ROWS] for rows in columns))
        for at in range(0, len(columns[0]), _CHUNK_ROWS)
    )


def _record_batch(
    schema: pa.Schema,
    ids: npt.NDArray[np.str_],
    vectors: npt.NDArray[np.float32],
    states: npt.NDArray[np.uint8],
) -> pa.RecordBatch:
    n, dimension = vectors.shape
    starts = np.arange(n + 1, dtype=np.int32)
    digests = states[:, :_SHA256_BYTES].tobytes().hex().encode()
    columns = [
        strings(ids.tolist()),
        pa.ListArray.from_arrays(
            _numbers(starts * np.int32(dimension), pa.int32()),
            _numbers(vectors.reshape(-1), pa.float32()),
            type=schema.field("embedding").type,
        ),
        pa.StringArray.from_buffers(
            n, pa.py_buffer(starts * np.int32(2 * _SHA256_BYTES)), pa.py_buffer(digests)
        ),
        strings(STATUSES).take(_numbers(states[:, _SHA256_BYTES].copy(), pa.uint8())),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _numbers(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    # Not by pa.array, for the reason that `strings` gives.
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
