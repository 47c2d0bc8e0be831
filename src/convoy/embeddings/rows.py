"""An .npy file larger than memory, written and read row by row.

Not a memory map: the pages that one touches count as memory of the process.
"""

import math
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt


def create(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> "RowFile":
    """Make an .npy file of zeros, shape (rows, …), without holding it."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + math.prod(shape) * dtype.itemsize)
    return RowFile(path)


class RowFile:
    """An open .npy file in C order whose rows are written and read at any place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        np.lib.format.read_magic(self._file)
        self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(self._file)
        self._start = self._file.tell()
        self._row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Rows start … stop - 1."""
        values = (stop - start) * math.prod(self.shape[1:])
        rows = np.fromfile(self._path, self.dtype, values, offset=self._start + start * self._row_bytes)
        return rows.reshape(stop - start, *self.shape[1:])

    def put(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Write rows one after another, beginning at row `start`."""
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
        offset = self._start + start * self._row_bytes
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def scatter(self, places: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> None:
        """Write row i at `places[i]`, neighbours in one go."""
        order = np.argsort(places)
        places, rows = places[order], rows[order]
        ends = [*(np.flatnonzero(np.diff(places) != 1) + 1).tolist(), len(places)]
        start = 0
        for end in ends:
            self.put(int(places[start]), rows[start:end])
            start = end
