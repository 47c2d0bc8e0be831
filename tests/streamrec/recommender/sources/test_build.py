"""Interactions sorted and split by time."""

import numpy as np
import pyarrow as pa
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.recommender import comparison
from convoy.streamrec.recommender.data import io as data
from convoy.streamrec.recommender.findings import findings
from convoy.streamrec.recommender.gate import GateParams, judge
from convoy.streamrec.recommender.impressions import code
from convoy.streamrec.recommender.params import EvaluateParams, InteractionsParams
from convoy.streamrec.recommender.report import page, pictures
from convoy.streamrec.recommender.sources import build
from tests.support import interactions as small

PARAMS = InteractionsParams.model_validate({})


def test_splits_follow_the_shares_and_the_time():
    made = small.interactions()
    split, time = made.events["split"].to_numpy(), made.events["time"].to_numpy()
    assert np.bincount(split) / len(split) == pytest.approx([0.7, 0.15, 0.15], abs=0.01)
    for earlier, later in ((0, 1), (1, 2)):
        assert time[split == earlier].max() < time[split == later].min()


def test_events_of_one_time_are_on_one_side():
    time = np.array([1, 2, 2, 2, 2, 2, 3, 4, 5, 6])
    assert build.splits(time, 0.4, 0.4).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]


def test_the_order_of_the_source_does_not_matter():
    made = small.drawn()
    shuffled = made.events.take(np.random.default_rng(0).permutation(len(made.events)))
    one, other = (build.build(events, made.users, PARAMS, {}).events for events in (made.events, shuffled))
    assert one.equals(other)


def test_users_without_a_row_get_one_without_age_and_tier():
    made = small.drawn()
    some = made.users.slice(0, 5)
    users = build.build(made.events, some, PARAMS, {}).users
    assert len(users) == 40
    assert users["age"].null_count == 35


def test_the_report_counts_what_training_has_not_seen():
    events = pa.table(
        {
            "user_id": ["u"] * 10, "item_id": list("aaaaaaabca"), "time": list(range(10)),
            "click": [True, False] * 5, "position": [1] * 10,
        }
    )  # fmt: skip
    made = build.build(events, small.drawn().users.slice(0, 0), PARAMS, {"source": "x"})
    found = build.report(made)
    assert found["splits"] == {"train": 7, "validation": 1, "test": 2}
    assert (found["cold_test_events"], found["cold_test_items"]) == (1, 1)
    assert found["click_rate"] == 0.5


def test_written_interactions_are_read_again_and_damage_is_refused(tmp_path):
    made = small.interactions()
    data.write(tmp_path / "i", made)
    read = data.read(tmp_path / "i")
    assert read.events.equals(made.events)
    assert read.users.equals(made.users)
    assert read.facts == {"source": "synthetic"}
    (tmp_path / "i/events.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConvoyError, match="bytes, expected"):
        data.read(tmp_path / "i")
    with pytest.raises(ConvoyError, match="no such folder"):
        data.read(tmp_path / "other")


def test_a_real_catalogue_without_a_file_has_no_interactions_and_that_is_no_fault():
    truth = pa.table({"item_id": pa.array([], pa.string()), "taste": pa.array([], pa.list_(pa.float32()))})
    made = build.drawn(truth, PARAMS)
    found = build.report(made)
    assert (found["source"], found["events"], found["cold_test_items"]) == ("none", 0, 0)
    assert "names no file" in build.summary(found)
    verdict, _ = judge(made, small.item_ids(3), GateParams())
    assert verdict.success
    assert [warning.name for warning in verdict.warnings] == ["events"]
    coded = code(made, small.item_ids(3))
    details = comparison.details({}, coded, EvaluateParams())
    assert comparison.headline(details) == {"clicks": {}, "cold": {}}
    words = findings(details, None)
    assert "There are no interactions" in words[0]
    assert words[0] in page(details, None, words, found, 5)
    assert pictures(details) == {}
