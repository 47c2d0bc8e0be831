"""Readers of source files: CSV, JSON lines and Parquet as batches of strings, in constant memory.

A reader takes (path, pick, batch_rows). It calls `pick` with the names of the file's columns, which returns a
dict from the wanted name to the name in the file, and yields those columns as strings with nulls kept. Rows
are counted from 1, without header and blank lines.
"""

import codecs
import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pyarrow.types

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, reason

Pick = Callable[[Sequence[str]], dict[str, str]]

# The longest row of a CSV and line of JSON. A quote that is never closed makes a longer one.
MAX_ROW_BYTES = 32 << 20
CSV_BLOCK_BYTES = (1 << 20, MAX_ROW_BYTES)  # the second one where a row is longer than the first
COMPRESSED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\3\4": "zip"}
"""Formats by the first bytes of their files."""
JSON_LINES_FOR_COLUMNS = 1000  # lines that are read to find the columns, since each line names its own
# An added last row: where Arrow does not return it as written, a quote before it was never closed, and the
# rest of the file would silently become one field.
SEAL = "convoy: end of file"


def strings(values: Iterable[str | None]) -> pa.Array:
    """An Arrow array of strings and nulls, without pa.array, which imports pandas to look for a Series."""
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def check_text(path: Path) -> None:
    """Raise ConvoyError for a file that is not UTF-8 text, with the first invalid byte (counted from 0)."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    with open(path, "rb") as file:
        start = file.read(6)
        for magic, name in COMPRESSED.items():
            if start.startswith(magic):
                raise ConvoyError(
                    f"compressed with {name}, by its first bytes", path=path, hint="decompress it first"
                )
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ConvoyError("UTF-16, not UTF-8, by its first two bytes", path=path, hint="save it as UTF-8")
        file.seek(0)
        while start:
            start = block = file.read(1 << 20)
            pending = len(decoder.getstate()[0])
            if (null := block.find(b"\0")) >= 0:
                raise ConvoyError(
                    (
                        f"a NUL at byte {position + null}, so not UTF-8 text (UTF-16 without its mark, or no "
                        "text at all)"
                    ),
                    path=path,
                    hint="save it as UTF-8",
                )
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                place = position - pending + error.start
                raise ConvoyError(
                    f"not UTF-8: byte {place} is 0x{error.object[error.start]:02x} ({error.reason})",
                    path=path,
                    hint="save it as UTF-8 (`iconv -f WINDOWS-1252 -t UTF-8` corrects the commonest case)",
                ) from None
            position += len(block)


def csv_batches(path: Path, pick: Pick, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read CSV with a header. Byte order mark, CRLF and quoted newlines are fine; empty fields are ""."""
    check_text(path)
    header = _csv_header(path)
    chosen = pick(header)
    done = 0
    for block_bytes in CSV_BLOCK_BYTES:
        try:
            for batch in _unsealed(path, _csv_blocks(path, chosen, len(header), block_bytes), done):
                for start in range(0, len(batch), batch_rows):
                    part = batch.slice(start, batch_rows)
                    done += len(part)
                    yield part
            return
        except _RowTooLongError:
            continue
    raise ConvoyError(
        f"a row of more than {MAX_ROW_BYTES >> 20} MiB", path=path, hint="is a quote never closed?"
    )


