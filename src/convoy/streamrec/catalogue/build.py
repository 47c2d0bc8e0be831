"""The catalogue: a source's rows cleaned, labelled and counted, as one table."""

import hashlib
from collections import Counter
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut
from convoy.streamrec.catalogue import cleaning
from convoy.streamrec.catalogue.params import CatalogueParams

OTHER = "other"
# More labels than this, and than half the rows, are not categories: probably columns are swapped.
MOST_LABELS = 100
ROWS_SHOWN = 10
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def build(table: pa.Table, params: CatalogueParams) -> tuple[pa.Table, dict[str, Any]]:
    """Clean `table` (item_id, title, synopsis, category: strings) and count what was mended.

    Returns item_id, title, synopsis, category, text_sha256 in the order of the source, without nulls, and
    the report. The category is "" where it was dropped: such items are embedded and not trained on. Raises
    ConvoyError for repeated ids, rows without a category (unless they are dropped), labels that are no
    categories, fewer than two categories, synopses that are all empty.
    """
    refuse_repeated_ids(table["item_id"], params.source)
    rows_read = len(table)
    labels, mended_labels = _labels(table["category"], params)
    table, left_out = _settle_categories(table, labels, params)

    titles, mended_titles = _clean(table["title"], params.max_characters)
    synopses, mended_synopses = _clean(table["synopsis"], params.max_characters)
    # A source without synopses has nulls throughout.
    needed = ("title", titles) if table["synopsis"].null_count == len(table) else ("synopsis", synopses)
    if not pc.any(pc.not_equal(needed[1], "")).as_py():
        raise ConvoyError(
            f"{_column(params, needed[0])} is {_empty(table[needed[0]])} in all {len(table):,} rows",
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


def facts(report: dict[str, Any], params: CatalogueParams, source_sha256: str | None) -> dict[str, Any]:
    """What the metadata of a catalogue state: its source, and where it differs from most.

    text: `title` where the source has no synopses. dropped: items without a category, where there are any.
    """
    found = {
        "source": report["source"],
        "source_sha256": source_sha256,
        "max_characters": params.max_characters,
    }
    if report["nulls"]["synopsis"] == report["rows_kept"]:
        found["text"] = "title"
    if dropped := n_dropped(report):
        found["dropped"] = dropped
    return found


def n_dropped(report: dict[str, Any]) -> int:
    """Items without a category."""
    dropped: dict[str, int] = report["dropped"]
    return dropped["items"] + dropped["items_without_category"]


def summary(report: dict[str, Any]) -> str:
    """The report of `build` in three lines, for the log."""
    mended = Counter[str]()
    for counts in report["mended"].values():
        mended.update(counts)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in mended.items() if count) or "nothing"
    sizes, equal = report["categories"], report["equal_texts"]
    return (
        f"catalogue of {report['source']}: {report['rows_kept']:,} rows in "
        f"{len(sizes)} categories of {min(sizes.values()):,} to {max(sizes.values()):,}\n"
        f"mended: {kinds}\n"
        f"empty texts: {report['empty_texts']:,}; equal texts: {equal['items']:,} in {equal['groups']:,} "
        f"groups; folded into {OTHER}: {report['folded']['items']:,}; without a "
        f"category, embedded but not trained on: {n_dropped(report):,}"
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
    """The rows with their final categories, "" where dropped, and counts of folded and dropped rows."""
    unlabelled = pc.is_null(labels)
    n_unlabelled = pc.sum(unlabelled).as_py()
    column = _column(params, "category")
    if n_unlabelled == len(table):
        raise ConvoyError(
            f"{column} is {_empty(table['category'])} in all {len(table):,} rows", path=params.source
        )
    dropping = params.small_categories == "drop"
    if n_unlabelled and not (params.unlabelled == "drop" or (params.unlabelled == "auto" and dropping)):
        raise ConvoyError(
            f"{column} is {_empty(table['category'].filter(unlabelled))} in {_rows(unlabelled)}",
            path=params.source,
            hint="fill it, or set unlabelled to drop",
        )
    sizes = _sizes(labels)
    small = [name for name, size in sizes.items() if size < params.min_category_size]
    if not dropping:
        small = [name for name in small if name != OTHER]
    is_small = pc.is_in(labels, pa.array(small, pa.string()))
    changed = {"categories": len(small), "items": sum(sizes[name] for name in small)}
    if small:
        labels = pc.if_else(is_small, "" if dropping else OTHER, labels)
    labels = pc.fill_null(labels, "")
    table = table.set_column(table.schema.get_field_index("category"), "category", labels)
    _refuse_no_categories(_sizes(labels), len(sizes), column, params)
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
    """Items of each category, without those that have none."""
    counts = pc.value_counts(categories).to_pylist()
    return {pair["values"]: pair["counts"] for pair in counts if pair["values"]}


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
