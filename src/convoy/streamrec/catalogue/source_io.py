"""Items from a source file, or from our cleaned catalogue, as batches of one kind."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from convoy.core.errors import KEY, ConvoyError, Param
from convoy.core.printable import reason
from convoy.streamrec.catalogue.columns import Pick, same_name, shown, strings
from convoy.streamrec.catalogue.formats_io import reader_of
from convoy.streamrec.catalogue.io import BROKEN, COLUMNS, FACTS, check_file, stored_facts
from convoy.streamrec.catalogue.text_io import FOUND_OUT, Dialect, Source

COLUMNS_PARAM = Param("streamrec.catalogue.columns")
MAX_ID_CHARACTERS = 256  # in the embeddings' item_ids.npy every id takes the space of the longest one


def read_source(
    path: Path, columns: Mapping[str, str], need_category: bool, dialect: Dialect = FOUND_OUT
) -> pa.Table:
    """Read a whole source into item_id, title, synopsis and (where needed) category; see `iter_source`."""
    return pa.Table.from_batches(list(iter_source(path, columns, need_category, dialect=dialect)))


def iter_source(
    path: Path,
    columns: Mapping[str, str],
    need_category: bool,
    batch_rows: int = 16384,
    ids_only: bool = False,
    dialect: Dialect = FOUND_OUT,
) -> Iterator[pa.RecordBatch]:
    """Read a CSV, JSON or Parquet file batch by batch, in constant memory, in file order.

    `columns` maps item_id, title, synopsis and category to the file's names, where they differ. All columns
    are strings; title, synopsis and category keep their nulls. Where the file has no `item_id` and none is
    mapped, the row number (from 1) is the id; without `synopsis` that is null (`notes` has words for both).
    Without `need_category` the category is not read. With `ids_only` the other columns must exist but are not
    read.

    Raises ConvoyError, in most cases before the first batch: no such file, unknown format or encoding, broken
    rows, truncated Parquet, missing columns (naming those present), missing ids (with row numbers), no rows.
    """
    path = Path(path)
    if unknown := set(columns) - set(COLUMNS):
        raise ConvoyError(f"unknown key '{min(unknown)}'", key=COLUMNS_PARAM, expected=shown(COLUMNS))
    check_file(path)
    reader = reader_of(path)
    wanted = COLUMNS if need_category else COLUMNS[:3]

    def choose(names: Sequence[str]) -> dict[str, str]:
        chosen = _choose(path, names, columns, wanted)
        return {"item_id": chosen["item_id"]} if ids_only and "item_id" in chosen else chosen

    batches = _refusing(path, reader(Source(path, dialect), Pick(wanted, choose), batch_rows))
    batches = _with_ids(path, (batch for batch in batches if len(batch)), columns)
    if not ids_only:
        batches = (_complete(batch, wanted) for batch in batches)
    first = next(batches, None)
    if first is None:
        raise ConvoyError("no rows", path=path, expected="at least one item")
    return itertools.chain([first], batches)


def _complete(batch: pa.RecordBatch, wanted: Sequence[str]) -> pa.RecordBatch:
    """The batch with nulls for a column that its file lacks."""
    nulls = pa.nulls(len(batch), pa.string())
    return pa.RecordBatch.from_pydict(
        {name: batch[name] if name in batch.schema.names else nulls for name in wanted}
    )


def notes(path: Path, columns: Mapping[str, str], dialect: Dialect = FOUND_OUT) -> list[str]:
    """What is done where a source has no ids or no synopses, in words; raises errors as `iter_source` does.

    A column that looks like ids, by its name and as its values all differ in the first rows, is named.
    """
    reader, source = reader_of(path), Source(path, dialect)
    names: list[str] = []
    chosen: dict[str, str] = {}

    def see(found: Sequence[str]) -> dict[str, str]:
        chosen.update(_choose(path, found, columns, COLUMNS[:3]))
        names[:] = found
        return chosen

    def first(choose: Callable[[Sequence[str]], dict[str, str]], rows: int) -> pa.RecordBatch | None:
        return next(_refusing(path, reader(source, Pick(COLUMNS[:3], choose), rows)), None)

    first(see, 1)
    words = []
    if "item_id" not in chosen:
        for name in names:
            if not name.strip().lower().endswith("id") or names.count(name) > 1:
                continue
            with contextlib.suppress(ConvoyError):
                batch = first(partial(_only, name), 16384)
                if batch is not None and _look_like_ids(batch["item_id"]):
                    words.append(
                        f"the numbers of the rows are the ids; column '{name}' looks like ids: if so, map "
                        "item_id to it"
                    )
                    break
    if "synopsis" not in chosen:
        words.append(f"no column 'synopsis' among {shown(names)}: the texts are the titles alone")
    return words


def _only(name: str, _names: Sequence[str]) -> dict[str, str]:
    return {"item_id": name}


def _look_like_ids(values: pa.Array) -> bool:
    """Whether each of these values could be an id, and they all differ."""
    if not len(values) or any(pc.any(mask).as_py() for _, mask, _ in _id_faults(values)):
        return False
    return len(pc.unique(values)) == len(values)


@dataclass(frozen=True)
class Items:
    """The items of a catalogue file, a cleaned one or a source, as `embeddings.write_io.write` reads them."""

    path: Path
    columns: Mapping[str, str]
    """Our names to the file's, as in `iter_source`."""
    dialect: Dialect = FOUND_OUT

    def batches(self, rows: int, ids_only: bool = False) -> Iterator[pa.RecordBatch]:
        """Batches of item_id, title, synopsis; see `iter_source`."""
        return iter_source(self.path, self.columns, False, rows, ids_only, self.dialect)

    def sources(self) -> list[str] | None:
        """sha256 of the source of a cleaned catalogue; empty for a synthetic one, None for a source file."""
        if self.path.suffix.lower() != ".parquet":
            return None
        facts = (pyarrow.parquet.read_schema(self.path).metadata or {}).get(FACTS)
        if facts is None:
            return None
        source = stored_facts(self.path, facts)["source_sha256"]
        return [source] if source else []


def _choose(
    path: Path, names: Sequence[str], columns: Mapping[str, str], wanted: Sequence[str]
) -> dict[str, str]:
    """The file's name of each wanted column; item_id and synopsis may be missing if they are not mapped."""
    found = {name: same_name(names, columns.get(name, name)) for name in wanted}
    missing = {
        name: columns.get(name, name)
        for name, own in found.items()
        if not own and (name in columns or name not in ("item_id", "synopsis"))
    }
    if missing:
        raise ConvoyError(
            f"no column {', '.join(_called(*pair) for pair in missing.items())}; its columns are "
            f"{shown(names)}",
            path=path, key=COLUMNS_PARAM, hint=f"name the right ones in {KEY}",
        )  # fmt: skip
    chosen: dict[str, str] = {}
    for name, own in found.items():
        if len(own) > 1:
            raise ConvoyError(
                f"{len(own)} columns are called {_called(name, columns.get(name, name))}: {shown(own)}",
                path=path,
            )
        if own:
            if other := next((other for other in chosen if chosen[other] == own[0]), None):
                raise ConvoyError(f"column '{own[0]}' is mapped to both {other} and {name}", path=path)
            chosen[name] = own[0]
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
                    f"{fault} in row{'s' if len(rows) > 1 else ''} {shown(rows)}",
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
            f"cannot be read as {path.suffix[1:]}: {reason(error).rstrip('.')}",
            path=path, hint="check it, or write it again",
        ) from None  # fmt: skip


def _called(name: str, column: str) -> str:
    return f"'{column}'" if name == column else f"'{column}' ({name})"
