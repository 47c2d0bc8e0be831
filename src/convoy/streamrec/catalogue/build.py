"""The catalogue: a source's rows cleaned, labelled and counted, as one table."""

import hashlib
from collections import Counter
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.core.printable import cut
from convoy.streamrec.catalogue import cleaning
from convoy.streamrec.synthetic.items import SyntheticParams

SYNTHETIC = "synthetic"
OTHER = "other"
# More labels than this, and than half the rows, are not categories: probably columns are swapped.
MOST_LABELS = 100
ROWS_SHOWN = 10
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Columns(Section):
    """Column names of the source, where they differ from ours."""

    item_id: str | None = Field(
        default=None, min_length=1, description="null: `item_id` if the file has it, else the row number."
    )
    title: str | None = Field(default=None, min_length=1, description="null: `title`; values may be empty.")
    synopsis: str | None = Field(default=None, min_length=1, description="null: `synopsis`.")
    category: str | None = Field(
        default=None, min_length=1, description="null: `category`; a label or a list of them."
    )


class CatalogueParams(Section):
    """Where the catalogue comes from and how it is cleaned."""

    source: str = Field(
        default=SYNTHETIC,
        min_length=1,
        description="`synthetic`, or the path of a CSV, JSON lines or Parquet file.",
    )
    columns: Columns = Field(
        default=Columns(), description="For a file: the name in the file of each column, where it differs."
    )
    category_separator: str | None = Field(
        default=None,
        min_length=1,
        description="Text between several labels of a row, of which the first is used.",
    )
    min_category_size: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="Categories with fewer items are small, see `small_categories`.",
    )
    small_categories: Literal["fold", "drop"] = Field(
        default="fold",
        description="fold: small categories become `other`, a row without a category is an error; "
        "drop: items of both kinds are left out.",
    )
    max_characters: int = Field(
        default=20_000, ge=10, le=200_000, description="Longer titles and synopses are cut."
    )
    synthetic: SyntheticParams = Field(
        default=SyntheticParams.model_validate({}),
        description="For `source: synthetic`; null: the value of the preset.",
    )

    def column_names(self) -> dict[str, str]:
        """The names that differ, by ours."""
        return self.columns.model_dump(exclude_none=True)


def build(table: pa.Table, params: CatalogueParams) -> tuple[pa.Table, dict[str, Any]]:
    """Clean `table` (item_id, title, synopsis, category: strings) and count what was mended.

    Returns item_id, title, synopsis, category, text_sha256 in the order of the source, without nulls, and
    the report. Raises ConvoyError for repeated ids, rows without a category (unless small categories
    are dropped), labels that are no categories, fewer than two categories, synopses that are all empty.
    """
    refuse_repeated_ids(table["item_id"], params.source)
    rows_read = len(table)
    labels, mended_labels = _labels(table["category"], params)
    table, left_out = _settle_categories(table, labels, params)

    titles, mended_titles = _clean(table["title"], params.max_characters)
    synopses, mended_synopses = _clean(table["synopsis"], params.max_characters)
    if not pc.any(pc.not_equal(synopses, "")).as_py():
        raise ConvoyError(
            f"{_column(params, 'synopsis')} is {_empty(table['synopsis'])} in all {len(table):,} rows",
            path=params.source,
        )
    built = pa.table(
        {
            "item_id": table["item_id"],
            "title": titles,
            "synopsis": synopses,
            "category": table["category"],
            "text_sha256": _hashes(titles, synopses),
        }
    )
    report = {
        "source": PurePath(params.source).name,
        "rows_read": rows_read,
        "rows_kept": len(built),
        "nulls": {name: table[name].null_count for name in ("title", "synopsis")},
        "mended": {"title": mended_titles, "synopsis": mended_synopses, "category": mended_labels},
        **_same_and_empty_texts(built),
        **left_out,
        "categories": _sizes(built["category"]),
    }
    return built, report


