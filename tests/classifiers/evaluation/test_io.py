import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.classifiers.evaluation import io as predictions
from convoy.classifiers.evaluation.io import Predictions
from convoy.core.errors import ConvoyError

THREE = Predictions(
    pa.array(["x", "y", "z"]),
    pa.array(["a", "b", "a"]),
    {4: pa.array(["a", "a", "b"]), 10: pa.array(["b", "b", "b"])},
)


@pytest.fixture
def path(tmp_path):
    predictions.write_predictions(tmp_path / "deep" / "bow.parquet", THREE)
    return tmp_path / "deep" / "bow.parquet"


def test_what_is_written_is_read_seed_by_seed(path):
    table = pq.read_table(path)
    assert table.column_names == ["item_id", "category", "predicted_4", "predicted_10"]
    assert set(table.schema.types) == {pa.string()}
    found = predictions.read_predictions(path)
    assert found.item_ids.equals(THREE.item_ids)
    assert found.category.equals(THREE.category)
    assert list(found.predicted) == [4, 10]
    assert all(found.predicted[seed].equals(named) for seed, named in THREE.predicted.items())


def test_the_same_predictions_give_the_same_bytes(path, tmp_path):
    predictions.write_predictions(tmp_path / "again.parquet", THREE)
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


def test_broken_files_are_refused_in_one_line(path, tmp_path):
    with pytest.raises(ConvoyError, match=r"none.parquet: no such file; run `dvc repro`"):
        predictions.read_predictions(tmp_path / "none.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ConvoyError, match=r"bow.parquet: not a whole Parquet file .*; make it again"):
        predictions.read_predictions(path)
    # One byte of the first column's page: found by its checksum.
    path.write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    with pytest.raises(ConvoyError, match=r"bow.parquet: not a whole Parquet file"):
        predictions.read_predictions(path)


@pytest.mark.parametrize("columns", [["item_id", "category"], ["id", "category", "predicted_0"]])
def test_other_columns_are_refused(columns, tmp_path):
    pq.write_table(pa.table({name: ["x"] for name in columns}), tmp_path / "other.parquet")
    with pytest.raises(ConvoyError, match=f"other.parquet: expected columns .* found {', '.join(columns)}"):
        predictions.read_predictions(tmp_path / "other.parquet")
