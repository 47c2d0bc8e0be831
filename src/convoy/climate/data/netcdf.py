"""Other people's NetCDF files and Zarr stores, read in a child process: what is in them, and days of it.

Nothing is brought to our convention here (see convoy.climate.data.conventions): variables keep their names,
units and order of dimensions. Declared fill values become NaN, packed numbers are unpacked, and numbers that
look like a fill value that nobody declared are refused.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cftime
import numpy as np
import numpy.typing as npt

from convoy.climate.data import classic, netcdf_child
from convoy.climate.data.domains import Fields
from convoy.climate.data.packing import undeclared_fill, unpacked
from convoy.core.errors import ConvoyError

ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
AGAIN = "copy or make it again"


@dataclass(frozen=True)
class StoredVariable:
    """A variable as the file has it; missing and packed values by its attributes (CF-1.11, 2.5.1 and 8.1)."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class FileFacts:
    """What a file says of itself. coordinates: all (n,) and (n, 2) variables of numbers, float64."""

    path: str
    variables: Mapping[str, StoredVariable]
    coordinates: Mapping[str, npt.NDArray[np.float64]]
    attributes: Mapping[str, Any]

    def time_of(self, variable: str) -> tuple[str, str] | None:
        """The dimension of time of a variable and the coordinate that says when; None for static ones."""
        for dim in self.variables[variable].dims:
            candidates = [
                name
                for name, other in self.variables.items()
                if other.dims == (dim,) and " since " in str(other.attributes.get("units", ""))
            ]
            for name in sorted(candidates, key=lambda name: name != dim):
                return dim, name
            if dim == "time":
                return dim, dim
        return None

    def place(self, variable: str, index: tuple[int, ...]) -> str:
        """A cell in words: its date and coordinates, or indices where there are none."""
        time = self.time_of(variable)
        words = []
        for dim, at in zip(self.variables[variable].dims, index, strict=True):
            if time is not None and dim == time[0] and time[1] in self.coordinates:
                words.append(self._date(time[1], at))
            elif dim in self.coordinates:
                words.append(f"{dim} {self.coordinates[dim][at]:.6g}")
            else:
                words.append(f"{dim} index {at}")
        return ", ".join(words)

    def _date(self, coordinate: str, at: int) -> str:
        value, attributes = self.coordinates[coordinate][at], self.variables[coordinate].attributes
        try:
            date = cftime.num2date(value, attributes["units"], attributes.get("calendar", "standard").lower())
        except (KeyError, ValueError, AttributeError, TypeError, OverflowError):
            return f"{coordinate} {value:.10g}"
        return f"{coordinate} {date.year:04d}-{date.month:02d}-{date.day:02d}"