def json_batches(path: Path, pick: Pick, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read one JSON object a line. A key left out is null; numbers keep their spelling."""
    check_text(path)
    with open(path, "rb") as file:
        rows = _json_rows(path, file)
        head = list(itertools.islice(rows, JSON_LINES_FOR_COLUMNS))
        if not head:
            return
        chosen = pick(list(dict.fromkeys(name for _, row in head for name in row)))
        rows = itertools.chain(head, rows)
        while part := list(itertools.islice(rows, batch_rows)):
            yield pa.RecordBatch.from_pydict(
                {wanted: _json_column(path, name, part) for wanted, name in chosen.items()}
            )


def parquet_batches(path: Path, pick: Pick, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read Parquet, checking page checksums where it has them; whole numbers become their digits."""
    # Without buffer_size or with pre_buffer whole row groups would be kept in memory.
    with pyarrow.parquet.ParquetFile(
        path, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True
    ) as file:
        chosen = pick(file.schema_arrow.names)
        names = list(dict.fromkeys(chosen.values()))
        row = 1
        for batch in file.iter_batches(batch_size=batch_rows, columns=names, use_threads=False):
            yield pa.RecordBatch.from_pydict(
                {
                    wanted: _as_strings(batch.column(batch.schema.names.index(name)), path, name, row)
                    for wanted, name in chosen.items()
                }
            )
            row += len(batch)


class _Sealed:
    """A file for Arrow to read, with the row of SEAL added at the end."""

    def __init__(self, file: BinaryIO, columns: int) -> None:
        self._file = file
        self._seal = ("\n" + ",".join([SEAL] * columns) + "\n").encode()
        self.closed = False

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        missing = size - len(block)
        block, self._seal = block + self._seal[:missing], self._seal[missing:]
        return block

    def close(self) -> None:
        self.closed = True


class _RowTooLongError(Exception):
    """A row that spans two block boundaries, which Arrow cannot read."""


def _csv_blocks(
    path: Path, chosen: Mapping[str, str], n_columns: int, block_bytes: int
) -> Iterator[pa.RecordBatch]:
    names = list(dict.fromkeys(chosen.values()))
    wrong: list[str] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        fields = "1 field" if row.actual_columns == 1 else f"{row.actual_columns} fields"
        wrong.append(f"row {row.number - 1} has {fields}, the header {row.expected_columns}")
        return "error"

    # One thread: otherwise Arrow does not report the number of an invalid row.
    options = (
        pyarrow.csv.ReadOptions(use_threads=False, block_size=block_bytes),
        pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
        pyarrow.csv.ConvertOptions(include_columns=names, column_types=dict.fromkeys(names, pa.string())),
    )
    with open(path, "rb") as file:
        try:
            for batch in pyarrow.csv.open_csv(_Sealed(file, n_columns), *options):
                yield pa.RecordBatch.from_pydict({key: batch.column(name) for key, name in chosen.items()})
        except pa.ArrowInvalid as error:
            if wrong:
                raise ConvoyError(
                    wrong[0], path=path, hint="put quotes round fields that hold commas or newlines"
                ) from None
            if any(words in str(error) for words in ("straddl", "cannot infer number of columns")):
                raise _RowTooLongError from None
            raise


def _unsealed(path: Path, batches: Iterator[pa.RecordBatch], done: int) -> Iterator[pa.RecordBatch]:
    """The rows without the last one, SEAL, and without the first `done`."""
    row = 0
    held = None
    for batch in batches:
        if len(batch):
            if held is not None:
                yield held.slice(max(0, done - row))
                row += len(held)
            held = batch
    if held is None or any(column[-1].as_py() != SEAL for column in held.columns):
        raise ConvoyError(
            f"the quote opened in row {row + len(held or ())} is never closed",
            path=path,
            hint="close it, or double it",
        )
    yield held.slice(0, len(held) - 1).slice(max(0, done - row))


def _csv_header(path: Path) -> list[str]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            return next((names for names in csv.reader(file) if names), [])
        except csv.Error as error:
            raise ConvoyError(f"no header in the first line ({reason(error)})", path=path) from None


def _json_rows(path: Path, file: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line that is not blank."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None, strict=False)
    for number in itertools.count(1):
        line = file.readline(MAX_ROW_BYTES)
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            raise ConvoyError(
                f"line {number} is longer than {MAX_ROW_BYTES >> 20} MiB",
                path=path,
                hint="write one object a line",
            )
        if not line:
            return
        text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if not text:
            continue
        try:
            row = decoder.decode(text)
        except json.JSONDecodeError as error:
            raise ConvoyError(
                f"line {number} is not JSON: {error.msg} at character {error.pos + 1}",
                path=path,
                expected="one object a line",
            ) from None
        except RecursionError:
            raise ConvoyError(
                f"line {number} is nested too deeply", path=path, expected="one flat object"
            ) from None
        if not isinstance(row, dict):
            kind = "array" if isinstance(row, list) else "single value"
            raise ConvoyError(f"line {number} holds a JSON {kind}", path=path, expected="one object a line")
        yield number, row


def _json_column(path: Path, name: str, rows: list[tuple[int, dict[str, Any]]]) -> pa.Array:
    values = [row.get(name) for _, row in rows]
    for (number, _), value in zip(rows, values, strict=True):
        if not (value is None or isinstance(value, str)):
            raise ConvoyError(
                path=path,
                key=f"line {number}, column '{name}'",
                expected="a string",
                found=cut(json.dumps(value), 60),
            )
    try:
        return strings(values)
    except UnicodeEncodeError:
        # Half of a surrogate pair, escaped as \ud83d, which UTF-8 cannot encode.
        halves = [value and value.encode("utf-16", "surrogatepass") for value in values]
        return strings(half and half.decode("utf-16", "replace") for half in halves)


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
