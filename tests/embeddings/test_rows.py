"""Row files against numpy's own reader."""

import numpy as np
import pytest

from convoy.embeddings.rows import RowFile, create


@pytest.mark.parametrize(("dtype", "shape"), [("float32", (50, 3)), ("<U4", (50,)), ("uint8", (50, 2, 2))])
def test_rows_at_any_place_are_an_npy_file(tmp_path, dtype, shape):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 255, shape).astype(dtype)
    places = rng.permutation(50)
    with create(tmp_path / "rows.npy", np.dtype(dtype), shape) as file:
        assert (file.shape, file.dtype) == (shape, np.dtype(dtype))
        file.scatter(places[:20], rows[places[:20]])
        file.scatter(places[20:], rows[places[20:]])
        assert np.array_equal(file.get(7, 19), rows[7:19])
    assert np.array_equal(np.load(tmp_path / "rows.npy"), rows)
    with RowFile(tmp_path / "rows.npy") as file:
        file.put(3, rows[:5])
    rows[3:8] = rows[:5].copy()
    assert np.array_equal(np.load(tmp_path / "rows.npy", mmap_mode="r"), rows)


def test_rows_never_written_are_zero(tmp_path):
    with create(tmp_path / "rows.npy", np.dtype("float32"), (4, 2)) as file:
        file.put(2, np.ones((1, 2), np.float32))
    assert np.load(tmp_path / "rows.npy").tolist() == [[0, 0], [0, 0], [1, 1], [0, 0]]
