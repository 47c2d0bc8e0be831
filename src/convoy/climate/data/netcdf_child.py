"""The process that opens input files: where one of them crashes HDF5, only this process ends.

Run by convoy.climate.data.netcdf as `python -m convoy.climate.data.netcdf_child FD`, which is one end of a
connection: requests come in, replies go out.
"""

import itertools
import math
import os
import re
import signal
import sys
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

# By variable: dims, shape, dtype, attributes, and the values of coordinates.
Header = dict[str, tuple[tuple[str, ...], tuple[int, ...], str, dict[str, Any], Any]]
# Coordinates are one-dimensional, their bounds (n, 2); longer ones are data.
LONGEST_COORDINATE = 5_000_000


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    connection = Connection(int(sys.argv[1]))
    while True:
        try:
            path, name, axis, key = connection.recv()
        except EOFError:
            return
        try:
            reply = _header(path) if name is None else _values(path, name, axis, key)
        except Exception as error:  # libraries raise many types for broken files
            # An OSError's text ends with the path, which the message includes already.
            words = error.strerror if isinstance(error, OSError) and error.strerror else error
            reply = f"{type(error).__name__}: {words}"
        connection.send(reply)


# HDF5 keeps 16 MB and more of each open file: a century in files of a year would fill gigabytes.
@lru_cache(maxsize=8)
def _open(path: str) -> Any:
    """A file as a `netCDF4.Dataset`, a Zarr store as an `xarray.Dataset`, whose variables are used alike.

    As stored: no dates, no fill values, no scaling. Those are applied where they can be reported.
    """
    if not Path(path).is_dir():
        _refuse_other_files(path)
        dataset = netCDF4.Dataset(path, keepweakref=True)  # else it would stay open in a reference cycle
        dataset.set_auto_maskandscale(False)
        return dataset
    import xarray

    for link in Path(path).rglob("*"):
        if link.is_symlink() and not link.resolve().is_relative_to(Path(path).resolve()):
            raise PermissionError(f"{link.name} is a link that leads out of the store")
    return xarray.open_dataset(
        path, engine="zarr", consolidated=False, decode_cf=False, chunks=None, cache=False
    )


def _refuse_other_files(path: str) -> None:
    """Raise PermissionError for a file whose values HDF5 would read from other files, without a word."""
    import h5py

    if not h5py.is_hdf5(path):
        return
    with h5py.File(path, "r") as file:
        groups, seen = [file], set()
        while groups:
            group = groups.pop()
            if group.id in seen:  # groups may contain each other
                continue
            seen.add(group.id)
            for name in group:
                if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
                    raise PermissionError(f"'{name}' is a link into another file")
                held = group.get(name)
                if isinstance(held, h5py.Group):
                    groups.append(held)
                elif isinstance(held, h5py.Dataset) and (held.is_virtual or held.external):
                    raise PermissionError(f"the values of '{name}' are in another file")


def _header(path: str) -> tuple[Header, dict[str, Any]]:
    """The metadata of a file's variables, and its own attributes."""
    header: Header = {}
    for name, variable in _open(path).variables.items():
        datatype = getattr(variable, "datatype", variable.dtype)  # of NetCDF-4's own types it is no dtype
        datatype = datatype if isinstance(datatype, np.dtype) else np.dtype(object)
        shape = tuple(map(int, variable.shape))
        is_coordinate = (
            datatype.kind in "iuf"
            and (len(shape) == 1 or shape[1:] == (2,))
            and math.prod(shape) <= LONGEST_COORDINATE
        )
        values = _values(path, name, None, (slice(None),) * len(shape)) if is_coordinate else None
        dims = variable.dimensions if hasattr(variable, "dimensions") else variable.dims
        header[str(name)] = (tuple(map(str, dims)), shape, datatype.name, _attributes(variable), values)
    return header, _attributes(_open(path))


def _values(path: str, name: str, axis: int | None, key: tuple[Any, ...]) -> Any:
    """Stored numbers of a variable at a key of slices and indices; `axis`: the time axis."""
    if axis is not None and Path(path).is_dir():
        _refuse_missing_chunks(Path(path), name, axis)
    values = np.asarray(_open(path).variables[name][key or ...])
    return np.asarray(values, values.dtype.newbyteorder("="))


def _attributes(held: Any) -> dict[str, Any]:
    """Attributes as text, numbers and lists of them."""
    found = held.attrs if hasattr(held, "attrs") else {name: held.getncattr(name) for name in held.ncattrs()}
    return {
        str(key): value if isinstance(value, str | int | float | np.generic | np.ndarray) else str(value)
        for key, value in found.items()
    }


@lru_cache
def _refuse_missing_chunks(folder: Path, name: str, axis: int) -> None:
    """Raise an error for lost chunks, which Zarr silently reads as fill values.

    Chunks that are missing at all times (such as the open sea) are left out on purpose; a chunk that exists
    at other times is lost.
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
    os.dup2(2, 1)  # output of libraries is dropped
    main()