def summary(report: dict[str, Any]) -> str:
    """The report of `build` in three lines, for the log."""
    mended = Counter[str]()
    for counts in report["mended"].values():
        mended.update(counts)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in mended.items() if count) or "nothing"
    sizes, equal, dropped = report["categories"], report["equal_texts"], report["dropped"]
    return (
        f"catalogue of {report['source']}: {report['rows_kept']:,} of {report['rows_read']:,} rows in "
        f"{len(sizes)} categories of {min(sizes.values()):,} to {max(sizes.values()):,}\n"
        f"mended: {kinds}\n"
        f"empty texts: {report['empty_texts']:,}; equal texts: {equal['items']:,} in {equal['groups']:,} "
        f"groups; folded into {OTHER}: {report['folded']['items']:,}; dropped: "
        f"{dropped['items'] + dropped['items_without_category']:,}"
    )


def refuse_repeated_ids(ids: pa.ChunkedArray, source: str) -> None:
    """Raise ConvoyError with the first id that occurs more than once and its rows (from 1).

    Ids that differ only in blanks at the ends count as equal: a reader that strips them must not mix up
    items.
    """
    stripped = pc.utf8_trim_whitespace(ids)
    counts = pc.value_counts(stripped)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if not len(repeated):
        return
    first = repeated[0].as_py()
    same = pc.equal(stripped, first)
    how = " with other blanks at the ends" if pc.any(pc.not_equal(ids.filter(same), first)).as_py() else ""
    others = f", and {len(repeated) - 1:,} more ids are repeated" if len(repeated) > 1 else ""
    raise ConvoyError(
        f"item_id '{cut(first, 60)}' occurs in {_rows(same)}{how}{others}",
        path=source,
        hint="make ids unique",
    )


def _labels(column: pa.ChunkedArray, params: CatalogueParams) -> tuple[pa.ChunkedArray, dict[str, int]]:
    """First label of each row, cleaned (null where there is none), and the rows mended by kind."""
    counts: Counter[str] = Counter(dict.fromkeys(cleaning.KINDS, 0))
    found = pc.value_counts(column)
    labels = []
    for value, rows in zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True):
        label, kinds = cleaning.mend(_first_label(value, params.category_separator), params.max_characters)
        labels.append(label or None)
        counts.update(dict.fromkeys(kinds, rows))
    places = pc.index_in(column, found.field("values"))
    return pa.chunked_array([pa.array(labels, pa.string())]).take(places), dict(counts)


def _first_label(value: str | None, separator: str | None) -> str:
    # Entities first: a separator `;` must not split `&amp;`.
    value = cleaning.unescape(value or "")
    if separator is None:
        return value
    return next((label for part in value.split(separator) if (label := part.strip())), "")


def _settle_categories(
    table: pa.Table, labels: pa.ChunkedArray, params: CatalogueParams
) -> tuple[pa.Table, dict[str, Any]]:
    """The rows that are kept, their final categories, and counts of folded and dropped rows."""
    unlabelled = pc.is_null(labels)
    n_unlabelled = pc.sum(unlabelled).as_py()
    column = _column(params, "category")
    if n_unlabelled == len(table):
        raise ConvoyError(
            f"{column} is {_empty(table['category'])} in all {len(table):,} rows", path=params.source
        )
    dropping = params.small_categories == "drop"
    if n_unlabelled and not dropping:
        raise ConvoyError(
            f"{column} is {_empty(table['category'].filter(unlabelled))} in {_rows(unlabelled)}",
            path=params.source,
            hint="fill it, or set small_categories to drop",
        )
    table = table.set_column(table.schema.get_field_index("category"), "category", labels)
    table = table.filter(pc.invert(unlabelled))

    sizes = _sizes(table["category"])
    small = [name for name, size in sizes.items() if size < params.min_category_size]
    if not dropping:
        small = [name for name in small if name != OTHER]
    is_small = pc.is_in(table["category"], pa.array(small, pa.string()))
    changed = {"categories": len(small), "items": sum(sizes[name] for name in small)}
    if dropping:
        table = table.filter(pc.invert(is_small))
    elif small:
        folded = pc.if_else(is_small, OTHER, table["category"])
        table = table.set_column(table.schema.get_field_index("category"), "category", folded)
    _refuse_no_categories(_sizes(table["category"]), len(sizes), column, params)
    nothing = {"categories": 0, "items": 0}
    return table, {
        "dropped": {**(changed if dropping else nothing), "items_without_category": n_unlabelled},
        # `other` may be a label of the source: the folded items are then added to it.
        "folded": {**(nothing if dropping else changed), "items_other_before": sizes.get(OTHER, 0)},
    }


