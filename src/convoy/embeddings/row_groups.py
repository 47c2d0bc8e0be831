"""Rows of ids, vectors and states as Arrow tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from convoy.embeddings.io import STATUSES

SHA256_BYTES = 32
STATE_BYTES = SHA256_BYTES + 1
_CHUNK_ROWS = 4_096


def state_rows(text_sha256: list[str], status: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Hex digests and statuses of n items as rows of bytes, (n, STATE_BYTES)."""
    digests = np.frombuffer(bytes.fromhex("".join(text_sha256)), np.uint8)
    return np.column_stack([digests.reshape(len(status), SHA256_BYTES), status])


def row_group(schema: pa.Schema, columns: list[npt.NDArray[Any]]) -> pa.Table:
    """Table of sorted ids, vectors and states, in chunks, since Parquet computes its levels by chunk."""
    return pa.Table.from_batches(
        _record_batch(schema, *(rows[at : at + _CHUNK_ROWS] for rows in columns))
        for at in range(0, len(columns[0]), _CHUNK_ROWS)
    )


def _record_batch(
    schema: pa.Schema,
    ids: npt.NDArray[np.str_],
    vectors: npt.NDArray[np.float32],
    states: npt.NDArray[np.uint8],
) -> pa.RecordBatch:
    n, dimension = vectors.shape
    starts = np.arange(n + 1, dtype=np.int32)
    digests = states[:, :SHA256_BYTES].tobytes().hex().encode()
    columns = [
        _strings(ids.tolist()),
        pa.ListArray.from_arrays(
            numbers(starts * np.int32(dimension), pa.int32()),
            numbers(vectors.reshape(-1), pa.float32()),
            type=schema.field("embedding").type,
        ),
        pa.StringArray.from_buffers(
            n, pa.py_buffer(starts * np.int32(2 * SHA256_BYTES)), pa.py_buffer(digests)
        ),
        _strings(STATUSES).take(numbers(states[:, SHA256_BYTES].copy(), pa.uint8())),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _strings(values: Iterable[str]) -> pa.Array:
    # Not by pa.array, here and in `numbers`: it would import pandas, 0.2 s, to look for a Series.
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def numbers(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """An Arrow array over the memory of a NumPy one, without nulls."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
