"""Reads stations and labels from CSV tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from convoy.climate.data.domains import Days
from convoy.climate.series.naming import SHOWN, Floats, Settings, chosen, converted
from convoy.climate.series.stations import Label, Station, check_split
from convoy.core.errors import ConvoyError
from convoy.core.printable import cut, reason

SITE, DATE, LABEL, SPLIT, LATITUDE = "site", "date", "label", "split", "latitude"
MOST_BYTES = 1024**3  # of a table, which is read as a whole
_MOST_LABELS_BYTES = 100 * 1024**2
_EPOCH = np.datetime64("1850-01-01", "D")


def read_labels(path: str) -> dict[str, Label]:
    """The label of each site from a CSV table with the columns site, label and, where wanted, split."""
    table = _table(path, _MOST_LABELS_BYTES)
    _require(table, (SITE, LABEL), path)
    columns = [table[name].to_pylist() for name in (SITE, LABEL)]
    splits = table[SPLIT].to_pylist() if SPLIT in table.column_names else [""] * len(table)
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
    names = chosen(path, table.column_names, {}, settings, wanted)
    days = _dates(table[DATE], path)
    sites = table[SITE].combine_chunks().dictionary_encode()
    code = sites.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    order = np.lexsort((days, code))
    code, days = code[order], days[order]
    again = np.flatnonzero((np.diff(code) == 0) & (np.diff(days) == 0))
    dictionary = sites.dictionary.to_pylist()
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
        names = pyarrow.csv.open_csv(path).schema.names
        kinds = dict.fromkeys(names, pa.string())
        options = pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=False)
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise ConvoyError(f"not a CSV table ({reason(error)})", path=path) from None
    if len(set(table.column_names)) != len(table.column_names):
        raise ConvoyError("two columns have the same name", path=path)
    return table


def _require(table: pa.Table, names: Sequence[str], path: str) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        have = cut(", ".join(table.column_names), SHOWN)
        raise ConvoyError(f"no column '{missing[0]}': it has {have}", path=path, expected=", ".join(names))


def _texts(column: pa.ChunkedArray, order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    return np.asarray(column.to_pylist(), object)[order]


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
    days = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(column), 0, 10)
    shaped = pc.match_substring_regex(days, r"^\d{4}-\d{2}-\d{2}$")
    try:
        if not pc.all(shaped).as_py():
            raise pa.ArrowInvalid("not a date")
        found = pc.cast(pc.cast(days, pa.date32()), pa.int32()).to_numpy().astype(np.int64)
    except pa.ArrowInvalid:
        cells = column.to_pylist()
        row = next(place for place, cell in enumerate(cells) if not _is_date(cell.strip()[:10]))
        raise ConvoyError(
            path=path, key=f"column '{DATE}', row {row + 2}", expected="a day as YYYY-MM-DD",
            found=cut(cells[row], 40),
        ) from None  # fmt: skip
    return found - int((_EPOCH - np.datetime64("1970-01-01", "D")).astype(int))


def _is_date(cell: str) -> bool:
    try:
        pc.cast(pa.scalar(cell), pa.date32())
    except pa.ArrowInvalid:
        return False
    return len(cell) == 10
