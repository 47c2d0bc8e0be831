"""Planted faults in interactions: each is caught by a named rule, or mended and counted."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.recommender.data.io import Interactions
from convoy.streamrec.recommender.gate import GateParams, judge
from convoy.streamrec.recommender.params import InteractionsParams
from convoy.streamrec.recommender.sources import build, cleaning
from tests.support import interactions as small

IDS = small.item_ids(300)


def failed(interactions: Interactions) -> set[str]:
    verdict, page = judge(interactions, IDS, GateParams())
    assert "Gate of the StreamRec interactions" in page
    return {finding.name for finding in verdict.failures}


def changed(column: str, change, of: str = "events") -> Interactions:
    made = small.interactions()
    table = getattr(made, of)
    values = table[column].to_numpy(zero_copy_only=False).copy()
    new = pa.array(change(values, table), table.schema.field(column).type)
    table = table.set_column(table.schema.get_field_index(column), table.schema.field(column), new)
    return Interactions(**{**vars(made), of: table})


def replaced(rows, value):
    def change(values, _table):
        values[rows] = value
        return values

    return change


def bot(users, _table):
    users[np.random.default_rng(0).random(len(users)) < 0.4] = "u000003"
    return users


def future(split, _table):
    split[-20:] = 0  # the last events are in the test period
    return split


def one_user_clicks_all(click, table):
    first = table["user_id"].to_numpy()
    return click | np.isin(first, np.unique(first)[:8])


def more_clicks_in_test(click, table):
    return click | (table["split"].to_numpy() == 2) & (np.arange(len(click)) % 5 > 0)


def without_positions(position, table):
    return np.where(table["click"].to_numpy() & (np.arange(len(position)) % 3 == 0), None, position)


FAULTS = {
    "future_in_training": changed("split", future),
    "item_unknown": changed("item_id", replaced([5], "no such item")),
    "user_unknown": changed("user_id", replaced([5], "new")),
    "user_id_dominates": changed("user_id", bot),
    "item_id_dominates": changed("item_id", replaced(slice(0, None, 2), "i0001")),
    "no_clicks": changed("click", lambda values, _: np.zeros(len(values), bool)),
    "only_clicks": changed("click", lambda values, _: np.ones(len(values), bool)),
    "split_empty": changed("split", lambda values, _: np.where(values == 1, 0, values)),
    "time_range": changed("time", lambda values, _: values * 1000),
    "time_constant": changed("time", lambda values, _: np.full(len(values), values[0])),
    "click_without_impression": changed("position", without_positions),
    "position_range": changed("position", replaced([7], 0)),
    "clicks_only": changed("click", one_user_clicks_all),
    "click_rate_change": changed("click", more_clicks_in_test),
    "age_range": changed("age", replaced([2], 400), "users"),
    "user_repeated": changed("user_id", replaced([2], "u000001"), "users"),
}  # fmt: skip


def test_sound_interactions_pass():
    assert failed(small.interactions()) == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught_by_its_rule(fault):
    assert fault in failed(FAULTS[fault])


def test_repeated_events_are_caught():
    made = small.interactions()
    events = pa.concat_tables([made.events, made.events.slice(0, 10)]).sort_by(build.ORDER)
    assert "event_repeated" in failed(Interactions(events, made.users, made.facts))


def test_no_events_at_all_are_caught():
    made = small.interactions()
    assert failed(Interactions(made.events.slice(0, 0), made.users, {})) == {"events"}


# What a file of real interactions can have.

N = 400
PARAMS = InteractionsParams(source="ratings.csv")
ZEROS = pa.array([f"{number:05d}" for number in range(50)])


def rows(**changes) -> pa.Table:
    rng = np.random.default_rng(1)
    columns = {
        "user_id": [f"{number % 25}" for number in range(N)],
        "item_id": [f"{number:05d}" for number in rng.integers(0, 50, N)],
        "timestamp": [str(1_600_000_000 + 1000 * number) for number in range(N)],
        "rating": [str(value) for value in rng.integers(1, 11, N) / 2],
    }
    return pa.table({**columns, **changes})


def cleaned(**changes):
    return cleaning.clean(rows(**changes), ZEROS, None, PARAMS)


def gate_of(**changes) -> set[str]:
    interactions = build.read_real(rows(**changes), ZEROS, None, PARAMS)
    verdict, _ = judge(interactions, ZEROS, GateParams())
    return {finding.name for finding in verdict.failures}


def column(name: str) -> list[str]:
    return rows()[name].to_pylist()


def test_a_sound_file_passes_and_ratings_become_clicks():
    events, counts = cleaned()
    assert gate_of() == set()
    assert counts["repeated"] == counts["unknown_items"] == counts["missing_ids"] == 0
    ratings = np.array(column("rating"), float)
    assert pc.sum(events["click"]).as_py() == (ratings >= 4).sum()
    assert events["item_id"][0].as_py().startswith("0")  # leading zeros are kept


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 10**6), ("ns", 10**9)])
def test_the_unit_of_times_is_found_and_mended(unit, factor):
    events, counts = cleaned(timestamp=[str(int(one) * factor) for one in column("timestamp")])
    assert counts["time_unit"] == unit
    assert events.sort_by("time")["time"].to_pylist() == [int(one) for one in column("timestamp")]


def test_times_of_two_units_are_caught():
    times = [one + "000" if number % 10 == 0 else one for number, one in enumerate(column("timestamp"))]
    assert cleaned(timestamp=times)[1]["times_of_other_units"] == 40
    assert "time_units" in gate_of(timestamp=times)


def test_ids_that_lost_their_leading_zeros_are_caught():
    ids = [one.lstrip("0") or "0" if number % 2 else one for number, one in enumerate(column("item_id"))]
    assert {"ids_lost_zeros", "items_left_out"} <= gate_of(item_id=ids)
    with pytest.raises(ConvoyError, match="lost their leading zeros"):
        cleaned(item_id=[one.lstrip("0") or "0" for one in column("item_id")])


def test_an_id_of_zeros_alone_that_lost_them_is_caught():
    known = pa.array(["00", *(f"{number:05d}" for number in range(1, 50))])
    ids = [one if one != "00000" else "0" for one in column("item_id")]
    _, counts = cleaning.clean(rows(item_id=ids), known, None, PARAMS)
    assert counts["lost_zeros"] == counts["unknown_items"] == ids.count("0") > 0


@pytest.mark.parametrize("change", [lambda one: f" {one}\t", lambda one: one.replace("é", "e\u0301")])
def test_ids_with_blanks_or_in_another_unicode_form_are_named(change):
    known = pa.array([f"é{number}" for number in range(50)])
    ids = [change(f"é{number % 50}") for number in range(N)]
    with pytest.raises(ConvoyError, match="with blanks or in another Unicode form than NFC"):
        cleaning.clean(rows(item_id=ids), known, None, PARAMS)


def test_times_beyond_every_unit_are_none():
    times = ["9" * 30 if number < 3 else one for number, one in enumerate(column("timestamp"))]
    events, counts = cleaned(timestamp=times)
    assert (counts["missing_times"], counts["times_of_other_units"], len(events)) == (3, 0, N - 3)
    for wrong in ("0", "-5", "inf", "9" * 30):
        with pytest.raises(ConvoyError, match=f"none of the {N} rows has .*; found missing times: {N}"):
            cleaned(timestamp=[wrong] * N)


def test_swapped_columns_are_named():
    with pytest.raises(ConvoyError, match="the two columns are swapped"):
        cleaned(user_id=column("item_id"), item_id=column("user_id"))


def test_unknown_items_are_counted_and_too_many_are_caught():
    ids = ["other" if number < 4 else one for number, one in enumerate(column("item_id"))]
    assert cleaned(item_id=ids)[1]["unknown_items"] == 4
    assert gate_of(item_id=ids) == set()
    ids = ["other" if number % 5 == 0 else one for number, one in enumerate(column("item_id"))]
    assert "items_left_out" in gate_of(item_id=ids)


def test_repeated_rows_are_mended_and_too_many_are_caught():
    twice = pa.concat_tables([rows(), rows().slice(0, 20)])
    events, counts = cleaning.clean(twice, ZEROS, None, PARAMS)
    assert (counts["repeated"], len(events)) == (20, N)
    thrice = pa.concat_tables([rows()] * 3)
    verdict, _ = judge(build.read_real(thrice, ZEROS, None, PARAMS), ZEROS, GateParams())
    assert "rows_repeated" in {finding.name for finding in verdict.failures}


def test_rows_without_an_id_a_time_or_a_rating_are_counted_and_too_many_are_caught():
    users = [None if number < 3 else one for number, one in enumerate(column("user_id"))]
    times = ["" if 3 <= number < 8 else one for number, one in enumerate(column("timestamp"))]
    ratings = ["nan" if number >= N - 4 else one for number, one in enumerate(column("rating"))]
    events, counts = cleaned(user_id=users, timestamp=times, rating=ratings)
    assert [counts[f"missing_{what}"] for what in ("ids", "times", "ratings")] == [3, 5, 4]
    assert len(events) == N - 12
    assert "rows_unusable" in gate_of(
        timestamp=["0" if n % 4 == 0 else t for n, t in enumerate(column("timestamp"))]
    )


def test_text_in_the_place_of_numbers_is_refused_with_its_column():
    with pytest.raises(ConvoyError, match=r"ratings.csv: column 'rating': expected numbers; found 'good'"):
        cleaned(rating=["good", *column("rating")[1:]])
    with pytest.raises(ConvoyError, match=r"column 'click': expected 0, 1, true or false; found '2'"):
        cleaned(click=["2"] * N)


def test_a_file_of_clicks_alone_gets_negatives_that_existed_by_then():
    table = rows().drop_columns("rating")
    events, counts = cleaning.clean(table, ZEROS, None, PARAMS)
    assert counts["positives_only"]
    drawn = events.filter(events["sampled"])
    assert 2 * N < len(drawn) <= 4 * N
    assert not pc.any(drawn["click"]).as_py()
    clicked = set(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))
    assert not clicked & set(zip(drawn["user_id"].to_pylist(), drawn["item_id"].to_pylist(), strict=True))
    first = dict(
        zip(
            *[
                events.filter(events["click"]).sort_by([("time", "descending")])[name].to_pylist()
                for name in ("item_id", "time")
            ],
            strict=True,
        )
    )
    assert all(
        time >= first[item]
        for item, time in zip(drawn["item_id"].to_pylist(), drawn["time"].to_pylist(), strict=True)
    )
    again, _ = cleaning.clean(table, ZEROS, None, PARAMS)
    assert again.equals(events)
