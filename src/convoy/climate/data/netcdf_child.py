"""The process that opens other people's files: where one of them crashes HDF5, only this process ends.

Run by convoy.climate.data.netcdf as `python -m convoy.climate.data.netcdf_child`. One JSON request a line
comes in; one JSON line goes out, followed by the bytes of the arrays that it lists.
"""

import json
import math
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray

Arrays = dict[str, npt.NDArray[Any]]
# Coordinates are one-dimensional, their bounds (n, 2); longer ones are data.
LONGEST_COORDINATE = 5_000_000
# HDF5 keeps 16 MB and more of each: a century in files of a year would fill gigabytes.
OPEN_FILES = 8


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process, in its own time
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand among the replies
    datasets = _Datasets()
    for line in sys.stdin.buffer:
        arrays: Arrays = {}
        try:
            reply, arrays = datasets.answer(json.loads(line))
        except Exception as error:  # whatever a library finds wrong with the file
            reply = {"error": f"{type(error).__name__}: {error}"}
        ready = {
            name: np.ascontiguousarray(values, values.dtype.newbyteorder("="))
            for name, values in arrays.items()
        }
        reply["arrays"] = [[name, value.dtype.str, value.shape] for name, value in ready.items()]
        replies.write(json.dumps(reply, default=_plain).encode() + b"\n")
        for value in ready.values():
            replies.write(value.reshape(-1).view(np.uint8).data)
        replies.flush()


class _Datasets:
    """Opened files by path; xarray keeps a few of them really open."""

    def __init__(self) -> None:
        self._opened: dict[str, xarray.Dataset] = {}
        self._whole: set[tuple[str, str]] = set()

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], Arrays]:
        path = request["path"]
        if path not in self._opened:
            self._opened[path] = _open(path)
        dataset = self._opened[path]
        if request["do"] == "describe":
            return _described(dataset)
        name, axis = request["variable"], request["axis"]
        chosen: list[slice] = [slice(None)] * dataset[name].ndim
        if axis is not None:
            chosen[axis] = slice(request["start"], request["stop"])
            if Path(path).is_dir() and (path, name) not in self._whole:
                _refuse_missing_chunks(Path(path), name, axis)
                self._whole.add((path, name))
        return {}, {name: dataset[name].variable[tuple(chosen)].values}


def _open(path: str) -> "xarray.Dataset":
    import xarray

    xarray.set_options(file_cache_maxsize=OPEN_FILES)
    # As stored: no dates, no fill values, no scaling. Those are applied where they can be reported.
    if Path(path).is_dir():
        return xarray.open_dataset(
            path, engine="zarr", consolidated=False, decode_cf=False, chunks=None, cache=False
        )
    return xarray.open_dataset(path, engine="netcdf4", decode_cf=False, chunks=None, cache=False)


def _described(dataset: "xarray.Dataset") -> tuple[dict[str, Any], Arrays]:
    variables = {
        str(name): {
            "dims": variable.dims,
            "shape": variable.shape,
            "dtype": variable.dtype.name,
            "attributes": {str(key): value for key, value in variable.attrs.items()},
        }
        for name, variable in dataset.variables.items()
    }
    coordinates = {
        str(name): variable.values
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "iuf"
        and (variable.ndim == 1 or (variable.ndim == 2 and variable.shape[1] == 2))
        and variable.size <= LONGEST_COORDINATE
    }
    attributes = {str(key): value for key, value in dataset.attrs.items()}
    return {"variables": variables, "attributes": attributes}, coordinates


def _refuse_missing_chunks(folder: Path, name: str, axis: int) -> None:
    """Zarr reads a chunk that is not there as fill values, without a word.

    Chunks that are empty at all times (the open sea) are left out on purpose; one that has neighbours in
    time is lost.
    """
    import zarr

    array = zarr.open_array(folder / name, mode="r")
    sizes = array.shards or array.chunks
    counts = [math.ceil(length / size) for length, size in zip(array.shape, sizes, strict=True)]
    present = set()
    for file in (folder / name).rglob("*"):
        key = re.search(r"\d+([./]\d+)*$", file.relative_to(folder / name).as_posix())
        if key is not None and file.is_file():
            present.add(tuple(int(part) for part in re.split(r"[./]", key[0])))
    for place in {key[:axis] + key[axis + 1 :] for key in present}:
        for at in range(counts[axis]):
            key_at = (*place[:axis], at, *place[axis:])
            if key_at not in present:
                raise FileNotFoundError(
                    f"chunk {key_at} is missing; where it is empty on purpose, write it with "
                    "write_empty_chunks=True"
                )


def _plain(value: Any) -> Any:
    """Attributes as JSON has them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


if __name__ == "__main__":
    main()
