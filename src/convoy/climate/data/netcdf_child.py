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

from convoy.climate.data import zipped_io

# By variable: dims, shape, dtype, attributes, and the values of coordinates.
Header = dict[str, tuple[tuple[str, ...], tuple[int, ...], str, dict[str, Any], Any]]
# Coordinates are one-dimensional, their bounds (n, 2); longer ones are data.
LONGEST_COORDINATE = 5_000_000
# Bytes of a chunk of Zarr, which is unpacked whole; HDF5 allows no larger ones either.
LARGEST_CHUNK = 1 << 32


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
    if not _is_zarr(path):
        _refuse_other_files(path)
        dataset = netCDF4.Dataset(path, keepweakref=True)  # else it would stay open in a reference cycle
        dataset.set_auto_maskandscale(False)
        return dataset
    import xarray

    for link in Path(path).rglob("*"):
        if link.is_symlink() and not link.resolve().is_relative_to(Path(path).resolve()):
            raise PermissionError(f"{link.name} is a link that leads out of the store")
    store, group = _store(path)
    opened = xarray.open_dataset(
        store, group=group, engine="zarr", consolidated=False, decode_cf=False, chunks=None, cache=False
    )
    for name, variable in opened.variables.items():
        chunk = variable.dtype.itemsize * math.prod(variable.encoding.get("chunks") or (1,))
        if chunk > LARGEST_CHUNK:
            raise MemoryError(f"a chunk of '{name}' has {chunk:,} bytes, more than {LARGEST_CHUNK:,}")
    return opened


def _is_zarr(path: str) -> bool:
    return Path(path).is_dir() or zipped_io.is_zip(Path(path))


def _store(path: str) -> tuple[Any, str | None]:
    """What Zarr opens, and the group in it that holds the arrays."""
    if Path(path).is_dir():
        return path, None
    from zarr.storage import ZipStore

    return ZipStore(path, mode="r"), zipped_io.root_of(Path(path)) or None


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
    if axis is not None and _is_zarr(path):
        _refuse_missing_chunks(path, name, axis)
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
def _refuse_missing_chunks(path: str, name: str, axis: int) -> None:
    """Raise an error for lost chunks, which Zarr silently reads as fill values.

    Chunks that are missing at all times (such as the open sea) are left out on purpose; a chunk that exists
    at other times is lost.
    """
    import zarr

    store, group = _store(path)
    inside = f"{group}/{name}" if group else name
    array = zarr.open_array(store, path=inside, mode="r")
    sizes = array.shards or array.chunks
    count = math.ceil(array.shape[axis] / sizes[axis])
    present = set()
    for file in _files_below(path, inside):
        if (key := re.search(r"\d+([./]\d+)*$", file)) is not None:
            present.add(tuple(int(part) for part in re.split(r"[./]", key[0])))
    places = {key[:axis] + key[axis + 1 :] for key in present}
    for place, at in itertools.product(places, range(count)):
        if (chunk := (*place[:axis], at, *place[axis:])) not in present:
            raise FileNotFoundError(
                f"chunk {chunk} is missing; where it is empty on purpose, write it with "
                "write_empty_chunks=True"
            )


def _files_below(path: str, inside: str) -> list[str]:
    """The files of an array of a store, by their names below it."""
    if Path(path).is_dir():
        folder = Path(path) / inside
        return [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    names = zipped_io.names_in(Path(path))
    return [name.removeprefix(f"{inside}/") for name in names if name.startswith(f"{inside}/")]


if __name__ == "__main__":
    os.dup2(2, 1)  # output of libraries is dropped
    main()
