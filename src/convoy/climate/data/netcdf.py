"""NetCDF files and Zarr stores, also zipped, as lazy xarray Datasets whose values a child process reads.

Nothing is converted to our convention here (see convoy.climate.data.conventions): variables keep their names,
units and order of dimensions. Declared fill values become NaN, and packed numbers are unpacked.
"""

import os
import re
import signal
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from convoy.climate.data import classic, netcdf_child, zipped_io
from convoy.climate.data.packing import unpacked
from convoy.core.errors import ConvoyError
from convoy.core.printable import reason

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
AGAIN = "copy or make it again"


class Reader:
    """One child process that reads any number of files; started at the first request, and after a crash.

    patience_s: time limit of a reply in seconds. Some broken files cause an endless loop in HDF5.
    """

    def __init__(self, patience_s: float = 300.0) -> None:
        self.patience_s = patience_s
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._opened: dict[str, xr.Dataset] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        if self._child is None or self._connection is None:
            return
        self._connection.close()
        self._child.kill()
        self._child.wait()
        self._child = self._connection = None

    def open(self, path: str | Path) -> xr.Dataset:
        """The file as it is stored, its path in `encoding["source"]`; values are read later.

        Numbers are float32, coordinates float64; declared fill values are NaN, undeclared NaN infinite.
        Raises ConvoyError where the file cannot be read, or later its values.
        """
        key = str(path)
        if key in self._opened:
            return self._opened[key]
        _refuse_by_first_bytes(Path(path))
        header, attributes = self.request(key, "cannot be opened", None, None, ())
        if not header:
            raise ConvoyError("no variables in it (those in groups are not read)", path=key)
        variables = {}
        for name, (dims, shape, dtype, attrs, values) in header.items():
            data: Any = indexing.LazilyIndexedArray(_Remote(self, key, name, dtype, shape))
            if values is not None:
                data = unpacked(values, attrs).astype(np.float64)
            variables[name] = xr.Variable(dims, data, attrs)
        try:
            # No indexes: coordinates of input files may be invalid.
            dataset = xr.Dataset(coords=xr.Coordinates(variables, indexes={}), attrs=attributes)
        except ValueError as error:
            raise ConvoyError(f"cannot be opened ({reason(error)})", path=key) from None
        dataset.encoding["source"] = key
        return self._opened.setdefault(key, dataset)

    def request(self, path: str, failed: str, *parts: Any) -> Any:
        """The child's reply to a request for a file; ConvoyError, with the failure, where there is none."""
        absolute = str(Path(path).absolute())
        if self._connection is None:
            self._child, self._connection = _start()
        try:
            self._connection.send((absolute, *parts))
            reply = self._connection.recv() if self._connection.poll(self.patience_s) else None
        except (EOFError, OSError):
            assert self._child is not None
            code = self._child.wait(timeout=60)
            self.close()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise ConvoyError(
                f"broken: it crashes the NetCDF library ({how})", path=path, hint=AGAIN
            ) from None
        if reply is None:
            self.close()
            raise ConvoyError(
                f"broken: the NetCDF library does not answer within {self.patience_s:g} s",
                path=path,
                hint=AGAIN,
            )
        if isinstance(reply, str):
            raise ConvoyError(f"{failed}, truncated or broken ({reason(reply)})", path=path, hint=AGAIN)
        return reply


def _start() -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = Pipe()
    with theirs:
        child = subprocess.Popen(  # noqa: S603 (our own module)
            [sys.executable, "-P", "-m", netcdf_child.__name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            # Files are only read, and read-only or network file systems have no locks.
            env={**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"},
        )  # fmt: skip
    return child, ours


class _Remote(BackendArray):
    """The values of one variable, read lazily."""

    def __init__(self, reader: Reader, path: str, name: str, stored: str, shape: tuple[int, ...]) -> None:
        self.reader, self.path, self.name, self.stored, self.shape = reader, path, name, stored, shape
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._values
        )

    def _values(self, key: tuple[Any, ...]) -> npt.NDArray[np.float32]:
        if re.fullmatch(r"(u?int|float)\d+", self.stored) is None:
            raise ConvoyError(
                f"variable '{self.name}' holds {self.stored}", path=self.path, expected="numbers"
            )
        dataset = self.reader.open(self.path)
        time, attributes = time_of(dataset, self.name), dataset[self.name].attrs
        axis = None if time is None else dataset[self.name].dims.index(time[0])
        failed = f"variable '{self.name}' cannot be read"
        raw = self.reader.request(self.path, failed, self.name, axis, key)
        return unpacked(raw, attributes).astype(np.float32)


def time_of(dataset: xr.Dataset, name: str) -> tuple[str, str] | None:
    """The time dimension of a variable and its coordinate; None for static variables.

    Of several coordinates along a dimension the one whose `standard_name` is time, else the dimension's own.
    """
    for dim in map(str, dataset[name].dims):
        found = [
            str(other)
            for other, held in dataset.variables.items()
            if held.dims == (dim,) and " since " in str(held.attrs.get("units", ""))
        ]
        found.sort(key=lambda one: (dataset[one].attrs.get("standard_name", "time") != "time", one != dim))
        if found or dim == "time":
            return dim, next(iter(found), dim)
    return None


def _refuse_by_first_bytes(path: Path) -> None:
    """Raise ConvoyError for a path that cannot be NetCDF or Zarr, without loading the libraries."""
    if not path.exists():
        raise ConvoyError("no such file", path=path)
    if path.is_dir():
        if not any((path / mark).is_file() for mark in zipped_io.ZARR_MARKS):
            raise ConvoyError(
                f"a folder, but no Zarr store: none of {', '.join(zipped_io.ZARR_MARKS)} in it", path=path
            )
        return
    try:
        with open(path, "rb") as file:
            first = file.read(8)
            # HDF5 may begin after a user block of 512 bytes or a power-of-two multiple of that.
            blocks = [first] + [file.read(8) for at in (512, 1024, 2048) if file.seek(at)]
    except OSError as error:
        raise ConvoyError(f"cannot be read: {error.strerror}", path=path) from None
    if not first:
        raise ConvoyError("an empty file", path=path, hint=AGAIN)
    if first[:4] == zipped_io.MAGIC:
        zipped_io.root_of(path)
    elif first[:4] in classic.MAGIC:
        classic.refuse_truncated(path)
    elif HDF5_MAGIC not in blocks:
        raise ConvoyError(f"not NetCDF: it begins with {first!r}", path=path, expected="NetCDF-3, -4 or Zarr")
