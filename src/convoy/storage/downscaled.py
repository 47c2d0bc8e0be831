"""What `convoy downscale` reads and writes: blocks of days of one file in, one CF NetCDF-4 file out."""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np

from convoy.errors import ConvoyError
from convoy.storage import classic
from convoy.storage.cf import dataset, declare
from convoy.storage.files import atomic_file
from convoy.storage.grids import Days, Fields, Grid
from convoy.storage.netcdf import HDF5_MAGIC, GridFile

# Read at a time, per variable: a file whose chunks span all of time is unpacked a few times, not often.
_VALUES_A_BLOCK = 1 << 22

Part = tuple[slice, Mapping[str, Fields]]


def blocks(file: GridFile, variables: Collection[str], days: int) -> Iterator[tuple[int, dict[str, Fields]]]:
    """All `days` days of some variables as the file has them: the first day of a block, and its fields."""
    cells = max(prod(file.facts.variables[name].shape) // days for name in variables)
    length = max(1, _VALUES_A_BLOCK // max(cells, 1))
    for start in range(0, days, length):
        yield start, {name: file.days(name, start, min(start + length, days)) for name in variables}


def write(
    path: Path, grid: Grid, days: Days, variables: Mapping[str, Mapping[str, str]],
    attributes: Mapping[str, str], parts: Iterable[Part], remarks: Callable[[], str],
) -> None:  # fmt: skip
    """Write the file as a whole or not at all; the same parts give the same bytes.

    variables: attributes by name; attributes: of the file; parts: spans of days and their fields (T, H, W),
    NaN where missing; remarks: asked after the last part, what becomes the file's `comment`. Raises
    ConvoyError where the disk is too small.
    """
    with (
        atomic_file(path) as partial,
        _saying_full(path),
        dataset(partial, grid, days, attributes) as file,
    ):
        _check_room(path, len(variables) * len(days) * prod(grid.shape) * 4)
        stored = {name: declare(file, name, of_variable) for name, of_variable in variables.items()}
        for span, fields in parts:
            for name, field in fields.items():
                variable = stored[name]
                variable[span] = np.where(np.isnan(field), variable._FillValue, field)
        file.comment = remarks()


def is_netcdf(path: Path) -> bool:
    """Whether a file begins as NetCDF files do."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        first = file.read(len(HDF5_MAGIC))
    return first == HDF5_MAGIC or first[:4] in classic.MAGIC


@contextmanager
def _saying_full(path: Path) -> Iterator[None]:
    """Turn what the NetCDF library says of a full disk, at a write or at last at the end, into one line."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("NetCDF:"):
            raise
        raise ConvoyError(f"{path}: cannot be written ({error}): is the disk full?") from None


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ConvoyError(
            f"{path}: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; name another place"
        )
