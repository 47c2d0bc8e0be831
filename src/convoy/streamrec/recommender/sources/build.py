"""Interactions from any source: sorted, split by time, counted."""

from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from convoy.streamrec.catalogue.synthetic.interactions import draw_interactions
from convoy.streamrec.recommender.data.io import (
    EVENTS,
    NONE,
    SPLITS,
    TEST,
    TRAIN,
    USERS,
    VALIDATION,
    Interactions,
)
from convoy.streamrec.recommender.params import SYNTHETIC, InteractionsParams
from convoy.streamrec.recommender.sources.cleaning import clean

NO_EVENTS = pa.schema([field for field in EVENTS if field.name not in ("sampled", "split")]).empty_table()
ORDER = [("time", "ascending"), ("user_id", "ascending"), ("item_id", "ascending")]


def drawn(truth: pa.Table, params: InteractionsParams) -> Interactions:
    """Synthetic interactions with the items of `truth`; none for a real catalogue, without known taste."""
    if len(truth) == 0:
        return build(NO_EVENTS, USERS.empty_table(), params, {"source": NONE})
    taste = taste_vectors(truth)
    made = draw_interactions(truth["item_id"].combine_chunks(), taste, params.synthetic)
    return build(made.events, made.users, params, {"source": SYNTHETIC})


def taste_vectors(truth: pa.Table) -> npt.NDArray[np.float32]:
    """The taste vectors (N, 16) of a truth with rows, in its order."""
    flat = truth["taste"].combine_chunks().flatten().to_numpy()
    return flat.reshape(len(truth), -1)


def read_real(
    raw: pa.Table, item_ids: pa.Array, id_map: pa.Table | None, params: InteractionsParams
) -> Interactions:
    """Interactions of a file, as `sources_io.read_events` returns it, cleaned; see `cleaning.clean`."""
    events, counts = clean(raw, item_ids, id_map, params)
    name = PurePath(params.source).name
    return build(events, USERS.empty_table(), params, {"source": name, "cleaned": counts})


def build(
    events: pa.Table, users: pa.Table, params: InteractionsParams, facts: dict[str, Any]
) -> Interactions:
    """Events (user_id, item_id, time, click, position, sampled) in the order of time, with their splits.

    Users without a row in `users` (user_id, age, tier) get one without age and tier. `facts` are kept.
    """
    if "sampled" not in events.column_names:
        events = events.append_column("sampled", pa.array(np.zeros(len(events), bool)))
    events = events.sort_by(ORDER).combine_chunks()
    split = splits(events["time"].to_numpy(), params.train_share, params.validation_share)
    events = events.append_column("split", pa.array(split)).select(EVENTS.names).cast(EVENTS)
    known = pc.is_in(pc.unique(events["user_id"]), value_set=users["user_id"])
    unknown = pc.unique(events["user_id"]).filter(pc.invert(known))
    bare = {"user_id": unknown} | {
        name: pa.nulls(len(unknown), USERS.field(name).type) for name in ("age", "tier")
    }
    users = pa.concat_tables([users.select(USERS.names).cast(USERS), pa.table(bare).cast(USERS)])
    return Interactions(events, users.sort_by("user_id").combine_chunks(), facts)


def splits(time: npt.NDArray[np.int64], train_share: float, validation_share: float) -> npt.NDArray[np.uint8]:
    """The split of each event (N,), given times in ascending order.

    The two cuts lie behind the given shares of events. Events of one time are on the same side of a cut: the
    earlier one.
    """
    count = len(time)
    if count == 0:
        return np.zeros(0, np.uint8)
    places = [round(count * share) - 1 for share in (train_share, train_share + validation_share)]
    first, second = time[np.clip(places, 0, count - 1)]
    return np.where(time <= first, TRAIN, np.where(time <= second, VALIDATION, TEST)).astype(np.uint8)


def report(interactions: Interactions) -> dict[str, Any]:
    """Counts of events, users, items and clicks, and the facts about the source."""
    events = interactions.events
    split, click = events["split"].to_numpy(), events["click"].to_numpy()
    in_training = pc.unique(events["item_id"].filter(pc.equal(events["split"], TRAIN)))
    tested = events["item_id"].filter(pc.equal(events["split"], TEST))
    cold = pc.invert(pc.is_in(tested, value_set=in_training))
    return {
        **interactions.facts,
        "events": len(events),
        "users": pc.count_distinct(events["user_id"]).as_py(),
        "items": pc.count_distinct(events["item_id"]).as_py(),
        "click_rate": round(float(click.mean()), 6) if len(click) else None,
        "sampled_negatives": int(pc.sum(events["sampled"]).as_py() or 0),
        "splits": {name: int((split == number).sum()) for number, name in enumerate(SPLITS)},
        "cold_test_events": int(pc.sum(cold).as_py() or 0),
        "cold_test_items": pc.count_distinct(tested.filter(cold)).as_py(),
    }


def summary(found: dict[str, Any]) -> str:
    """The report in one line, for the log."""
    if found["source"] == NONE:
        return "no interactions: streamrec.recommender.interactions.source names no file"
    return (
        f"interactions of {found['source']}: {found['events']:,} events of {found['users']:,} users and "
        f"{found['items']:,} items; {found['cold_test_events']:,} of {found['splits']['test']:,} test events "
        f"are with items that training has not seen"
    )
