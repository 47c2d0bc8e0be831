"""Writes an embeddings folder, streaming.

Only the order of the items stays in memory, and their ids until that order is known.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_room, sha256, write_manifest
from convoy.core.printable import cut
from convoy.embeddings.changes import Changes, Digests, Embed, Work, embed_all, embed_changed
from convoy.embeddings.former_io import Former
from convoy.embeddings.io import (
    IDS,
    MANIFEST,
    METADATA,
    PARTS,
    SCHEMA,
    SCHEMA_VERSION,
    SIDECAR,
    STATUSES,
    VECTORS,
    refuse_foreign,
)
from convoy.embeddings.row_groups import SHA256_BYTES, STATE_BYTES, row_group, state_rows
from convoy.embeddings.rows import RowFile, create

GROUP_ROWS = 65_536
PART_ROWS = 8 * GROUP_ROWS
_BATCH_ROWS = 8_192
_SHOWN = 5
_ID = 60  # characters of an id in a message
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


class Items(Protocol):
    """The items of one file, read twice: first their ids, then all columns."""

    @property
    def path(self) -> Path: ...

    def batches(self, rows: int, ids_only: bool = False) -> Iterator[pa.RecordBatch]:
        """Batches of at most `rows` items, in the same order each time: item_id, and what `embed` needs."""

    def sources(self) -> list[str] | None:
        """sha256 of the files that this one was made from; None where it is a source itself."""


def write(
    folder: Path,
    items: Items,
    embed: Embed,
    dimension: int,
    facts: Mapping[str, Any],
    progress: Progress | None = None,
    check: Callable[[Path], None] = refuse_foreign,
) -> dict[str, Any]:
    """Embed every item of a file into `folder` and return the manifest; embeddings there are replaced.

    `facts` (model, weights …) go into the manifest. `progress` is called with the phase, the items done and
    the number of items (0 while unknown). `check` raises ConvoyError where `folder` may not be replaced; it
    is called first, and again before the folder is replaced, which may be hours later. Also raises
    ConvoyError for a file that cannot be read, duplicate ids, ids that an .npy file cannot hold, a full disk
    and a file that changes meanwhile. Of two writers of one folder the last one's version stands there.
    """
    return _write(Path(folder), items, embed, dimension, facts, progress or _silent, check, None)[0]


def write_since(
    former: Path,
    folder: Path,
    items: Items,
    embed: Embed,
    digests: Digests,
    dimension: int,
    facts: Mapping[str, Any],
    progress: Progress | None = None,
    check: Callable[[Path], None] = refuse_foreign,
) -> tuple[dict[str, Any], Changes]:
    """Do what `write` does, to the same bytes, but embed only items that are not in `former` or changed.

    `digests` returns the hex text_sha256 of each item, as `embed` does. `former` is an embeddings folder,
    maybe `folder` itself. Returns the manifest and the numbers of items that are new, changed, kept and
    removed. Raises ConvoyError as `write` does, and where `former` does not match its manifest, `facts` or
    `dimension`.
    """
    found = Former(former, dimension, facts)
    return _write(Path(folder), items, embed, dimension, facts, progress or _silent, check, (found, digests))


def _write(
    folder: Path,
    items: Items,
    embed: Embed,
    dimension: int,
    facts: Mapping[str, Any],
    progress: Progress,
    check: Callable[[Path], None],
    since: tuple[Former, Digests] | None,
) -> tuple[dict[str, Any], Changes]:
    check(folder)
    digest = sha256(items.path) if items.path.is_file() else ""  # if not, reading it raises the error
    with atomic_directory(folder) as partial:
        for name in (PARTS, SIDECAR):
            (partial / name).mkdir()
        ranks = _write_ids(partial / IDS, items, progress)
        count = len(ranks)
        # .npy, and Parquet of which vectors hardly shrink.
        needed = 2 * count * (4 * dimension + SHA256_BYTES)
        check_room(folder, needed, f"for {count:,} vectors of {dimension}")
        scratch = partial / "states.npy"
        with (
            create(partial / VECTORS, np.dtype(np.float32), (count, dimension)) as vectors,
            create(scratch, np.dtype(np.uint8), (count, STATE_BYTES)) as states,
        ):
            work, found, former_items = embed_all(embed), 0, 0
            if since is not None:
                former, digests = since
                with RowFile(partial / IDS) as ids:
                    found, former_items = former.fill(ids, vectors, states), former.items
                work = embed_changed(embed, digests, states)
            counts, kept = _write_rows(vectors, states, ranks, items, work, progress)
            if sha256(items.path) != digest:
                raise _changed(items.path)
            sources = items.sources()
            short = {
                **facts, "schema": SCHEMA_VERSION, "items": count, "dimension": dimension, "dtype": "float32",
                "status": counts, "catalogue_sha256": digest,
                "source_sha256": [digest] if sources is None else sources,
            }  # fmt: skip
            rows = _write_parts(partial, vectors, states, short, progress)
        scratch.unlink()
        manifest = write_manifest(partial, MANIFEST, **short, rows=rows)
        check(folder)
        return manifest, Changes(count - found, found - kept, kept, former_items - found)


def _silent(_phase: str, _done: int, _items: int) -> None:
    pass


def _changed(path: Path) -> ConvoyError:
    return ConvoyError("changed while it was read", path=path, hint="run again when it is whole")


def _write_ids(path: Path, items: Items, progress: Progress) -> npt.NDArray[np.int64]:
    """Write all ids, sorted; return the rank of each item of the file among them, (N,)."""
    chunks: list[pa.Array] = []
    count = 0
    padded = False
    for batch in items.batches(_BATCH_ROWS, ids_only=True):
        chunks.append(batch["item_id"].cast(pa.large_string()))
        padded = padded or not pc.utf8_trim_whitespace(chunks[-1]).equals(chunks[-1])
        count += len(batch)
        progress("ids", count, 0)
    ids = pa.concat_arrays(chunks)
    chunks.clear()
    order = pc.sort_indices(ids)
    _refuse_twice(items.path, ids, order)
    if padded:  # a reader that strips ids must not mix up items
        stripped = pc.utf8_trim_whitespace(ids)
        _refuse_twice(items.path, stripped, pc.sort_indices(stripped), " but for blanks at the ends")
    width = pc.max(pc.utf8_length(ids)).as_py()
    with create(path, np.dtype(f"<U{width}"), (count,)) as sorted_ids:
        for start in range(0, count, GROUP_ROWS):
            part = ids.take(order[start : start + GROUP_ROWS])
            sorted_ids.put(start, np.array(part.to_pylist(), sorted_ids.dtype))
    ranks = np.empty(count, np.int64)
    ranks[np.frombuffer(order.buffers()[1], np.uint64)] = np.arange(count)
    return ranks


def _refuse_twice(path: Path, ids: pa.Array, order: pa.Array, how: str = "") -> None:
    """Refuse ids of which two are equal, with their rows; `order` sorts them."""
    twice: list[int] = []
    for start in range(0, len(order) - 1, GROUP_ROWS):
        part = ids.take(order[start : start + GROUP_ROWS + 1])
        twice += [start + place for place in pc.indices_nonzero(pc.equal(part[:-1], part[1:])).to_pylist()]
    if twice:
        pairs = [order[place : place + 2].to_pylist() for place in twice[:_SHOWN]]
        shown = ", ".join(
            f"'{cut(ids[first].as_py(), _ID)}' (rows {first + 1} and {second + 1})" for first, second in pairs
        )
        more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        raise ConvoyError(f"ids given twice{how}: {shown}{more}", path=path, hint="give every item its own")


def _write_rows(
    vectors: RowFile,
    states: RowFile,
    ranks: npt.NDArray[np.int64],
    items: Items,
    work: Work,
    progress: Progress,
) -> tuple[dict[str, int], int]:
    """Embed batch by batch, every row to its sorted place.

    Returns the number of items by status, and how many were kept as they stood.
    """

    def placed() -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.int64]]]:
        done = 0
        for batch in items.batches(_BATCH_ROWS):
            places = ranks[done : done + len(batch)]
            if len(places) < len(batch):
                raise _changed(items.path)
            yield batch, places
            done += len(batch)

    counts = np.zeros(len(STATUSES), np.int64)
    done = kept = 0
    for rows in _in_order(lambda job: work(*job), placed()):
        if rows.embedded is not None:
            embedded = rows.embedded
            vectors.scatter(rows.places, embedded.vectors)
            states.scatter(rows.places, state_rows(embedded.text_sha256, embedded.status))
            counts += np.bincount(embedded.status, minlength=len(STATUSES))
        counts += np.bincount(rows.kept, minlength=len(STATUSES))
        kept += len(rows.kept)
        done += len(rows.places) + len(rows.kept)
        progress("vectors", done, len(ranks))
    return dict(zip(STATUSES, counts.tolist(), strict=True)), kept


def _write_parts(
    folder: Path, vectors: RowFile, states: RowFile, facts: Mapping[str, Any], progress: Progress
) -> dict[str, int]:
    """Write the Parquet parts out of the sorted rows; return the rows of each by its path in the folder."""
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
                    table = row_group(schema, [file.get(start, stop) for file in files])
                    writer.write_table(table, row_group_size=GROUP_ROWS)
                    del table  # before the next one takes as much memory again
            return last - first

        firsts = range(0, items, PART_ROWS)
        progress("Parquet", 0, items)
        for first, written in zip(firsts, _in_order(write_part, firsts), strict=True):
            rows[_part_name(first)] = written
            progress("Parquet", first + written, items)
    return rows


def _part_name(first_row: int) -> str:
    return f"{PARTS}/part-{first_row // PART_ROWS:05}.parquet"


def _in_order(work: Callable[[S], T], inputs: Iterable[S]) -> Iterator[T]:
    """`map` in two threads: one computes while the other waits for the disk or the interpreter's lock."""
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future[T]] = deque()
        for value in inputs:
            waiting.append(pool.submit(work, value))
            if len(waiting) == 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
