"""Our cleaned catalogue and the truth about a synthetic one, on disk."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_file
from convoy.core.printable import reason
from convoy.streamrec.catalogue.columns import shown

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
_AGAIN = "run `dvc repro` to make it again"
# Errors of Arrow for broken files; corrupt Parquet also raises OSError, or has column names that are not
# UTF-8.
BROKEN = (pa.ArrowException, OSError, UnicodeDecodeError)


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
    return table.replace_schema_metadata(None), stored_facts(path, facts)


def stored_facts(path: Path, stored: bytes) -> dict[str, Any]:
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
    check_file(path)
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            found = file.schema_arrow
            if found.remove_metadata() != schema:
                raise ConvoyError(
                    path=path, expected=f"the columns {shown(schema.names)}", found=shown(found.names),
                    hint=_AGAIN,
                )  # fmt: skip
            return file.read()
    except BROKEN as error:
        raise ConvoyError(_reason(error), path=path, hint=_AGAIN) from None


def check_file(path: Path) -> None:
    """Raise ConvoyError for what is no regular file with bytes in it."""
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
    if size == 0:
        raise ConvoyError("an empty file (0 bytes)", path=path)


def _reason(error: Exception) -> str:
    return reason(error).rstrip(".")
