"""Reader of delimited text: CSV and its dialects, in constant memory; nothing is lost without an error.

The dialect is found where it is not set: the delimiter by the header, and whether quotes within quotes are
doubled or escaped with a backslash by reading the whole file both ways. Where both ways work and differ, or
none does, the file is refused with the row.
"""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from convoy.core.errors import KEY, ConvoyError
from convoy.core.printable import reason
from convoy.streamrec.catalogue.columns import Pick, strings
from convoy.streamrec.catalogue.plain_csv_io import is_plain, plain_batches
from convoy.streamrec.catalogue.text_io import AUTO, Source

MAX_ROW_CHARACTERS = 32 << 20
"""The longest row of a CSV and line of JSON. A quote that is never closed makes a longer one."""
BATCH_CHARACTERS = 16 << 20
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
DOUBLED, BACKSLASH, NONE = "doubled", "backslash", "none"
_ENDS = {"\n": "LF", "\r": "CR"}
_SEP = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)
_PAIR = re.compile(r"\\(.?)", re.DOTALL)
_CLOSED = "put quotes round fields that hold delimiters or newlines, and double quotes within them"


@dataclass(frozen=True)
class _Layout:
    """What the first lines of a file show."""

    delimiter: str
    has_sep: bool
    """A first line `sep=;`, as spreadsheets write it."""
    header: list[str]
    chosen: dict[str, str]
    """Our names to the file's."""

    @property
    def blanks(self) -> bool:
        """Whether a blank follows each delimiter, before quotes."""
        return len(self.header) > 1 and all(name.startswith(" ") for name in self.header[1:])


