"""Reader of JSON: one object a line, or one array of objects, in constant memory."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut
from convoy.streamrec.catalogue.columns import Pick, strings
from convoy.streamrec.catalogue.csv_io import MAX_ROW_CHARACTERS
from convoy.streamrec.catalogue.text_io import Source

ROWS_FOR_COLUMNS = 1000
"""Rows that are read to find the columns, since each names its own; all are where one is not among them."""
LISTS = "category"  # the column that may hold lists, of which the first label counts
_BLOCK = 1 << 20
_BLANKS = " \t\r\n"
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None, strict=False)
Row = tuple[str, dict[str, Any]]
"""Where it is, as `line 3`, and the object."""


def json_batches(source: Source, pick: Pick, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read JSON objects. A key left out is null; numbers keep their spelling."""
    source.check()
    with source.characters(newline="\n") as text:
        rows = _rows(source.path, text)
        head = list(itertools.islice(rows, ROWS_FOR_COLUMNS))
        if not head:
            return
        chosen = _chosen(source, pick, head)
        rows = itertools.chain(head, rows)
        while part := list(itertools.islice(rows, batch_rows)):
            yield pa.RecordBatch.from_pydict(
                {wanted: _column(source.path, wanted, name, part) for wanted, name in chosen.items()}
            )


def _chosen(source: Source, pick: Pick, head: list[Row]) -> dict[str, str]:
    names = dict.fromkeys(name for _, row in head for name in row)
    try:
        chosen = pick.choose(list(names))
        if len(chosen) == len(pick.wanted) or len(head) < ROWS_FOR_COLUMNS:
            return chosen
    except ConvoyError:
        if len(head) < ROWS_FOR_COLUMNS:
            raise
    with source.characters(newline="\n") as text:
        for _, row in _rows(source.path, text):
            names.update(dict.fromkeys(row))
    return pick.choose(list(names))


def _rows(path: Path, text: TextIO) -> Iterator[Row]:
    """Place and object of each row."""
    first = text.read(1)
    while first and first in _BLANKS + "\ufeff":
        first = text.read(1)
    return _array(path, text) if first == "[" else _lines(path, text, first)


def _lines(path: Path, text: TextIO, first: str) -> Iterator[Row]:
    for number in itertools.count(1):
        line = first + text.readline(MAX_ROW_CHARACTERS)
        first = ""
        if len(line) >= MAX_ROW_CHARACTERS and not line.endswith("\n"):
            raise ConvoyError(
                f"line {number} is longer than {MAX_ROW_CHARACTERS >> 20} Mi characters",
                path=path, hint="write one object a line",
            )  # fmt: skip
        if not line:
            return
        if not (stripped := line.strip()):
            continue
        try:
            row = _DECODER.decode(stripped)
        except json.JSONDecodeError as error:
            raise ConvoyError(
                f"line {number} is not JSON: {error.msg} at character {error.pos + 1}",
                path=path, expected="one object a line, or an array of objects",
            ) from None  # fmt: skip
        except RecursionError:
            raise _too_deep(path, f"line {number}") from None
        yield f"line {number}", _object(path, f"line {number}", row)


def _array(path: Path, text: TextIO) -> Iterator[Row]:
    """The objects of an array after its `[`, each decoded as soon as it is there in whole."""
    array = _Values(path, text)
    if array.next_is("]"):
        return
    for number in itertools.count(1):
        place = f"item {number}"
        yield place, _object(path, place, array.value(place))
        if array.next_is("]"):
            break
        if not array.next_is(","):
            after = array.peek()
            words = f"{after!r} follows {place}" if after else f"the array is not closed after {place}"
            raise _broken(path, words)
    if array.peek():
        raise _broken(path, "text after the array")


class _Values:
    """JSON values and what is between them, from a stream of which one block or one value is in memory."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._text = path, text
        self._buffer, self._at = "", 0

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _BLANKS:
                    return self._buffer[self._at]
                self._at += 1
            self._buffer, self._at = self._text.read(_BLOCK), 0
            if not self._buffer:
                return ""

    def next_is(self, character: str) -> bool:
        """Whether that is the next character that is no blank, which is then passed over."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def value(self, place: str) -> Any:
        self.peek()
        while True:
            try:
                found, self._at = _DECODER.raw_decode(self._buffer, self._at)
                return found
            except json.JSONDecodeError as error:
                # Perhaps it goes on after the buffer: twice as much is read, up to the limit.
                size = len(self._buffer) - self._at
                more = self._text.read(max(_BLOCK, size)) if size < MAX_ROW_CHARACTERS else ""
                if not more:
                    raise _broken(self._path, f"{place} is not JSON: {error.msg}") from None
                self._buffer, self._at = self._buffer[self._at :] + more, 0
            except RecursionError:
                raise _too_deep(self._path, place) from None


def _broken(path: Path, words: str) -> ConvoyError:
    return ConvoyError(cut(words, 200), path=path, expected="an array of objects")


def _too_deep(path: Path, place: str) -> ConvoyError:
    return ConvoyError(f"{place} is nested too deeply", path=path, expected="one flat object")


def _object(path: Path, place: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        kind = "array" if isinstance(row, list) else "single value"
        raise ConvoyError(f"{place} holds a JSON {kind}", path=path, expected="one flat object")
    return row


def _column(path: Path, wanted: str, name: str, rows: list[Row]) -> pa.Array:
    values = []
    for place, row in rows:
        value = row.get(name)
        if wanted == LISTS and isinstance(value, list):
            value = first_label(value)
        if not (value is None or isinstance(value, str)):
            raise ConvoyError(
                path=path, key=f"{place}, column '{name}'", expected="a string",
                found=cut(json.dumps(value), 60),
            )  # fmt: skip
        values.append(value)
    try:
        return strings(values)
    except UnicodeEncodeError:
        # Half of a surrogate pair, escaped as \ud83d, which UTF-8 cannot encode.
        halves = [None if value is None else value.encode("utf-16", "surrogatepass") for value in values]
        return strings(None if half is None else half.decode("utf-16", "replace") for half in halves)


def first_label(labels: list[Any]) -> Any:
    """The first of a list of labels that is not blank; None where there is none."""
    return next((label for label in labels if label is not None and str(label).strip()), None)