def _refuse_no_categories(sizes: dict[str, int], n_before: int, column: str, params: CatalogueParams) -> None:
    items = sum(sizes.values())
    if len(sizes) > max(MOST_LABELS, items / 2):
        raise ConvoyError(
            f"{column} holds {len(sizes):,} different labels in {items:,} rows, so hardly categories",
            path=params.source,
            hint="map another column, or set category_separator or min_category_size",
        )
    if len(sizes) < 2:
        names = ", ".join(f"'{name[:60]}'" for name in sizes) or "none"
        raise ConvoyError(
            f"fewer than two categories are left ({names}) of {n_before:,} with min_category_size "
            f"{params.min_category_size} and small_categories {params.small_categories}",
            path=params.source,
            key=column,
            expected="two or more",
        )


def _clean(column: pa.ChunkedArray, max_characters: int) -> tuple[pa.ChunkedArray, dict[str, int]]:
    # Chunk by chunk: all texts together may exceed the 2 GiB of one Arrow string array.
    counts: Counter[str] = Counter(dict.fromkeys(cleaning.KINDS, 0))
    chunks = []
    for chunk in column.chunks:
        cleaned, mended = cleaning.clean_column(chunk, max_characters)
        chunks.append(cleaned)
        counts.update(mended)
    return pa.chunked_array(chunks, pa.string()), dict(counts)


def _hashes(titles: pa.ChunkedArray, synopses: pa.ChunkedArray) -> pa.ChunkedArray:
    pairs = zip(titles.chunks, synopses.chunks, strict=True)
    return pa.chunked_array([pa.array(cleaning.texts_and_hashes(*pair)[1], pa.string()) for pair in pairs])


def _same_and_empty_texts(built: pa.Table) -> dict[str, Any]:
    """Items without a text, and groups of items with the same one."""
    is_empty = pc.equal(built["text_sha256"], EMPTY_SHA256)
    texts = built.filter(pc.invert(is_empty)).group_by("text_sha256", use_threads=False)
    groups = texts.aggregate([("item_id", "count"), ("category", "count_distinct")])
    groups = groups.filter(pc.greater(groups["item_id_count"], 1))
    return {
        "empty_texts": pc.sum(is_empty).as_py(),
        "equal_texts": {
            "groups": len(groups),
            "items": pc.sum(groups["item_id_count"]).as_py() or 0,
            "groups_of_several_categories": pc.sum(pc.greater(groups["category_count_distinct"], 1)).as_py()
            or 0,
        },
    }


def _sizes(categories: pa.ChunkedArray) -> dict[str, int]:
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(categories).to_pylist()}


def _column(params: CatalogueParams, name: str) -> str:
    own = params.column_names().get(name, name)
    return f"column '{own}'" if own == name else f"column '{own}' ({name})"


def _empty(values: pa.ChunkedArray) -> str:
    """Words for a message: whether values were empty in the source or only after cleaning."""
    full = values.filter(pc.not_equal(pc.utf8_trim_whitespace(values), ""))
    # Quoted by repr, since what cleaning removes may be a control character.
    return f"empty after cleaning (it was {full[0].as_py()[:60]!r})" if len(full) else "empty"


def _rows(mask: pa.ChunkedArray) -> str:
    """The rows (from 1) where `mask` is true, in words."""
    rows = np.flatnonzero(mask.to_numpy()) + 1
    shown = ", ".join(str(row) for row in rows[:ROWS_SHOWN])
    more = f" and {len(rows) - ROWS_SHOWN:,} more" if len(rows) > ROWS_SHOWN else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"
