"""Validation of interactions before a click model is fitted: times, ids, labels, dominant users and items."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from convoy.core.params import Section
from convoy.quality.docs import render
from convoy.quality.expectations import Part, Rule, validate
from convoy.quality.verdict import Verdict
from convoy.streamrec.recommender.data.io import NONE, SPLITS, Interactions

YEARS_S = (631_152_000, 4_102_444_800)  # 1990 and 2100
# Few users or items have large shares of a small file: limits are at least so many times the mean share.
TIMES_THE_MEAN = 5
FEWEST_EVENTS = 50  # of a user whose clicks alone are suspicious


class GateParams(Section):
    """Limits of the gate on interactions; a share is out of all events unless stated otherwise."""

    max_user_share: float = Field(0.1, gt=0, le=1, description="largest share of one user, such as a bot")
    max_item_share: float = Field(0.25, gt=0, le=1, description="largest share of one item")
    max_unknown_share: float = Field(
        0.05, ge=0, le=1, description="largest share of rows of the file whose item the catalogue lacks"
    )
    max_repeated_share: float = Field(
        0.2, ge=0, le=1, description="largest share of rows of the file that repeat another"
    )
    max_unusable_share: float = Field(
        0.05, ge=0, le=1, description="largest share of rows without an id, a time or a rating"
    )
    max_click_only_share: float = Field(
        0.05, ge=0, le=1, description="largest share of users with many events, all of them clicks"
    )
    max_rate_change: float = Field(
        0.3, ge=0, le=1, description="largest difference of the click rates of two splits"
    )


def judge(interactions: Interactions, item_ids: pa.Array, params: GateParams) -> tuple[Verdict, str]:
    """The verdict on interactions with the items of a catalogue, and the Data Docs as HTML."""
    events, users = interactions.events, interactions.users
    absent = interactions.facts.get("source") == NONE
    size = Rule(
        "events", "ExpectColumnMinToBeBetween", "There is at least one event", "events", {"min_value": 1},
        warns=absent,
    )  # fmt: skip
    if len(events) == 0:
        parts = [Part("size", pd.DataFrame({"events": [0]}), [size], "events")]
    else:
        parts = [
            _shares(events, "user_id", params.max_user_share, "a bot or a shared account"),
            _shares(events, "item_id", params.max_item_share, "a default or a test item"),
            _by_split(events),
            _measures(interactions, item_ids, params),
            _users(users),
        ]
    answers = validate(parts)
    found = [(answer.rule.warns, answer.finding) for answer in answers if answer.finding is not None]
    verdict = Verdict(
        subject="the interactions",
        items=len(events),
        expectations=len(answers),
        failures=tuple(one for warns, one in found if not warns),
        warnings=tuple(one for warns, one in found if warns),
        unit="events",
    )
    return verdict, render("Gate of the StreamRec interactions", verdict, answers)


def _shares(events: pa.Table, column: str, limit: float, suspect: str) -> Part:
    """The largest shares of one user or item, at most ten of them."""
    counts = pc.value_counts(events[column])
    frame = pd.DataFrame(
        {column: counts.field("values").to_pylist(), "share": counts.field("counts").to_numpy() / len(events)}
    )
    limit = min(1.0, max(limit, TIMES_THE_MEAN / len(frame)))
    words = f"No {column} has more than {limit:.0%} of the events: one that has is {suspect}"
    rule = Rule(f"{column}_dominates", "ExpectColumnValuesToBeBetween", words, "share", {"max_value": limit})
    return Part(column, frame.nlargest(10, "share").reset_index(drop=True), [rule], column, numbered=False)


def _by_split(events: pa.Table) -> Part:
    """One row per split: its events, its shares of clicks, and whether it begins after the one before."""
    split, time = events["split"].to_numpy(), events["time"].to_numpy()
    click = events["click"].to_numpy()
    rows = []
    end = np.iinfo(np.int64).min
    for number, name in enumerate(SPLITS):
        mine = split == number
        early = int((time[mine] <= end).sum())
        rows.append(
            {
                "split": name,
                "events": int(mine.sum()),
                "clicks": int(click[mine].sum()),
                "others": int((~click[mine]).sum()),
                "events before the end of an earlier split": early,
            }
        )
        end = max(end, int(time[mine].max(initial=end)))
    at_least_one = {"min_value": 1}
    between = "ExpectColumnValuesToBeBetween"
    rules = [
        Rule("split_empty", between, "Each split has an event", "events", at_least_one),
        Rule(
            "no_clicks", between, "Each split has a click: labels are not constant", "clicks", at_least_one
        ),
        Rule(
            "only_clicks", between, "Each split has an event without a click: labels are not constant",
            "others", at_least_one,
        ),
        Rule(
            "future_in_training", between,
            "Each split begins after the end of the one before: nothing of the future is in training",
            "events before the end of an earlier split", {"max_value": 0},
        ),
    ]  # fmt: skip
    return Part("splits", pd.DataFrame(rows), rules, "split", numbered=False, quoted=False)


Limit = tuple[str, str, float, float]
"""Name of a rule, what it measures, the value, and the largest one that passes."""


def _measures(interactions: Interactions, item_ids: pa.Array, params: GateParams) -> Part:
    """One row with measures of all events and of the file that they were read from."""
    table = [
        *_of_events(interactions, item_ids, params),
        *_of_file(interactions.facts.get("cleaned", {}), params),
    ]
    frame = pd.DataFrame({words: [value] for _, words, value, _ in table})
    rules = [
        Rule(
            name,
            "ExpectColumnMaxToBeBetween",
            f"{words[0].upper()}{words[1:]}: at most {limit:g}" if limit else f"There are no {words}",
            words,
            {"max_value": limit},
        )
        for name, words, _, limit in table
    ]
    return Part("events", frame, rules, frame.columns[0], numbered=False, quoted=False)


def _of_events(interactions: Interactions, item_ids: pa.Array, params: GateParams) -> list[Limit]:
    events, user_ids = interactions.events, interactions.users["user_id"].combine_chunks()
    early, late = (pc.less(events["time"], YEARS_S[0]), pc.greater(events["time"], YEARS_S[1]))
    return [
        (
            "item_unknown", "events with an item that the catalogue lacks",
            _not_in(events["item_id"], item_ids), 0,
        ),
        (
            "user_unknown", "events of a user without a row among the users",
            _not_in(events["user_id"], user_ids), 0,
        ),
        ("event_repeated", "events that repeat user, item and time of another", _repeated(events), 0),
        (
            "click_without_impression", "clicks without a position where others have one",
            _without_impression(events), 0,
        ),
        ("position_range", "positions below 1", _count(pc.less(events["position"], 1)), 0),
        (
            "time_range", "times before 1990 or after 2100: another unit than seconds",
            _count(pc.or_(early, late)), 0,
        ),
        ("time_constant", "share of the events at the most frequent time", _at_one_time(events), 0.5),
        (
            "clicks_only", f"share of users with {FEWEST_EVENTS} events or more who click them all",
            _click_only(events), params.max_click_only_share,
        ),
        (
            "click_rate_change", "largest difference of the click rates of two splits", _rate_change(events),
            params.max_rate_change,
        ),
    ]  # fmt: skip


def _of_file(counts: dict[str, Any], params: GateParams) -> list[Limit]:
    """Limits on what cleaning has counted; a synthetic source has no counts."""
    return [
        (
            "time_units", "rows of the file with a time of another unit than most",
            int(counts.get("times_of_other_units", 0)), 0,
        ),
        (
            "ids_lost_zeros", "rows of the file whose item id has lost its leading zeros",
            int(counts.get("lost_zeros", 0)), 0,
        ),
        (
            "items_left_out", "share of rows of the file with an item that the catalogue lacks",
            _share(counts, "unknown_items", "without_mapped_id"), params.max_unknown_share,
        ),
        (
            "rows_repeated", "share of rows of the file that repeat another", _share(counts, "repeated"),
            params.max_repeated_share,
        ),
        (
            "rows_unusable", "share of rows of the file without an id, a time or a rating",
            _share(counts, "missing_ids", "missing_times", "missing_ratings"), params.max_unusable_share,
        ),
    ]  # fmt: skip


def _users(users: pa.Table) -> Part:
    frame = users.select(["user_id", "age"]).to_pandas()
    frame["age"] = frame["age"].astype("float64")
    rules = [
        Rule("user_repeated", "ExpectColumnValuesToBeUnique", "No user_id is repeated", "user_id"),
        Rule(
            "age_range", "ExpectColumnValuesToBeBetween", "Ages lie in 0 to 120 years", "age",
            {"min_value": 0, "max_value": 120},
        ),
    ]  # fmt: skip
    return Part("users", frame, rules, "user_id")


def _count(mask: Any) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _not_in(column: pa.ChunkedArray, known: pa.Array) -> int:
    return _count(pc.invert(pc.is_in(column, value_set=known)))


def _share(counts: dict[str, Any], *names: str) -> float:
    read = counts.get("rows_read", 0)
    return sum(int(counts.get(name, 0)) for name in names) / read if read else 0.0


def _repeated(events: pa.Table) -> int:
    keys = ["user_id", "item_id", "time"]
    return len(events) - len(events.group_by(keys, use_threads=False).aggregate([]))


def _without_impression(events: pa.Table) -> int:
    position = events["position"]
    if position.null_count in (0, len(events)):
        return 0
    return _count(pc.and_(pc.is_null(position), events["click"]))


def _at_one_time(events: pa.Table) -> float:
    return float(pc.max(pc.value_counts(events["time"]).field("counts")).as_py() / len(events))


def _click_only(events: pa.Table) -> float:
    by_user = events.group_by("user_id", use_threads=False).aggregate([("click", "mean"), ("click", "count")])
    many = pc.greater_equal(by_user["click_count"], FEWEST_EVENTS)
    if not pc.any(many).as_py():
        return 0.0
    return float(pc.mean(pc.equal(by_user["click_mean"].filter(many), 1.0)).as_py())


def _rate_change(events: pa.Table) -> float:
    by_split = events.group_by("split", use_threads=False).aggregate([("click", "mean")])
    ends = pc.min_max(by_split["click_mean"]).as_py()
    return float(ends["max"] - ends["min"])
