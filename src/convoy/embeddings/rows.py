"""An .npy file larger than memory, written and read row by row.

Not a memory map: the pages that one touches count as memory of the process.
"""

import math
import os
from collections.abc import Iterator
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
    """An open .npy file in C order whose rows are read and, where `writable`, written at any place."""

    def __init__(self, path: Path, writable: bool = True) -> None:
        """Open a file that `create` made; ValueError for one of another layout."""
        self._file = open(path, "r+b" if writable else "rb", buffering=0)  # noqa: SIM115
        try:
            if np.lib.format.read_magic(self._file) != (1, 0):
                raise ValueError("its header has another version")
            self.shape, columns_first, self.dtype = np.lib.format.read_array_header_1_0(self._file)
            if columns_first or not self.dtype.isnative or self.dtype.hasobject or self.dtype.itemsize == 0:
                raise ValueError("another order of rows or bytes, or no values")
        except BaseException:
            self._file.close()
            raise
        self._start = self._file.tell()
        self._row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def get(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Rows start … stop - 1."""
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        data, offset = rows.reshape(-1).view(np.uint8).data, self._start + start * self._row_bytes
        while data:
            got = os.preadv(self._file.fileno(), [data], offset)
            if got == 0:
                raise EOFError(f"{self._file.name} ends before row {stop}")
            data, offset = data[got:], offset + got
        return rows

    def gather(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The rows at `places`, in that order; neighbours are read in one go."""
        rows = np.empty((len(places), *self.shape[1:]), self.dtype)
        for some, first in _runs(places):
            rows[some] = self.get(first, first + len(some))
        return rows

    def put(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Write rows one after another, beginning at row `start`."""
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data
        offset = self._start + start * self._row_bytes
        while data:
            written = os.pwrite(self._file.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def scatter(self, places: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> None:
        """Write row i at `places[i]`, neighbours in one go."""
        for some, first in _runs(places):
            self.put(first, rows[some])


def _runs(places: npt.NDArray[np.int64]) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """Split `places` into runs of neighbours: where in `places` each stands, and the first of them."""
    order = np.argsort(places)
    for run in np.split(order, np.flatnonzero(np.diff(places[order]) != 1) + 1):
        if len(run):
            yield run, int(places[run[0]])
