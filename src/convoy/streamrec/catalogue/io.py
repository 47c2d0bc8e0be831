"""Catalogues on disk: readers of source files as one kind of table; reader and writer of our cleaned one."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from convoy.core.errors import KEY, ConvoyError, Param
from convoy.core.files import atomic_file
from convoy.core.printable import reason
from convoy.streamrec.catalogue.source_io import csv_batches, json_batches, parquet_batches, strings

READERS = {
    ".csv": csv_batches,
    ".json": json_batches,
    ".jsonl": json_batches,
    ".ndjson": json_batches,
    ".parquet": parquet_batches,
}
COLUMNS_PARAM = Param("streamrec.catalogue.columns")
COLUMNS = ("item_id", "title", "synopsis", "category")
CATALOGUE = pa.schema([pa.field(name, pa.string(), nullable=False) for name in (*COLUMNS, "text_sha256")])
TRUTH = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("order_blind", pa.string(), nullable=False),
        pa.field("full", pa.string(), nullable=False),
        pa.field("taste", pa.list_(pa.float32()), nullable=False),
    ]
)
FACTS = b"convoy"
NAMES_SHOWN = 20
_AGAIN = "run `dvc repro` to make it again"
MAX_ID_CHARACTERS = 256  # in the embeddings' item_ids.npy every id takes the space of the longest one
# Errors of Arrow for broken files; corrupt Parquet also raises OSError, or has column names that are not
# UTF-8.
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)


def read_source(path: Path, columns: Mapping[str, str], need_category: bool) -> pa.Table:
    """Read a whole source into item_id, title, synopsis and (where needed) category; see `iter_source`."""
    return pa.Table.from_batches(list(iter_source(path, columns, need_category)))


def iter_source(
    path: Path,
    columns: Mapping[str, str],
    need_category: bool,
    batch_rows: int = 16384,
    ids_only: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Read a CSV, JSON lines or Parquet file batch by batch, in constant memory, in file order.

    `columns` maps item_id, title, synopsis and category to the file's names, where they differ. All columns
    are strings; title, synopsis and category keep their nulls. Where the file has no `item_id` and none is
    mapped, the row number (from 1) is the id. Without `need_category` the category is not read. With
    `ids_only` the other columns must exist but are not read.

    Raises ConvoyError, in most cases before the first batch: no such file, unknown format or encoding, broken
    rows, truncated Parquet, missing columns (naming those present), missing ids (with row numbers), no rows.
    """
    path = Path(path)
    _check_file(path)
    wanted = COLUMNS if need_category else COLUMNS[:3]

    def pick(names: Sequence[str]) -> dict[str, str]:
        chosen = _pick(path, names, columns, wanted)
        return {"item_id": chosen["item_id"]} if ids_only and "item_id" in chosen else chosen

    batches = _refusing(path, READERS[path.suffix.lower()](path, pick, batch_rows))
    batches = _with_ids(path, (batch for batch in batches if len(batch)), columns)
    first = next(batches, None)
    if first is None:
        raise ConvoyError("no rows", path=path, expected="at least one item")
    return itertools.chain([first], batches)


@dataclass(frozen=True)
class Items:
    """The items of a catalogue file, a cleaned one or a source, as `embeddings.write_io.write` reads them."""

    path: Path
    columns: Mapping[str, str]
    """Our names to the file's, as in `iter_source`."""

    def batches(self, rows: int, ids_only: bool = False) -> Iterator[pa.RecordBatch]:
        """Batches of item_id, title, synopsis; see `iter_source`."""
        return iter_source(self.path, self.columns, need_category=False, batch_rows=rows, ids_only=ids_only)

    def sources(self) -> list[str] | None:
        """sha256 of the source of a cleaned catalogue; empty for a synthetic one, None for a source file."""
        if self.path.suffix.lower() != ".parquet":
            return None
        facts = (pyarrow.parquet.read_schema(self.path).metadata or {}).get(FACTS)
        if facts is None:
            return None
        source = _facts(self.path, facts)["source_sha256"]
        return [source] if source else []


def write(path: Path, table: pa.Table, facts: Mapping[str, Any]) -> None:
    """Write the cleaned catalogue: `facts` (source, source_sha256, max_characters) go into its metadata."""
    metadata = {FACTS: json.dumps(dict(facts), sort_keys=True)}
    _write(path, table.select(CATALOGUE.names).cast(CATALOGUE).replace_schema_metadata(metadata))


def read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """The table and the facts of a catalogue that `write` wrote, after checking page checksums."""
    table = _read(path, CATALOGUE)
    facts = (table.schema.metadata or {}).get(FACTS)
    if facts is None:
        raise ConvoyError(
            "no facts about its source, so not a catalogue of ours", path=path, hint="run `dvc repro`"
        )
    return table.replace_schema_metadata(None), _facts(path, facts)


def _facts(path: Path, stored: bytes) -> dict[str, Any]:
    """The facts in a catalogue's metadata; ConvoyError where they are not of the form that `write` writes."""
    try:
        facts: Any = json.loads(stored)
    except (ValueError, RecursionError):
        facts = None
    found = facts if isinstance(facts, dict) else {}
    source, limit = found.get("source_sha256", ""), found.get("max_characters")
    known = source is None or (isinstance(source, str) and re.fullmatch("[0-9a-f]{64}", source))
    if not known or type(limit) is not int or limit < 1:
        raise ConvoyError(
            f"its metadata '{FACTS.decode()}' are not the facts of a catalogue of ours (source_sha256, "
            "max_characters)",
            path=path, hint="make the file again, or remove them",
        )  # fmt: skip
    return found


