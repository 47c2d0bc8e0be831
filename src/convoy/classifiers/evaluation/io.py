"""Predictions of each training seed for the test cases, as one Parquet file per model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_file
from convoy.core.printable import reason

PREDICTIONS = "predictions.parquet"
"""Name in a model's folder of `FigureFiles`."""
_PREFIX = "predicted_"


@dataclass(frozen=True)
class Predictions:
    """Test cases: id, true category, and the predicted category per training seed."""

    item_ids: pa.Array
    category: pa.Array
    predicted: Mapping[int, pa.Array]


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write columns item_id, category and predicted_<seed> per seed, all strings, in the order given."""
    columns = {"item_id": predictions.item_ids, "category": predictions.category}
    columns |= {f"{_PREFIX}{seed}": named for seed, named in predictions.predicted.items()}
    schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in columns])
    table = pa.table({name: column.cast(pa.string()) for name, column in columns.items()}, schema=schema)
    with atomic_file(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)


def read_predictions(path: Path) -> Predictions:
    """The predictions in a file; ConvoyError where it is missing, broken or of another kind."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except FileNotFoundError:
        raise ConvoyError("no such file", path=path, hint="run `dvc repro` to make it") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ConvoyError(
            f"not a whole Parquet file ({reason(error)})", path=path, hint="make it again"
        ) from None
    seeds = [name for name in table.column_names if name.startswith(_PREFIX)]
    if table.column_names != ["item_id", "category", *seeds] or not seeds:
        raise ConvoyError(
            path=path,
            expected=f"columns item_id, category and {_PREFIX}<seed>",
            found=", ".join(table.column_names),
            hint="make it again",
        )
    return Predictions(
        item_ids=_one(table["item_id"]),
        category=_one(table["category"]),
        predicted={int(name.removeprefix(_PREFIX)): _one(table[name]) for name in seeds},
    )


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
