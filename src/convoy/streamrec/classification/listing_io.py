"""A catalogue as the acceptance checks of its embeddings need it."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from convoy.acceptance.case import Catalogue
from convoy.core.errors import ConvoyError
from convoy.core.files import sha256
from convoy.embeddings.changes import Digests
from convoy.streamrec.catalogue.io import CATALOGUE
from convoy.streamrec.catalogue.source_io import Items, iter_source

_BATCH_ROWS = 16_384
_SHOWN = 100  # characters of a title that are kept
TEXTS = ["item_id", "title", "synopsis"]
COLUMNS = ("item_id", "title", "category", "text_sha256")


def listing(
    items: Items, wanted: npt.NDArray[np.str_], digests: Digests | None
) -> tuple[Catalogue, pa.Table]:
    """Ids, titles, categories and checksums of texts of a catalogue file, and the wanted items' texts.

    items: a cleaned catalogue or a source, which has categories where it has that column. digests: computes
    the checksums of a source's texts; None leaves them out. The texts (item_id, title, synopsis) are in the
    order of the file. Raises ConvoyError as `iter_source` does, and for ids that stand twice.
    """
    batches, texts = [], []
    values = pa.array(wanted.tolist(), pa.string())
    for batch in _batches(items):
        texts.append(batch.select(TEXTS).filter(pc.is_in(batch["item_id"], value_set=values)))
        batches.append(_short(batch, digests))
    table = pa.Table.from_batches(batches)
    columns = {name: _array(table[name]) for name in table.column_names}
    order = np.argsort(columns["item_id"], kind="stable")
    ids, *others = (columns[name][order] if name in columns else None for name in COLUMNS)
    assert ids is not None
    if len(twice := ids[1:][ids[1:] == ids[:-1]]):
        hint = "give every item its own"
        raise ConvoyError(f"'{twice[0]}' is the id of two items", path=items.path, hint=hint)
    titles, categories, hashes = others
    found = Catalogue(
        sha256=sha256(items.path), ids=ids, titles=titles, categories=categories,
        text_sha256=None if hashes is None else hashes.astype(np.bytes_),
    )  # fmt: skip
    return found, pa.Table.from_batches(texts)


def described(items: Items, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Title and, where the file has categories, category of each of these ids that the file has."""
    wanted = pa.array(ids, pa.string())
    found: dict[str, dict[str, str]] = {}
    for batch in _batches(items):
        short = _short(batch.filter(pc.is_in(batch["item_id"], value_set=wanted)), None)
        for row in short.to_pylist():
            found[row["item_id"]] = {name: row[name] for name in ("title", "category") if name in row}
    return found


def _short(batch: pa.RecordBatch, digests: Digests | None) -> pa.RecordBatch:
    """Ids, titles that are cut, categories and checksums of texts, as far as the batch has them."""
    columns = {
        "item_id": batch["item_id"],
        "title": pc.utf8_slice_codeunits(pc.fill_null(batch["title"], ""), 0, _SHOWN),
    }
    if "category" in batch.schema.names:
        columns["category"] = pc.fill_null(batch["category"], "")
    if "text_sha256" in batch.schema.names:
        columns["text_sha256"] = batch["text_sha256"]
    elif digests is not None:
        columns["text_sha256"] = pa.array(digests(batch), pa.string())
    return pa.RecordBatch.from_pydict(columns)


def _array(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.array(column.to_pylist(), np.str_)


def _batches(items: Items) -> Iterator[pa.RecordBatch]:
    """Batches of the file: all columns of a cleaned catalogue; of a source the category where it has one."""
    path, columns, dialect = Path(items.path), items.columns, items.dialect
    if path.suffix.lower() == ".parquet" and not columns and path.is_file():
        with contextlib.suppress(pa.ArrowException, OSError):
            if pq.read_schema(path).remove_metadata() == CATALOGUE:
                return pq.ParquetFile(path, page_checksum_verification=True).iter_batches(_BATCH_ROWS)
    try:
        return iter_source(path, columns, need_category=True, batch_rows=_BATCH_ROWS, dialect=dialect)
    except ConvoyError:
        # Embeddings need no category; any other fault is found again.
        return iter_source(path, columns, need_category=False, batch_rows=_BATCH_ROWS, dialect=dialect)
