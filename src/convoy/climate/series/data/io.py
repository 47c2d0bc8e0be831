"""The folder of site-years: values.npy, rows.parquet, series.json and the manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from convoy.climate.series.data.site_years import DAYS, SiteYears, texts
from convoy.core.errors import ConvoyError
from convoy.core.files import (
    atomic_directory,
    atomic_file,
    check_manifest,
    read_json,
    write_json,
    write_manifest,
)
from convoy.core.printable import cut, reason

VALUES, ROWS, FACTS = "values.npy", "rows.parquet", "series.json"
AGAIN = "make it again with `dvc repro -f climate-series`"
_SCHEMA = pa.schema([
    ("site", pa.string()), ("year", pa.int64()), ("label", pa.string()), ("split", pa.string()),
    ("latitude", pa.float64()), ("interpolated", pa.int64()),
])  # fmt: skip


def write(folder: Path, held: SiteYears, facts: Mapping[str, Any]) -> None:
    """Write the folder as a whole; `facts` (source, counts of what was left out) go into series.json."""
    columns = [getattr(held, name) for name in _SCHEMA.names]
    table = pa.table([pa.array(column) for column in columns], schema=_SCHEMA)
    with atomic_directory(folder) as partial:
        np.save(partial / VALUES, np.ascontiguousarray(held.values), allow_pickle=False)
        pq.write_table(table, partial / ROWS, compression="zstd", write_page_checksum=True)
        named = {"variables": held.variables, "categories": held.categories}
        write_json(partial / FACTS, {"schema": 1, **facts, **named})
        write_manifest(partial)


def read(folder: Path) -> SiteYears:
    """The site-years of a folder; ConvoyError where it is not whole or its parts do not fit together."""
    facts = read_facts(folder)
    rows = _table(folder / ROWS)
    if rows.schema != _SCHEMA:
        raise _unfit(folder / ROWS, f"columns {', '.join(_SCHEMA.names)}", ", ".join(rows.column_names))
    variables, categories = _names(folder, facts, "variables"), _names(folder, facts, "categories")
    if len(set(categories)) != len(categories):
        raise _unfit(folder / FACTS, "each category once", cut(", ".join(categories), 100))
    if empty := [name for name in rows.column_names if rows[name].null_count]:
        raise _unfit(folder / ROWS, "no empty cell", f"one in '{empty[0]}'")
    if unknown := set(pc.unique(rows["label"]).to_pylist()) - set(categories):
        raise _unfit(folder / ROWS, "labels among the categories", min(unknown))
    shape = (len(rows), len(variables), DAYS)
    # Mapped first: a header with another shape must not take memory.
    try:
        mapped = np.load(folder / VALUES, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ConvoyError(f"not an array ({reason(error)})", path=folder / VALUES, hint=AGAIN) from None
    if mapped.shape != shape or mapped.dtype != np.float32:
        found = f"{mapped.dtype.name} {list(mapped.shape)}"
        raise _unfit(folder / VALUES, f"float32 {list(shape)}", found)
    column = {name: rows[name] for name in rows.column_names}
    return SiteYears(
        variables=variables, categories=categories, values=np.array(mapped),
        site=texts(column["site"].to_pylist()), year=column["year"].to_numpy(),
        label=texts(column["label"].to_pylist()), split=texts(column["split"].to_pylist()),
        latitude=column["latitude"].to_numpy(), interpolated=column["interpolated"].to_numpy(),
    )  # fmt: skip


def read_facts(folder: Path) -> dict[str, Any]:
    """The content of series.json, after comparing every file with the manifest."""
    if not Path(folder).is_dir():
        raise ConvoyError("no such folder", path=folder, hint=AGAIN)
    check_manifest(folder)
    facts = read_json(folder / FACTS)
    if not isinstance(facts, dict):
        raise _unfit(folder / FACTS, "keys and values", type(facts).__name__)
    return facts


def write_truth(path: Path, item_ids: list[str], categories: tuple[str, ...], posterior: npt.NDArray) -> None:
    """Write each item's exact probabilities, a column per category; no rows where they are not known."""
    columns = {name: pa.array(posterior[:, number]) for number, name in enumerate(categories)}
    table = pa.table({"item_id": pa.array(item_ids, pa.string()), **columns})
    with atomic_file(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)


def read_truth(path: Path) -> pa.Table:
    """The table of `write_truth`; ConvoyError where it is missing or broken."""
    return _table(path)


def _table(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except FileNotFoundError:
        raise ConvoyError("no such file", path=path, hint=AGAIN) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ConvoyError(f"not a whole Parquet file ({reason(error)})", path=path, hint=AGAIN) from None


def _names(folder: Path, facts: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = facts.get(key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise _unfit(folder / FACTS, f"a list of names as '{key}'", str(names))
    return tuple(names)


def _unfit(path: Path, expected: str, found: str) -> ConvoyError:
    return ConvoyError(path=path, expected=expected, found=found, hint=AGAIN)
