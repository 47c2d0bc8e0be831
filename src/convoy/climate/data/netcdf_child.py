"""The process that opens other people's files: where one of them crashes HDF5, only this process ends.

Run by convoy.climate.data.netcdf as `python -m convoy.climate.data.netcdf_child FD`, which is one end of a
connection: requests come in, replies go out.
"""

import itertools
import math
import os
import re
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

# By variable: dims, shape, dtype, attributes, and the values of coordinates.
Header = dict[str, tuple[tuple[str, ...], tuple[int, ...], str, dict[str, Any], Any]]
# Coordinates are one-dimensional, their bounds (n, 2); longer ones are data.
LONGEST_COORDINATE = 5_000_000
# HDF5 keeps 16 MB and more of each: a century in files of a year would fill gigabytes.
OPEN_FILES = 8


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process, in its own time
    connection, datasets = Connection(int(sys.argv[1])), _Datasets()
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            reply = datasets.answer(*request)
        except Exception as error:  # whatever a library finds wrong with the file
            reply = f"{type(error).__name__}: {error}"
        connection.send(reply)


class _Datasets:
    """Opened files by path; xarray keeps a few of them really open."""

    def __init__(self) -> None:
        self._opened: dict[str, xarray.Dataset] = {}
        self._whole: set[tuple[str, str]] = set()

    def answer(self, path: str, name: str | None, axis: int | None, key: tuple[Any, ...]) -> Any:
        """The header of a file and its attributes, or values of a variable at the key of an array."""
        if path not in self._opened:
            self._opened[path] = _open(path)
        dataset = self._opened[path]
        if name is None:
            return _header(dataset), _plain(dataset.attrs)
        if axis is not None and Path(path).is_dir() and (path, name) not in self._whole:
            _refuse_missing_chunks(Path(path), name, axis)
            self._whole.add((path, name))
        values = dataset[name].variable[key].values
        return np.asarray(values, values.dtype.newbyteorder("="))


def _open(path: str) -> "xarray.Dataset":
    import xarray

    xarray.set_options(file_cache_maxsize=OPEN_FILES)
    # As stored: no dates, no fill values, no scaling. Those are applied where they can be reported.
    if Path(path).is_dir():
        for link in Path(path).rglob("*"):
            if link.is_symlink() and not link.resolve().is_relative_to(Path(path).resolve()):
                raise PermissionError(f"{link.name} is a link that leads out of the store")
        return xarray.open_dataset(
            path, engine="zarr", consolidated=False, decode_cf=False, chunks=None, cache=False
        )
    return xarray.open_dataset(path, engine="netcdf4", decode_cf=False, chunks=None, cache=False)


def _header(dataset: "xarray.Dataset") -> Header:
    header: Header = {}
    for name, variable in dataset.variables.items():
        is_coordinate = (
            variable.dtype.kind in "iuf"
            and (variable.ndim == 1 or (variable.ndim == 2 and variable.shape[1] == 2))
            and variable.size <= LONGEST_COORDINATE
        )
        header[str(name)] = (
            tuple(map(str, variable.dims)), variable.shape, variable.dtype.name, _plain(variable.attrs),
            variable.values if is_coordinate else None,
        )  # fmt: skip
    return header


def _plain(attributes: Any) -> dict[str, Any]:
    """Attributes as text, numbers and lists of them."""
    return {
        str(key): value if isinstance(value, str | int | float | np.generic | np.ndarray) else str(value)
        for key, value in attributes.items()
    }


def _refuse_missing_chunks(folder: Path, name: str, axis: int) -> None:
    """Zarr reads a chunk that is not there as fill values, without a word.

    Chunks that are empty at all times (the open sea) are left out on purpose; one that has neighbours in
    time is lost.
    """
    import zarr

    array = zarr.open_array(folder / name, mode="r")
    sizes = array.shards or array.chunks
    count = math.ceil(array.shape[axis] / sizes[axis])
    present = set()
    for file in (folder / name).rglob("*"):
        key = re.search(r"\d+([./]\d+)*$", file.relative_to(folder / name).as_posix())
        if key is not None and file.is_file():
            present.add(tuple(int(part) for part in re.split(r"[./]", key[0])))
    places = {key[:axis] + key[axis + 1 :] for key in present}
    for place, at in itertools.product(places, range(count)):
        if (chunk := (*place[:axis], at, *place[axis:])) not in present:
            raise FileNotFoundError(
                f"chunk {chunk} is missing; where it is empty on purpose, write it with "
                "write_empty_chunks=True"
            )


if __name__ == "__main__":
    os.dup2(2, 1)  # what libraries print is dropped
    main()