class Reader:
    """One child process that reads any number of files; started at the first request, and after a crash.

    patience_s: how long an answer may take. Some broken files keep HDF5 in an endless loop.
    """

    def __init__(self, patience_s: float = 300.0) -> None:
        self.patience_s = patience_s
        self._child: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, FileFacts] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        if self._child is None:
            return
        child, self._child = self._child, None
        for pipe in (child.stdin, child.stdout):
            try:
                pipe.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                pass
        child.kill()
        child.wait()

    def facts(self, path: str | Path) -> FileFacts:
        """What the file at `path` says of itself; ConvoyError where it cannot be read."""
        key = str(path)
        if key not in self._facts:
            _refuse_by_first_bytes(Path(path))
            reply, coordinates = self._ask(key, "cannot be opened", do="describe")
            variables = {
                name: StoredVariable(
                    tuple(stored["dims"]), tuple(stored["shape"]), stored["dtype"], stored["attributes"]
                )
                for name, stored in reply["variables"].items()
            }
            if not variables:
                raise ConvoyError(f"{key}: no variables in it (those in groups are not read)")
            decoded = {
                name: unpacked(raw, variables[name].attributes).astype(np.float64)
                for name, raw in coordinates.items()
            }
            self._facts[key] = FileFacts(key, variables, decoded, reply["attributes"])
        return self._facts[key]

    def days(self, path: str | Path, variable: str, start: int = 0, stop: int | None = None) -> Fields:
        """Times `start` to `stop` of a variable, its dimensions in the file's order; NaN where missing.

        A variable without time is read whole. Raises ConvoyError for a variable that is not there or holds
        no numbers, for a broken file, and for values that are not finite or look like a fill value, but are
        not declared as one.
        """
        facts = self.facts(path)
        if variable not in facts.variables:
            raise ConvoyError(f"{path}: no variable '{variable}'; it has {', '.join(facts.variables)}")
        stored, time = facts.variables[variable], facts.time_of(variable)
        if re.fullmatch(r"(u?int|float)\d+", stored.dtype) is None:
            raise ConvoyError(f"{path}: variable '{variable}' holds {stored.dtype}; expected numbers")
        axis = None if time is None else stored.dims.index(time[0])
        raw = self._ask(
            str(path), f"variable '{variable}' cannot be read", do="read", variable=variable,
            axis=axis, start=start, stop=stop,
        )[1][variable]  # fmt: skip
        values = unpacked(raw, stored.attributes)
        wrong = undeclared_fill(values, stored.attributes)
        if wrong.any():
            index = [int(at) for at in np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
            value = float(values[tuple(index)])
            if axis is not None:
                index[axis] += start
            found = f"{value:.7g}" if np.isfinite(value) else "a value that is not finite"
            raise ConvoyError(
                f"{path}: variable '{variable}' holds {found} at {facts.place(variable, tuple(index))} "
                f"(the first of {int(wrong.sum()):,}); if it stands for missing, declare it as the "
                "variable's _FillValue"
            )
        return values.astype(np.float32)

    def _ask(
        self, path: str, failed: str, **request: Any
    ) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        if self._child is None:
            self._child = _start()
        try:
            message = {"path": str(Path(path).absolute()), **request}
            reply, arrays = _exchange(self._child, message, self.patience_s)
        except TimeoutError:
            self.close()
            raise ConvoyError(
                f"{path}: broken: the NetCDF library does not answer within {self.patience_s:g} s; {AGAIN}"
            ) from None
        except (EOFError, BrokenPipeError):
            code = self._child.wait(timeout=60)
            self.close()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise ConvoyError(f"{path}: broken: it crashes the NetCDF library ({how}); {AGAIN}") from None
        if "error" in reply:
            reason = " ".join(reply["error"].replace(f": '{Path(path).absolute()}'", "").split())[:300]
            raise ConvoyError(f"{path}: {failed}, truncated or broken ({reason}); {AGAIN}")
        return reply, arrays


def _start() -> subprocess.Popen[bytes]:
    # Files are only read, and disks that are read-only or far away have no locks.
    environment = {**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE"}
    return subprocess.Popen(  # noqa: S603 (our own module)
        [sys.executable, "-P", "-m", netcdf_child.__name__],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip


def _exchange(
    child: subprocess.Popen[bytes], request: dict[str, Any], patience_s: float
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Send one request and read its reply; EOFError or BrokenPipeError where the child is gone."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()
    if not select.select([child.stdout], [], [], patience_s)[0]:
        raise TimeoutError
    line = child.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    reply = json.loads(line)
    arrays = {}
    for name, dtype, shape in reply["arrays"]:
        values = np.empty(shape, dtype)
        whole = memoryview(values.reshape(-1).view(np.uint8).data) if values.size else memoryview(b"")
        done = 0
        while done < len(whole):
            read = child.stdout.readinto(whole[done:])  # type: ignore[attr-defined]
            if not read:
                raise EOFError
            done += read
        arrays[name] = values
    return reply, arrays


def _refuse_by_first_bytes(path: Path) -> None:
    """What can be said of a path without the libraries."""
    if not path.exists():
        raise ConvoyError(f"{path}: no such file")
    if path.is_dir():
        if not any((path / mark).is_file() for mark in ZARR_MARKS):
            raise ConvoyError(f"{path}: a folder, but no Zarr store: none of {', '.join(ZARR_MARKS)} in it")
        return
    try:
        with open(path, "rb") as file:
            first = file.read(8)
            # HDF5 may begin after a block of the user's own, of 512 bytes or a doubling of that.
            blocks = [first] + [file.read(8) for at in (512, 1024, 2048) if file.seek(at)]
    except OSError as error:
        raise ConvoyError(f"{path}: cannot be read: {error.strerror}") from None
    if not first:
        raise ConvoyError(f"{path}: an empty file; {AGAIN}")
    if first[:4] in classic.MAGIC:
        classic.refuse_truncated(path)
    elif HDF5_MAGIC not in blocks:
        raise ConvoyError(f"{path}: not NetCDF: it begins with {first!r}; expected NetCDF-3, -4 or Zarr")
