"""Real interactions cleaned: ids mapped, times in seconds, ratings turned into clicks, negatives drawn."""

from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from convoy.core.errors import ConvoyError
from convoy.core.printable import cut
from convoy.streamrec.recommender.params import InteractionsParams

# Powers of ten between the units of times since 1970: 1e11 s is in the year 5138, 1e11 ms in 1973.
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_UNIT_BOUNDS = (1e11, 1e14, 1e17)
_LATEST = 1e20  # ns, and no time in any unit
_TRUE, _FALSE = ("1", "1.0", "true", "t", "yes"), ("0", "0.0", "false", "f", "no")


def clean(
    raw: pa.Table, item_ids: pa.Array, id_map: pa.Table | None, params: InteractionsParams
) -> tuple[pa.Table, dict[str, Any]]:
    """Events (user_id, item_id, time, click, position, sampled) of a file, and counts of what was mended.

    `item_ids` are those of the catalogue. Left out and counted: rows without an id, a time or a rating, items
    that the catalogue lacks, repeated events, times of another unit than most. Raises ConvoyError for text
    where a number is expected, and where no row is left.
    """
    counts: dict[str, Any] = {"rows_read": len(raw)}
    table, counts["missing_ids"] = _kept(raw, _filled(raw["user_id"], raw["item_id"]))
    if id_map is not None:
        of_catalogue = pc.index_in(table["item_id"], value_set=id_map["of_interactions"].combine_chunks())
        counts["without_mapped_id"] = of_catalogue.null_count
        mapped = id_map["of_catalogue"].take(of_catalogue)
        table = table.set_column(table.schema.get_field_index("item_id"), "item_id", mapped)
        table = table.filter(pc.is_valid(mapped))
    known = pc.is_in(table["item_id"], value_set=item_ids)
    counts |= _strays(table, known, item_ids)
    if not pc.any(known).as_py():
        raise ConvoyError(
            f"none of the {len(raw):,} rows has an item of the catalogue", path=params.source,
            found=_why(table, item_ids, counts), hint="check columns and id_map",
        )  # fmt: skip
    table, counts["unknown_items"] = _kept(table, known)
    time, unit, other = _seconds(table["timestamp"], params)
    counts |= {"time_unit": unit, "times_of_other_units": int(other.sum())}
    click, positives_only = _clicks(table, params)
    usable = ~other & np.isfinite(time) & np.isfinite(click)
    counts["missing_times"] = int((~np.isfinite(time)).sum())
    counts["missing_ratings"] = int((~np.isfinite(click)).sum())
    events = pa.table(
        {
            "user_id": table["user_id"],
            "item_id": table["item_id"],
            "time": pa.array(np.where(usable, time, 0).astype(np.int64)),
            "click": pa.array(click > 0),
            "position": _positions(table, params),
        }
    ).filter(pa.array(usable))
    events, counts["repeated"] = _once(events)
    if len(events) == 0:
        lacking = {name: count for name, count in counts.items() if name.startswith("missing_") and count}
        found = ", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in lacking.items())
        raise ConvoyError(
            f"none of the {len(raw):,} rows has an id, a time since 1970 and a rating",
            path=params.source, found=found,
        )  # fmt: skip
    counts["positives_only"] = positives_only
    return (_with_negatives(events, params) if positives_only else events), counts


def _kept(table: pa.Table, mask: Any) -> tuple[pa.Table, int]:
    kept = table.filter(mask)
    return kept, len(table) - len(kept)


def _filled(*columns: pa.ChunkedArray) -> Any:
    lengths = (pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(column, ""))) for column in columns)
    masks = [pc.greater(length, 0) for length in lengths]
    return masks[0] if len(masks) == 1 else pc.and_(*masks)


def _strays(table: pa.Table, known: Any, item_ids: pa.Array) -> dict[str, int]:
    """Rows whose item is unknown and would be known if leading zeros had been kept."""
    stray = table["item_id"].filter(pc.invert(known))
    stripped = pc.utf8_ltrim(item_ids.filter(pc.starts_with(item_ids, "0")), "0")
    stripped = pc.if_else(pc.equal(stripped, ""), "0", stripped)
    return {"lost_zeros": int(pc.sum(pc.is_in(stray, value_set=stripped)).as_py() or 0)}


def _why(table: pa.Table, item_ids: pa.Array, counts: dict[str, Any]) -> str:
    if pc.any(pc.is_in(table["user_id"], value_set=item_ids)).as_py():
        return "items in the column of users; the two columns are swapped"
    if counts["lost_zeros"]:
        return "ids that lost their leading zeros; write them as text"
    first = table["item_id"][0].as_py() if len(table) else ""
    if pc.is_in(pa.scalar(normalize("NFC", first.strip())), value_set=item_ids).as_py():
        return f"'{cut(first, 40)}', an id of the catalogue with blanks or in another Unicode form than NFC"
    return f"'{cut(first, 40)}' where the catalogue has '{cut(item_ids[0].as_py(), 40)}'"