def write_truth(path: Path, table: pa.Table | None) -> None:
    """Write the truth about a synthetic catalogue (see `read_truth`); no rows for a real one (None)."""
    table = TRUTH.empty_table() if table is None else table.select(TRUTH.names).cast(TRUTH)
    _write(path, table)


def read_truth(path: Path) -> pa.Table:
    """The truth that `write_truth` wrote: item_id, order_blind, full, taste; no rows for a real catalogue."""
    return _read(path, TRUTH)


def _write(path: Path, table: pa.Table) -> None:
    with atomic_file(path) as partial:
        pyarrow.parquet.write_table(
            table,
            partial,
            compression="zstd",
            use_dictionary=[
                name for name in ("category", "order_blind", "full") if name in table.schema.names
            ],
            row_group_size=65_536,
            write_page_checksum=True,
        )


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    path = Path(path)
    _check_file(path)
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            found = file.schema_arrow
            if found.remove_metadata() != schema:
                raise ConvoyError(
                    path=path, expected=f"the columns {_shown(schema.names)}", found=_shown(found.names),
                    hint=_AGAIN,
                )  # fmt: skip
            return file.read()
    except BROKEN as error:
        raise ConvoyError(_reason(error), path=path, hint=_AGAIN) from None


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise ConvoyError("no such file", path=path) from None
    except OSError as error:
        raise ConvoyError(str(error.strerror), path=path) from None
    except ValueError as error:  # a NUL in the name
        raise ConvoyError(str(error), path=path, hint="name a file") from None
    if path.is_dir():
        raise ConvoyError("a folder", path=path, hint="name a file")
    if not path.is_file():
        raise ConvoyError("not a regular file", path=path, hint="it is read more than once, so save it first")
    if path.suffix.lower() not in READERS:
        raise ConvoyError(
            f"unknown format '{path.suffix}'", path=path,
            expected=".csv, .jsonl (one object a line) or .parquet",
        )  # fmt: skip
    if size == 0:
        raise ConvoyError("an empty file (0 bytes)", path=path)


def _pick(
    path: Path, names: Sequence[str], columns: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, str]:
    if unknown := set(columns) - set(COLUMNS):
        raise ConvoyError(f"unknown key '{min(unknown)}'", key=COLUMNS_PARAM, expected=_shown(COLUMNS))
    chosen = {name: columns.get(name, name) for name in wanted}
    if "item_id" not in columns and "item_id" not in names:
        del chosen["item_id"]
    if missing := {name: column for name, column in chosen.items() if column not in names}:
        raise ConvoyError(
            f"no column {', '.join(_called(*pair) for pair in missing.items())}; its columns are "
            f"{_shown(names)}",
            path=path, key=COLUMNS_PARAM, hint=f"name the right ones in {KEY}",
        )  # fmt: skip
    for name, column in chosen.items():
        if names.count(column) > 1:
            raise ConvoyError(f"{names.count(column)} columns are called {_called(name, column)}", path=path)
        if (other := next(other for other in chosen if chosen[other] == column)) != name:
            raise ConvoyError(f"column '{column}' is mapped to both {other} and {name}", path=path)
    return chosen


def _with_ids(
    path: Path, batches: Iterator[pa.RecordBatch], columns: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    start = 1
    for batch in batches:
        numbers = range(start, start + len(batch))
        start += len(batch)
        if "item_id" not in batch.schema.names:
            yield batch.add_column(0, "item_id", strings([str(number) for number in numbers]))
            continue
        for fault, wrong, mend in _id_faults(batch["item_id"]):
            rows = [str(numbers[row]) for row in pc.indices_nonzero(wrong).to_pylist()]
            if rows:
                column = _called("item_id", columns.get("item_id", "item_id"))
                raise ConvoyError(
                    f"{fault} in row{'s' if len(rows) > 1 else ''} {_shown(rows)}",
                    path=path, key=f"column {column}", hint=mend,
                )  # fmt: skip
        yield batch


def _id_faults(ids: pa.Array) -> Iterator[tuple[str, pa.Array, str]]:
    """Faults of single ids: description, mask of the ids that have it, and remedy."""
    # Arrow imports pandas, 0.2 s, to compare with a Python value, so that is done only for faulty ids.
    empty = pc.invert(pc.utf8_length(pc.utf8_trim_whitespace(ids)).cast(pa.bool_()))
    yield "no id", pc.or_kleene(pc.is_null(ids), empty), "give every item one"
    lengths = pc.utf8_length(ids)
    if pc.max(lengths).as_py() > MAX_ID_CHARACTERS:
        too_long = pc.greater(lengths, MAX_ID_CHARACTERS)
        yield f"an item_id of more than {MAX_ID_CHARACTERS} characters", too_long, "shorten it"
    yield "an item_id with a NUL", pc.match_substring(ids, "\0"), "remove it"


def _refusing(path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except BROKEN as error:
        raise ConvoyError(
            f"cannot be read as {path.suffix[1:]}: {_reason(error)}",
            path=path, hint="check it, or write it again",
        ) from None  # fmt: skip


def _called(name: str, column: str) -> str:
    return f"'{column}'" if name == column else f"'{column}' ({name})"


def _shown(names: Sequence[str]) -> str:
    if not any(name.strip() for name in names):
        return "none"
    lines = (" ".join(name.split()) for name in names[:NAMES_SHOWN])
    shown = ", ".join(line if len(line) <= 40 else f"{line[:40]}…" for line in lines)
    return shown + (f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else "")


def _reason(error: Exception) -> str:
    return reason(error).rstrip(".")
