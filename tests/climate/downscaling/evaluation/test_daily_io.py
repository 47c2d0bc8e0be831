"""Daily errors: the table comes back as it was; what is broken is refused in one line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.climate.downscaling.evaluation import daily_io as daily
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.core.errors import ConvoyError


def days(seed: int, count: int, *names: str) -> Daily:
    """`count` days of each of these domains."""
    draw = np.random.default_rng(seed)
    ordinal = np.tile(np.arange(55_000, 55_000 + count), len(names))
    return Daily(np.repeat(names, count), ordinal, draw.gamma(2.0, size=count * len(names)))


TABLE = {
    "ridge": {"test": days(0, 400, "home"), "warmer_2k": days(1, 30, "a warmer Zürich")},
    "bicubic": {"test": days(2, 400, "home"), "unseen_terrain": days(3, 20, "away", "far")},
}


@pytest.fixture
def path(tmp_path):
    daily.write(tmp_path / "daily.parquet", TABLE)
    return tmp_path / "daily.parquet"


def test_what_is_written_comes_back_in_its_order(path):
    found = daily.read(path)
    assert list(found) == ["ridge", "bicubic"]
    for model, splits in TABLE.items():
        assert list(found[model]) == list(splits)
        for split, expected in splits.items():
            part = found[model][split]
            assert part.domain.tolist() == expected.domain.tolist()
            np.testing.assert_array_equal(part.ordinal, expected.ordinal)
            np.testing.assert_array_equal(part.squared_error, expected.squared_error)
            assert part.ordinal.dtype == np.int64
            assert part.squared_error.dtype == np.float64


def test_others_can_read_it(path):
    frame = pq.read_table(path).to_pandas()
    assert list(frame.columns) == ["model", "split", "domain", "day", "squared_error"]
    assert len(frame) == 400 + 30 + 400 + 40
    assert frame.groupby(["model", "split"]).squared_error.mean()["ridge", "test"] == pytest.approx(
        TABLE["ridge"]["test"].squared_error.mean()
    )


def test_the_rmse_is_the_root_of_the_mean_over_known_days():
    errors = np.array([1.0, 4.0, np.nan, 7.0])
    assert Daily(np.array(["x"] * 4), np.arange(4), errors).rmse == pytest.approx(2.0)
    assert np.isnan(Daily(np.array(["x"]), np.arange(1), np.array([np.nan])).rmse)


def test_the_rmse_of_several_trainings_is_the_mean_of_theirs_on_the_days_that_all_know():
    first, second = np.array([1.0, 4.0, np.nan, 7.0]), np.array([9.0, 9.0, 9.0, 9.0])
    found = Daily(np.array(["x"] * 4), np.arange(4), first, (second,))
    assert found.rmse == pytest.approx((2 + 3) / 2)
    assert found.known.tolist() == [True, True, False, True]
    assert found.at([0, 1]).rmse == pytest.approx((np.sqrt(2.5) + 3) / 2)


def test_further_trainings_come_back_and_a_single_one_has_no_column_for_them(tmp_path):
    first, second, third = (days(seed, 20, "home") for seed in (4, 5, 6))
    found = Daily(
        first.domain, first.ordinal, first.squared_error, (second.squared_error, third.squared_error)
    )
    daily.write(tmp_path / "daily.parquet", {"residual": {"test": found, "warmer_2k": found.at(slice(5))}})
    names = pq.read_schema(tmp_path / "daily.parquet").names
    assert names[4:] == ["squared_error", "squared_error_2", "squared_error_3"]
    back = daily.read(tmp_path / "daily.parquet")["residual"]
    np.testing.assert_array_equal(back["test"].trainings, found.trainings)
    np.testing.assert_array_equal(back["warmer_2k"].trainings, found.trainings[:5])
    assert found.trainings.shape == (20, 3)
    np.testing.assert_array_equal(found.trainings[:, 2], third.squared_error)


def test_models_of_one_table_have_as_many_trainings_each(tmp_path):
    one = days(7, 3, "home")
    two = Daily(one.domain, one.ordinal, one.squared_error, (one.squared_error,))
    with pytest.raises(pa.ArrowInvalid):
        daily.write(tmp_path / "daily.parquet", {"a": {"test": one}, "b": {"test": two}})


def test_a_day_that_is_not_known_comes_back_as_such(tmp_path):
    errors = np.array([1.0, np.nan])
    table = {"m": {"test": Daily(np.array(["x", "x"]), np.arange(2), errors)}}
    daily.write(tmp_path / "daily.parquet", table)
    np.testing.assert_array_equal(
        daily.read(tmp_path / "daily.parquet")["m"]["test"].squared_error, errors
    )  # fmt: skip


def test_the_same_table_gives_the_same_bytes(tmp_path, path):
    daily.write(tmp_path / "again.parquet", TABLE)
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_an_empty_table(tmp_path):
    daily.write(tmp_path / "daily.parquet", {})
    assert daily.read(tmp_path / "daily.parquet") == {}


def test_what_is_read_can_be_written_again(tmp_path, path):
    daily.write(tmp_path / "again.parquet", daily.read(path))
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_nothing_is_left_of_a_write_that_failed(tmp_path):
    torn = {"ridge": {"test": Daily(np.array(["x"]), np.arange(3), np.zeros(3))}}
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        daily.write(tmp_path / "daily.parquet", torn)
    assert list(tmp_path.iterdir()) == []


def spoil(path, how):
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[:-20]
    elif how == "changed":
        # In the midst of the pages, where only their checksums tell.
        content[len(content) // 3] ^= 0x10
    elif how == "emptied":
        content = bytearray()
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "changed", "emptied"])
def test_a_broken_file_is_refused(path, how):
    spoil(path, how)
    with pytest.raises(ConvoyError, match=r"daily\.parquet: cannot be read \(.+\); run `dvc repro`") as told:
        daily.read(path)
    assert "\n" not in str(told.value)


def test_a_missing_file_and_one_with_other_columns_are_refused(tmp_path):
    with pytest.raises(ConvoyError, match=r"none\.parquet: cannot be read"):
        daily.read(tmp_path / "none.parquet")
    pq.write_table(pa.table({"model": ["x"], "split": ["test"]}), tmp_path / "other.parquet")
    with pytest.raises(ConvoyError, match=r"other\.parquet: cannot be read .*domain"):
        daily.read(tmp_path / "other.parquet")
