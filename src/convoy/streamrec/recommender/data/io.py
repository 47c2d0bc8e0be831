"""Interactions on disk: impressions and clicks with their split, and the users."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_directory, check_manifest, write_manifest
from convoy.core.printable import reason

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLITS = ("train", "validation", "test")
NONE = "none"
"""Source of a real catalogue without a file of interactions."""
EVENTS_FILE, USERS_FILE = "events.parquet", "users.parquet"
EVENTS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("time", pa.int64(), nullable=False),
        pa.field("click", pa.bool_(), nullable=False),
        pa.field("position", pa.int32(), nullable=True),
        pa.field("sampled", pa.bool_(), nullable=False),
        pa.field("split", pa.uint8(), nullable=False),
    ]
)
USERS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("age", pa.int32(), nullable=True),
        pa.field("tier", pa.string(), nullable=True),
    ]
)
_AGAIN = "run `dvc repro streamrec-interactions` to make it again"


@dataclass(frozen=True, eq=False)
class Interactions:
    """Events in the order of time, then of user and item ids; and the users, in the order of ids.

    events: user_id, item_id, time (s since 1970), click, position in the list of impressions (from 1; null
    where it is not known), sampled (a negative that no user has seen), split (0 train, 1 validation, 2 test).
    users: user_id, age, tier; both may be null.
    """

    events: pa.Table
    users: pa.Table
    facts: dict[str, Any]


def write(folder: Path, interactions: Interactions) -> None:
    """Write the folder as a whole, its manifest last; the same interactions give the same bytes."""
    with atomic_directory(folder) as partial:
        for name, table, schema in (
            (EVENTS_FILE, interactions.events, EVENTS),
            (USERS_FILE, interactions.users, USERS),
        ):
            pq.write_table(
                table.select(schema.names).cast(schema), partial / name, compression="zstd",
                write_page_checksum=True,
            )  # fmt: skip
        write_manifest(partial, facts=interactions.facts)


def read(folder: Path) -> Interactions:
    """Read what `write` wrote after checking every checksum; ConvoyError for anything else."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ConvoyError("no such folder of interactions", path=folder, hint=_AGAIN)
    manifest = check_manifest(folder)
    facts = manifest.get("facts")
    if {EVENTS_FILE, USERS_FILE} - set(manifest["files"]) or not isinstance(facts, dict):
        raise ConvoyError("not a folder of interactions", path=folder, hint=_AGAIN)
    return Interactions(_table(folder / EVENTS_FILE, EVENTS), _table(folder / USERS_FILE, USERS), facts)


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ConvoyError(reason(error), path=path, hint=_AGAIN) from None
    if table.schema.remove_metadata() != schema:
        raise ConvoyError(
            path=path, expected=f"the columns {', '.join(schema.names)}",
            found=", ".join(table.column_names), hint=_AGAIN,
        )  # fmt: skip
    return table
