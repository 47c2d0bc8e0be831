"""Reads stations and labels from CSV tables."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from convoy.climate.data.domains import Days
from convoy.climate.series.sources.naming import SHOWN, Floats, Settings, chosen, converted
from convoy.climate.series.sources.stations import Label, Station, check_latitudes, check_split
from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, reason

SITE, DATE, LABEL, SPLIT, LATITUDE = "site", "date", "label", "split", "latitude"
MOST_BYTES = 1024**3  # of a table, unpacked, which is read as a whole
_MOST_LABELS_BYTES = 100 * 1024**2
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}($|[T ])"
_EPOCH = np.datetime64("1850-01-01", "D")


def read_labels(path: str) -> dict[str, Label]:
    """The label of each site from a CSV table with the columns site, label and, where wanted, split."""
    table = _table(path, _MOST_LABELS_BYTES)
    _require(table, (SITE, LABEL), path)
    columns = [_words(table[name]) for name in (SITE, LABEL)]
    splits = _words(table[SPLIT]) if SPLIT in table.column_names else [""] * len(table)
    found: dict[str, Label] = {}
    for site, label, split in zip(*columns, splits, strict=True):
        if not site or not label:
            raise ConvoyError(
                path=path, key=f"row {len(found) + 2}", expected="a site and its label", found="an empty cell"
            )
        if site in found:
            raise ConvoyError(f"site '{cut(site, 60)}' is listed twice", path=path, hint="leave one out")
        found[site] = Label(label, check_split(split, path))
    return found


def csv_stations(
    path: str, settings: Settings, wanted: Sequence[str] | None
) -> tuple[list[Station], dict[str, Label]]:
    """The stations of a table with a row per site and day, and their labels where it has some."""
    table = _table(path, MOST_BYTES)
    _require(table, (SITE, DATE), path)
    if len(table) == 0:
        raise ConvoyError("it has no row", path=path, expected="a row for each site and day")
    names = chosen(path, table.column_names, {}, settings, wanted)
    days = _dates(table[DATE], path)
    words = pc.utf8_trim_whitespace(table[SITE])
    sites = words.combine_chunks().dictionary_encode()
    code = sites.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((days, code))
    code, days = code[order], days[order]
    again = np.flatnonzero((np.diff(code) == 0) & (np.diff(days) == 0))
    dictionary = sites.dictionary.to_pylist()
    if "" in dictionary:
        row = pc.index(words, "").as_py()
        raise ConvoyError(
            path=path, key=f"column '{SITE}', row {row + 2}", expected="the name of a site",
            found="an empty cell",
        )  # fmt: skip
    if len(again):
        place = int(again[0])
        raise ConvoyError(
            f"site '{cut(dictionary[code[place]], 60)}' has two rows for {_EPOCH + days[place]}",
            path=path, expected="one row a day", hint="leave one out",
        )  # fmt: skip
    values = {
        name: converted(path, name, stored, _numbers(table[stored], stored, path)[order], settings, "")
        for name, stored in names.items()
    }
    latitude = _numbers(table[LATITUDE], LATITUDE, path)[order] if LATITUDE in table.column_names else None
    stations, labels = [], {}
    if latitude is not None:
        check_latitudes(latitude, path)
    given = {name: _texts(table[name], order) for name in (LABEL, SPLIT) if name in table.column_names}
    ends = np.flatnonzero(np.diff(code)) + 1
    for low, high in zip([0, *ends], [*ends, len(code)], strict=True):
        if low == high:
            continue
        site, rows = dictionary[code[low]], slice(int(low), int(high))
        north = float("nan") if latitude is None else float(latitude[low])
        stations.append(
            Station(site, north, Days("standard", days[rows]), {n: v[rows] for n, v in values.items()})
        )
        if LABEL in given:
            labels[site] = _label_of(site, given, rows, path)
    return stations, {site: label for site, label in labels.items() if label is not None}


def _label_of(site: str, given: Mapping[str, npt.NDArray[Any]], rows: slice, path: str) -> Label | None:
    """The label of a site, the same in all its rows; None where all are empty."""
    stated = {name: sorted({text for text in column[rows] if text}) for name, column in given.items()}
    for name, texts in stated.items():
        if len(texts) > 1:
            raise ConvoyError(
                f"site '{cut(site, 60)}' has two of them ({', '.join(texts[:2])})", path=path,
                key=f"column '{name}'", expected="one for each site",
            )  # fmt: skip
    if not stated[LABEL]:
        return None
    return Label(stated[LABEL][0], check_split("".join(stated.get(SPLIT, [])), path))


def _table(path: str, most_bytes: int) -> pa.Table:
    """A CSV table with a header, every cell as text."""
    file = Path(path)
    if not file.is_file():
        raise ConvoyError("no such file", path=path)
    if file.stat().st_size > most_bytes:
        raise ConvoyError(f"larger than {most_bytes:,} bytes", path=path, hint="split it by sites")
    try:
        # Read as text first: a column of numbers with one wrong cell is then reported by its row.
        with pyarrow.csv.open_csv(path) as opened:
            schema = pa.schema([(name, pa.string()) for name in opened.schema.names])
        kinds = {name: pa.string() for name in schema.names}
        options = pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
        # A small packed file may unpack to any size. Each cell takes four bytes more than its text.
        batches, size = [], 0
        with pyarrow.csv.open_csv(path, convert_options=options) as opened:
            for batch in opened:
                size += batch.nbytes
                if size > 4 * most_bytes:
                    raise ConvoyError(
                        f"unpacked, larger than {most_bytes:,} bytes", path=path, hint="split it by sites"
                    )
                batches.append(batch)
        table = pa.Table.from_batches(batches, schema)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise ConvoyError(
            f"not a CSV table ({reason(error)})", path=path, expected="commas between columns, and UTF-8"
        ) from None
    if len(set(table.column_names)) != len(table.column_names):
        raise ConvoyError("two columns have the same name", path=path)
    return table


def _require(table: pa.Table, names: Sequence[str], path: str) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        have = cut(", ".join(table.column_names), SHOWN)
        hint = "separate columns by commas" if len(table.column_names) == 1 else ""
        raise ConvoyError(
            f"no column '{missing[0]}': it has {have}", path=path, expected=", ".join(names), hint=hint
        )


def _words(column: pa.ChunkedArray) -> list[str]:
    return pc.utf8_trim_whitespace(column).to_pylist()


def _texts(column: pa.ChunkedArray, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    # Few texts, each in many rows: a Python object for each text, not for each row.
    coded = pc.utf8_trim_whitespace(column).combine_chunks().dictionary_encode()
    return np.array(coded.dictionary.to_pylist(), object)[coded.indices.to_numpy()[order]]


def _numbers(column: pa.ChunkedArray, name: str, path: str) -> Floats:
    """Numbers; empty cells, NA and NaN are missing."""
    text = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(pc.utf8_lower(text), pa.array(["", "na", "nan", "null", "none"]))
    text = pc.if_else(missing, None, text)
    try:
        numbers = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        cells = text.to_pylist()
        row = next(place for place, cell in enumerate(cells) if cell is not None and not _is_number(cell))
        raise ConvoyError(
            path=path, key=f"column '{name}', row {row + 2}", expected="a number or an empty cell",
            found=cut(cells[row], 40),
        ) from None  # fmt: skip
    found = np.array(numbers.fill_null(np.nan).to_numpy(), np.float64)
    if np.isinf(found).any():
        row = int(np.argmax(np.isinf(found)))
        raise ConvoyError(
            path=path, key=f"column '{name}', row {row + 2}", expected="a finite number", found="infinity"
        )
    return found


def _is_number(cell: str) -> bool:
    try:
        pc.cast(pa.scalar(cell), pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _dates(column: pa.ChunkedArray, path: str) -> npt.NDArray[np.int64]:
    """Days since 1850-01-01 from dates as YYYY-MM-DD, which a time may follow."""
    stripped = pc.utf8_trim_whitespace(column)
    days = pc.utf8_slice_codeunits(stripped, 0, 10)
    shaped = pc.match_substring_regex(stripped, _DAY)
    try:
        if not pc.all(shaped).as_py():
            raise pa.ArrowInvalid("not a date")
        found = pc.cast(pc.cast(days, pa.date32()), pa.int32()).to_numpy().astype(np.int64)
    except pa.ArrowInvalid:
        cells = column.to_pylist()
        row = next(place for place, cell in enumerate(cells) if not _is_date(cell.strip()))
        raise ConvoyError(
            path=path, key=f"column '{DATE}', row {row + 2}", expected="a day as YYYY-MM-DD",
            found=cut(cells[row], 40),
        ) from None  # fmt: skip
    return found - int((_EPOCH - np.datetime64("1970-01-01", "D")).astype(int))


def _is_date(cell: str) -> bool:
    try:
        pc.cast(pa.scalar(cell[:10]), pa.date32())
    except pa.ArrowInvalid:
        return False
    return re.match(_DAY, cell) is not None