def csv_batches(source: Source, pick: Pick, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read delimited text with a header. Quoted newlines are fine; empty fields are ""."""
    has_backslash = source.check()
    layout = _layout(source, pick)
    quotes = source.dialect.quotes
    if quotes == AUTO:
        quotes = _quotes(source, layout) if has_backslash else DOUBLED
    done = 0
    if quotes == DOUBLED and not layout.blanks and is_plain(source, layout.delimiter):
        try:
            skip = int(layout.has_sep)
            for batch in plain_batches(source, layout.header, layout.chosen, layout.delimiter, skip):
                for start in range(0, len(batch), batch_rows):
                    part = batch.slice(start, batch_rows)
                    done += len(part)
                    yield part
            return
        except pa.ArrowException:
            pass  # A row that is wrong, which the other reader names, or a long one.
    yield from _batches(itertools.islice(_rows(source, layout, quotes), done, None), layout, batch_rows)


def _batches(rows: Iterator[tuple[list[str], int]], layout: _Layout, most: int) -> Iterator[pa.RecordBatch]:
    places = {name: layout.header.index(own) for name, own in layout.chosen.items()}
    part: list[list[str]] = []
    size = 0
    for row, characters in rows:
        part.append(row)
        size += characters
        if len(part) == most or size > BATCH_CHARACTERS:
            yield _batch(part, places)
            part, size = [], 0
    yield _batch(part, places)


def _batch(rows: Sequence[Sequence[str]], places: dict[str, int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {name: strings(row[place] for row in rows) for name, place in places.items()}
    )


class _Lines:
    """Lines of a file with their ends; the last one, and the characters and quotes of all that were read."""

    def __init__(self, path: Path, text: TextIO) -> None:
        self._path, self._text = path, text
        self.last = ""
        self.characters = self.quotes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = self._text.readline(MAX_ROW_CHARACTERS)
        if not self.last:
            raise StopIteration
        if self.characters == 0:
            self.last = self.last.removeprefix("\ufeff")
        self.characters += len(self.last)
        self.quotes += self.last.count('"')
        if len(self.last) == MAX_ROW_CHARACTERS:
            raise _too_long(self._path)
        return self.last


def _too_long(path: Path) -> ConvoyError:
    return ConvoyError(
        f"a row of more than {MAX_ROW_CHARACTERS >> 20} Mi characters", path=path,
        hint="is a quote never closed?",
    )  # fmt: skip


@contextmanager
def _lines(source: Source, has_sep: bool) -> Iterator[_Lines]:
    with source.characters(newline="") as text:
        lines = _Lines(source.path, text)
        if has_sep:
            next(lines, None)
        yield lines


def _reader(lines: Iterator[str], delimiter: str, quotes: str, blanks: bool) -> Any:
    # The library's own limit is 131,072 characters a field, for the whole process.
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    how: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if quotes == NONE else {}
    if quotes == BACKSLASH:
        how["escapechar"] = "\\"
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=blanks, strict=True, **how)


def _layout(source: Source, pick: Pick) -> _Layout:
    """Find delimiter and header: the delimiter under which the header has the wanted columns."""
    with _lines(source, has_sep=False) as lines:
        sep = _SEP.fullmatch(next(lines, ""))
    delimiter = source.dialect.delimiter
    if delimiter != AUTO:
        delimiters = ["\t" if delimiter == "tab" else delimiter]
    elif sep:
        delimiters = [sep[1]]
    else:
        delimiters = list(DELIMITERS)
    found = [(one, _header(source, one, sep is not None)) for one in delimiters]
    headers = [(one, header) for one, header in found if header is not None]
    if not headers:
        raise ConvoyError("the header has text after a closing quote", path=source.path, hint=_CLOSED)
    headers.sort(key=lambda pair: -len(pair[1]))
    refusal = None
    for delimiter, header in headers:
        try:
            return _Layout(delimiter, sep is not None, header, pick.choose(header))
        except ConvoyError as error:
            if refusal is None:
                how = DELIMITERS.get(delimiter, repr(delimiter))
                error.message += f" (delimiter: {how}, encoding: {source.encoding().upper()})"
                refusal = error
    assert refusal is not None
    raise refusal


def _header(source: Source, delimiter: str, has_sep: bool) -> list[str] | None:
    """The first line that is not blank; None where it is broken under this delimiter."""
    quotes = NONE if source.dialect.quotes == NONE else DOUBLED
    with _lines(source, has_sep) as lines:
        try:
            return next((names for names in _reader(lines, delimiter, quotes, False) if names), [])
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise ConvoyError("a quote opened in the header is never closed", path=source.path) from None
            return None


def _rows(source: Source, layout: _Layout, quotes: str) -> Iterator[tuple[list[str], int]]:
    """Fields and number of characters of each row after the header, blank lines left out."""
    number, before, end = -1, 0, ""
    with _lines(source, layout.has_sep) as lines:
        try:
            for row in _reader(lines, layout.delimiter, quotes, layout.blanks):
                if not row:
                    continue
                number += 1
                if len(row) != len(layout.header):
                    raise _wrong_width(source, number, len(row), len(layout.header))
                if quotes == DOUBLED and lines.quotes % 2:
                    # Any one quote that is missing or too many makes the number odd.
                    raise _unpaired(source, number)
                last = lines.last[-1]
                if last != end and last in _ENDS:
                    # A CR inside a field that its writer did not quote, most probably.
                    if end:
                        raise ConvoyError(
                            f"row {number} ends in {_ENDS[last]}, those before in {_ENDS[end]}",
                            path=source.path, hint=_CLOSED,
                        )  # fmt: skip
                    end = last
                if number:
                    yield row, lines.characters - before
                before = lines.characters
        except csv.Error as error:
            raise _broken(source, number + 1, error) from None


def _wrong_width(source: Source, row: int, found: int, expected: int) -> ConvoyError:
    fields = "1 field" if found == 1 else f"{found} fields"
    return ConvoyError(f"row {row} has {fields}, the header {expected}", path=source.path, hint=_CLOSED)


def _unpaired(source: Source, row: int) -> ConvoyError:
    return ConvoyError(
        f"{f'row {row}' if row else 'the header'} has a quote without its pair",
        path=source.path, key=source.dialect.param("quotes"),
        hint=f"close or double it; where quotes are text throughout, set {KEY} to none",
    )  # fmt: skip


def _broken(source: Source, row: int, error: csv.Error) -> ConvoyError:
    words = str(error)
    if "unexpected end" in words:
        return ConvoyError(
            f"the quote opened in row {row} is never closed", path=source.path, hint="close it, or double it"
        )
    if "expected after" in words:
        return ConvoyError(
            f"row {row} has text after a closing quote", path=source.path, key=source.dialect.param("quotes"),
            hint=f"double quotes within quotes; where quotes are text throughout, set {KEY} to none",
        )  # fmt: skip
    return _too_long(source.path) if "field larger" in words else _odd(source, row, error)


def _odd(source: Source, row: int, error: csv.Error) -> ConvoyError:
    return ConvoyError(f"row {row} cannot be read: {reason(error)}", path=source.path)


def _quotes(source: Source, layout: _Layout) -> str:
    """Whether the quotes in a file with backslashes are doubled or escaped; ConvoyError where both may be."""
    if not _escapes(source, layout.delimiter):
        return DOUBLED
    ways = {how: _rows(source, layout, how) for how in (DOUBLED, BACKSLASH)}
    errors: dict[str, ConvoyError] = {}
    number = differs = 0
    while len(errors) < len(ways):
        number += 1
        found = []
        for how, rows in ways.items():
            try:
                found.append(next(rows, None))
            except ConvoyError as error:
                errors[how] = error
        if not errors and not differs and found[0] != found[1]:
            differs = number
        if not any(found):
            break
    if len(errors) == len(ways):
        raise errors[DOUBLED]
    if errors:
        return BACKSLASH if DOUBLED in errors else DOUBLED
    if differs:
        raise ConvoyError(
            f"row {differs} has a backslash that is text or escapes what follows",
            path=source.path, key=source.dialect.param("quotes"),
            hint=f"set {KEY} to {DOUBLED} or {BACKSLASH}",
        )  # fmt: skip
    return DOUBLED


def _escapes(source: Source, delimiter: str) -> bool:
    """Whether each backslash precedes what a writer escapes: a quote, a delimiter, a newline, a backslash."""
    escaped = {'"', "\\", delimiter, "\r", "\n"}
    rest = ""
    with source.characters(newline="") as text:
        while block := text.read(1 << 20):
            block, rest = rest + block, ""
            for pair in _PAIR.finditer(block):
                if not pair[1]:
                    rest = "\\"  # its other half is in the next block
                elif pair[1] not in escaped:
                    return False
    return not rest
