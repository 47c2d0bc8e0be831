"""Files of interactions and of ids: every format gives the same rows, and faults are named in one line."""

import json

import pandas as pd
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.recommender.params import IdMapParams
from convoy.streamrec.recommender.sources.io import read_events, read_id_map

ROWS = {
    "userId": ["007", "1", "1"], "movieId": ["0042", "0042", "5"], "rating": [3.5, 4.0, 5.0],
    "timestamp": [964982703, 964982931, 964982400],
}  # fmt: skip
NAMES = {"user_id": "userId", "item_id": "movieId"}


def write(folder, suffix):
    frame, path = pd.DataFrame(ROWS), folder / f"ratings{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in frame.to_dict("records")))
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_ids_keep_their_zeros_and_ratings_their_fractions(tmp_path, suffix):
    table = read_events(write(tmp_path, suffix), NAMES)
    assert table.column_names == ["user_id", "item_id", "timestamp", "rating"]
    assert table["user_id"].to_pylist() == ["007", "1", "1"]
    assert table["item_id"].to_pylist() == ["0042", "0042", "5"]
    assert [float(one) for one in table["rating"].to_pylist()] == [3.5, 4.0, 5.0]
    assert table["timestamp"].to_pylist() == ["964982703", "964982931", "964982400"]


def test_parquet_times_and_ids_as_floats(tmp_path):
    path = tmp_path / "clicks.parquet"
    times = pd.to_datetime(["2020-01-01", "2020-01-02"])
    frame = pd.DataFrame(
        {"user_id": [1.0, None], "item_id": [2, 3], "timestamp": times, "click": [True, False]}
    )
    frame.to_parquet(path)
    table = read_events(path, {})
    assert table["timestamp"].to_pylist() == ["1577836800", "1577923200"]
    assert table["user_id"].to_pylist() == ["1", None]
    assert table["click"].to_pylist() == ["true", "false"]


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("a.csv", "user,item_id,timestamp\n1,2,3\n", {}, r"no column user_id; its columns are user, item_id"),
        ("a.csv", "user_id,item_id,timestamp\n1,2,3\n", {"rating": "stars"}, r"no column stars"),
        ("a.csv", "user_id,item_id,timestamp\n", {}, "no rows"),
        ("a.csv", "user_id,item_id,timestamp\n1,2\n", {}, "row 1 has 2 fields"),
        (
            "a.csv",
            "user_id,item_id,timestamp\n1,2,3\n",
            {"user_id": "item_id"},
            "the column 'item_id' is named as user_id and as item_id",
        ),
        (
            "a.csv",
            "user_id,user_id,item_id,timestamp\n1,2,3,4\n",
            {},
            "2 columns are called 'user_id'",
        ),
        ("a.txt", "x", {}, r"unknown format '.txt'"),
        ("a.parquet", "PAR1", {}, "cannot be read as parquet"),
        ("a.jsonl", "[1]\n", {}, "item 1 holds a JSON single value"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, name, content, columns, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ConvoyError, match=message) as refused:
        read_events(path, columns)
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no such file"):
        read_events(tmp_path / "none.csv", {})


def test_an_id_map_leaves_out_empty_ids_and_refuses_two_for_one(tmp_path):
    path = tmp_path / "links.csv"
    path.write_text("movieId,imdbId,tmdbId\n1,0114709,862\n2,,15602\n3,0113228,15602\n")
    pairs = read_id_map(IdMapParams(file=str(path)))
    assert pairs is not None
    assert pairs.to_pydict() == {"of_interactions": ["1", "3"], "of_catalogue": ["0114709", "0113228"]}
    path.write_text("movieId,imdbId\n1,0114709\n1,0113228\n")
    with pytest.raises(ConvoyError, match="'1' is mapped to several ids"):
        read_id_map(IdMapParams(file=str(path)))
    with pytest.raises(ConvoyError, match="no column tt; its columns are movieId, imdbId"):
        read_id_map(IdMapParams(file=str(path), of_catalogue="tt"))
    assert read_id_map(IdMapParams.model_validate({})) is None
