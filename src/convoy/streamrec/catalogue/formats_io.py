"""Readers of source files by format: delimited text, JSON and Parquet as batches of strings.

A reader takes (source, pick, batch_rows). It calls `pick.choose` with the names of the file's columns, which
returns a dict from the wanted name to the name in the file, and yields those columns as strings with nulls
kept, in constant memory. Rows are counted from 1, without header and blank lines.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pyarrow.types

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, reason
from convoy.streamrec.catalogue.columns import Pick, strings
from convoy.streamrec.catalogue.csv_io import csv_batches
from convoy.streamrec.catalogue.json_io import LISTS, first_label, json_batches
from convoy.streamrec.catalogue.text_io import COMPRESSED_SUFFIXES, Source, member_suffix

Reader = Callable[[Source, Pick, int], Iterator[pa.RecordBatch]]
FORMATS = ".csv, .tsv, .json, .jsonl, .ndjson (these also compressed: .gz, .xz, .zst, .zip) or .parquet"
PARQUET = ".parquet"


def reader_of(path: Path) -> Reader:
    """The reader of a file by its suffix, or by the one below that of a compression; ConvoyError without."""
    suffix = path.suffix.lower()
    if suffix in COMPRESSED_SUFFIXES:
        inner = member_suffix(path)
        if inner == PARQUET:
            raise ConvoyError("compressed Parquet", path=path, hint="decompress it; its pages are compressed")
        suffix = inner if inner in READERS else suffix
    if suffix not in READERS:
        raise ConvoyError(f"unknown format '{path.suffix}'", path=path, expected=FORMATS)
    return READERS[suffix]


def parquet_batches(source: Source, pick: Pick, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read Parquet, checking page checksums where it has them; whole numbers become their digits."""
    path = source.path
    # Without buffer_size or with pre_buffer whole row groups would be kept in memory.
    with pyarrow.parquet.ParquetFile(
        path, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True
    ) as file:
        chosen = pick.choose(file.schema_arrow.names)
        names = list(dict.fromkeys(chosen.values()))
        row = 1
        for batch in file.iter_batches(batch_size=batch_rows, columns=names, use_threads=False):
            yield pa.RecordBatch.from_pydict(
                {
                    wanted: _as_strings(
                        _labels(batch.column(batch.schema.names.index(name)), wanted), path, name, row
                    )
                    for wanted, name in chosen.items()
                }
            )
            row += len(batch)


READERS: dict[str, Reader] = {
    ".csv": csv_batches,
    ".tsv": csv_batches,
    ".json": json_batches,
    ".jsonl": json_batches,
    ".ndjson": json_batches,
    PARQUET: parquet_batches,
}


def _labels(column: pa.Array, wanted: str) -> pa.Array:
    """The first label of each list, where the column may hold lists of strings."""
    types, kind = pyarrow.types, column.type
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if wanted != LISTS or not is_list:
        return column
    value = kind.value_type
    if not (types.is_string(value) or types.is_large_string(value) or types.is_dictionary(value)):
        return column
    return strings(first_label(labels or []) for labels in column.to_pylist())


def _as_strings(column: pa.Array, path: Path, name: str, row: int) -> pa.Array:
    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    if not (string or binary or types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind)):
        raise ConvoyError(
            path=path,
            key=f"column '{name}'",
            expected="strings",
            found=cut(str(kind), 60),
            hint="cast them first",
        )
    try:
        if types.is_floating(kind):
            column = column.cast(pa.int64())  # whole numbers with nulls, which pandas writes as floats
        column = column.cast(pa.string())
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ConvoyError(
            reason(error),
            path=path,
            key=f"column '{name}', rows {row} to {row + len(column) - 1}",
            expected="UTF-8 strings or whole numbers",
        ) from None
    return column
