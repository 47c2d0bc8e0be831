"""Readers of real interactions: CSV, JSON lines and Parquet files, and files that map item ids."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from convoy.core.errors import KEY, ConvoyError, Param
from convoy.core.printable import cut, reason
from convoy.streamrec.catalogue.columns import Pick, same_name
from convoy.streamrec.catalogue.formats_io import PARQUET, reader_of
from convoy.streamrec.catalogue.io import BROKEN
from convoy.streamrec.catalogue.text_io import Dialect, Source
from convoy.streamrec.recommender.params import IdMapParams

REQUIRED = ("user_id", "item_id", "timestamp")
OPTIONAL = ("rating", "click", "position")
_SECTION = "streamrec.recommender.interactions"
_BATCH_ROWS = 65_536
_NAMES_SHOWN = 20


def read_events(path: Path, columns: Mapping[str, str]) -> pa.Table:
    """All rows as strings with nulls: user_id, item_id, timestamp, and rating, click, position where there.

    `columns` maps our names to the file's, where they differ. Ids keep their leading zeros. Raises
    ConvoyError for a file that is missing, broken or without a column, and for one without rows.
    """

    def choose(names: Sequence[str]) -> dict[str, str]:
        mapped = {name: columns.get(name, name) for name in (*REQUIRED, *OPTIONAL)}
        found = {name: _one(path, names, own) for name, own in mapped.items()}
        needed = {name: own for name, own in mapped.items() if name in REQUIRED or name in columns}
        missing = [own for name, own in needed.items() if not found[name]]
        _refuse_shared(path, found)
        if missing:
            raise ConvoyError(
                f"no column {', '.join(missing)}; its columns are {_shown(names)}", path=path,
                key=Param(_SECTION, ("columns",)), hint=f"name the right ones in {KEY}",
            )  # fmt: skip
        return {name: own for name, own in found.items() if own}

    table = _read(path, Pick((*REQUIRED, *OPTIONAL), choose))
    if len(table) == 0:
        raise ConvoyError("no rows", path=path, expected="at least one interaction")
    return table


def _refuse_shared(path: Path, found: Mapping[str, str]) -> None:
    """Raise ConvoyError where a column of the file is to be two of ours."""
    of_column: dict[str, str] = {}
    for name, own in found.items():
        if own and (other := of_column.setdefault(own, name)) != name:
            raise ConvoyError(
                f"the column '{cut(own, 60)}' is named as {other} and as {name}", path=path,
                key=Param(_SECTION, ("columns",)), hint=f"name a column of its own in {KEY}",
            )  # fmt: skip


def read_id_map(params: IdMapParams) -> pa.Table | None:
    """Pairs of ids (of_interactions, of_catalogue), rows without one of them left out; None without a file.

    Raises ConvoyError where an id of the interactions is mapped to two ids.
    """
    if params.file is None:
        return None
    path = Path(params.file)
    wanted = {"of_interactions": params.of_interactions, "of_catalogue": params.of_catalogue}

    def choose(names: Sequence[str]) -> dict[str, str]:
        found = {name: _one(path, names, own) for name, own in wanted.items()}
        missing = [own for name, own in wanted.items() if not found[name]]
        if missing:
            raise ConvoyError(
                f"no column {', '.join(missing)}; its columns are {_shown(names)}", path=path,
                key=Param(_SECTION, ("id_map",)), hint=f"name the right ones in {KEY}",
            )  # fmt: skip
        return found

    pairs = _read(path, Pick(tuple(wanted), choose))
    full = pc.and_(*(pc.greater(pc.utf8_length(pc.fill_null(pairs[name], "")), 0) for name in wanted))
    pairs = pairs.filter(full).group_by(list(wanted), use_threads=False).aggregate([]).combine_chunks()
    twice = pc.value_counts(pairs["of_interactions"])
    twice = twice.field("values").filter(pc.greater(twice.field("counts"), 1))
    if len(twice):
        raise ConvoyError(
            f"'{cut(twice[0].as_py(), 60)}' is mapped to several ids", path=path,
            key=f"column '{params.of_interactions}'", hint="leave one of them",
        )  # fmt: skip
    return pairs


def _one(path: Path, names: Sequence[str], column: str) -> str:
    """The file's name of a column; "" where it has none. Raises ConvoyError where it has several."""
    found = same_name(names, column)
    if len(found) > 1:
        raise ConvoyError(f"{len(found)} columns are called '{cut(column, 60)}'", path=path)
    return found[0] if found else ""


def _read(path: Path, pick: Pick) -> pa.Table:
    if not path.is_file():
        raise ConvoyError("no such file", path=path)
    suffix = path.suffix.lower()
    reader = reader_of(path)
    try:
        # Ratings are fractions, which the reader of catalogues refuses in Parquet.
        batches = list(
            _parquet(path, pick)
            if suffix == PARQUET
            else reader(Source(path, Dialect(section="")), pick, _BATCH_ROWS)
        )
    except BROKEN as error:
        raise ConvoyError(
            f"cannot be read as {suffix[1:]}: {reason(error).rstrip('.')}", path=path,
            hint="check it, or write it again",
        ) from None  # fmt: skip
    batches = [batch for batch in batches if len(batch)] or batches
    if not batches:
        raise ConvoyError("no rows", path=path, expected="at least one row")
    return pa.Table.from_batches(batches).combine_chunks()


def _parquet(path: Path, pick: Pick) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        chosen = pick.choose(file.schema_arrow.names)
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(dict.fromkeys(chosen.values()))):
            columns = {name: _text(batch.column(own), path, own) for name, own in chosen.items()}
            yield pa.RecordBatch.from_pydict(columns)


def _text(column: pa.Array, path: Path, name: str) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text(column.dictionary_decode(), path, name)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("s"), safe=False).cast(pa.int64()).cast(pa.string())
    if pa.types.is_floating(kind):
        whole = pc.all(pc.equal(column, pc.floor(column))).as_py()
        # Whole numbers with nulls, which pandas writes as floats, are ids without a fraction.
        return column.cast(pa.int64() if whole else kind).cast(pa.string())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise ConvoyError(path=path, key=f"column '{name}'", expected="text or numbers", found=str(kind))
    return column.cast(pa.string())


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return cut(", ".join(names[:_NAMES_SHOWN]), 300) + more