def _numbers(column: pa.ChunkedArray, name: str, params: InteractionsParams) -> npt.NDArray[np.float64]:
    """Numbers of a column of text, NaN where there is none; ConvoyError naming the first other text."""
    texts = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    texts = pc.if_else(pc.equal(texts, ""), "nan", texts)
    try:
        return np.asarray(pc.cast(texts, pa.float64()).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        number = pc.match_substring_regex(texts, r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$|^[nN]a[nN]$")
        wrong = texts.filter(pc.invert(number))
        found = wrong[0].as_py() if len(wrong) else "text"
        raise ConvoyError(
            path=params.source, key=f"column '{getattr(params.columns, name) or name}'", expected="numbers",
            found=f"'{cut(found, 60)}'",
        ) from None  # fmt: skip


def _seconds(
    column: pa.ChunkedArray, params: InteractionsParams
) -> tuple[npt.NDArray[np.float64], str, npt.NDArray[np.bool_]]:
    """Times in seconds, the unit of most of them, and which ones are in another."""
    values = _numbers(column, "timestamp", params)
    values = np.where((values > 0) & (values < _LATEST), values, np.nan)
    kind = np.digitize(np.where(np.isfinite(values), values, 0), _UNIT_BOUNDS)
    known = np.isfinite(values)
    most = int(np.bincount(kind[known], minlength=len(UNITS)).argmax()) if known.any() else 0
    unit = list(UNITS)[most]
    return np.floor(values / UNITS[unit]), unit, known & (kind != most)


def _clicks(table: pa.Table, params: InteractionsParams) -> tuple[npt.NDArray[np.float64], bool]:
    """1 or 0 for each row, NaN where it is not known; and whether the file holds clicks only."""
    if "click" in table.column_names:
        texts = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(table["click"], "")))
        yes, no = (pc.is_in(texts, value_set=pa.array(words)).to_numpy() for words in (_TRUE, _FALSE))
        odd = texts.filter(pa.array(~yes & ~no & pc.not_equal(texts, "").to_numpy()))
        if len(odd):
            raise ConvoyError(
                path=params.source, key=f"column '{params.columns.click or 'click'}'",
                expected="0, 1, true or false", found=f"'{cut(odd[0].as_py(), 60)}'",
            )  # fmt: skip
        click = np.where(yes, 1.0, np.where(no, 0.0, np.nan))
    elif "rating" in table.column_names:
        rating = _numbers(table["rating"], "rating", params)
        click = np.where(np.isfinite(rating), rating >= params.min_rating, np.nan)
        return click, False
    else:
        click = np.ones(len(table))
    return click, bool(np.nanmin(click, initial=1.0) == 1.0)


def _positions(table: pa.Table, params: InteractionsParams) -> pa.Array:
    if "position" not in table.column_names:
        return pa.nulls(len(table), pa.int32())
    values = _numbers(table["position"], "position", params)
    known = np.isfinite(values) & (np.abs(values) < 2**31)
    return pa.array(np.where(known, values, 0).astype(np.int32), mask=~known)


def _once(events: pa.Table) -> tuple[pa.Table, int]:
    """Of events of one user, item and time the first, clicked where one of them is."""
    keys = ["user_id", "item_id", "time"]
    grouped = events.group_by(keys, use_threads=False).aggregate([("click", "max"), ("position", "first")])
    once = grouped.rename_columns({"click_max": "click", "position_first": "position"})
    return once.combine_chunks(), len(events) - len(once)


def _with_negatives(events: pa.Table, params: InteractionsParams) -> pa.Table:
    """The clicks, and for each of them `negatives` items that had appeared by then, drawn at random.

    Items that the user clicks at any time are not drawn for them. A drawn event has the time of its click.
    """
    rng = np.random.default_rng(params.seed)
    users = pc.index_in(events["user_id"], value_set=pc.unique(events["user_id"])).to_numpy()
    names = pc.unique(events["item_id"])
    items = pc.index_in(events["item_id"], value_set=names).to_numpy()
    time = events["time"].to_numpy()
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, items, time)
    by_arrival = np.argsort(first, kind="stable")
    there = np.searchsorted(first[by_arrival], time, side="right")
    row = np.repeat(np.arange(len(events)), params.negatives)
    drawn = by_arrival[(rng.random(len(row)) * there[row]).astype(np.int64)]
    clicked = np.unique(users.astype(np.int64) * len(names) + items)
    pairs = users[row].astype(np.int64) * len(names) + drawn
    _, alone = np.unique(np.stack([pairs, time[row]], axis=1), axis=0, return_index=True)
    kept = np.zeros(len(row), bool)
    kept[alone] = True
    kept &= ~np.isin(pairs, clicked)
    negatives = pa.table(
        {
            "user_id": events["user_id"].take(pa.array(row[kept])),
            "item_id": names.take(pa.array(drawn[kept])),
            "time": pa.array(time[row[kept]]),
            "click": pa.array(np.zeros(kept.sum(), bool)),
            "position": pa.nulls(int(kept.sum()), pa.int32()),
            "sampled": pa.array(np.ones(kept.sum(), bool)),
        }
    )
    real = events.append_column("sampled", pa.array(np.zeros(len(events), bool)))
    return pa.concat_tables([real, negatives.select(real.column_names)])
