"""What `convoy downscale` writes: one CF NetCDF-4 file, block by block."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, prod
from pathlib import Path

import numpy as np

from convoy.climate.data.cf import dataset, days_a_chunk, declare
from convoy.climate.data.domains import Days, Fields, Grid
from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_file

Part = tuple[slice, Mapping[str, Fields]]


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
        _in_one_line(path),
        dataset(partial, grid, days, attributes) as file,
    ):
        chunk = days_a_chunk(len(days), grid.shape)
        _check_room(path, len(variables) * ceil(len(days) / chunk) * chunk * prod(grid.shape) * 4)
        stored = {name: declare(file, name, of_variable) for name, of_variable in variables.items()}
        for span, fields in parts:
            for name, field in fields.items():
                variable = stored[name]
                variable[span] = np.where(np.isnan(field), variable._FillValue, field)
        file.comment = remarks()


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """Turn what the NetCDF library refuses, at a write or at last at the end, into one line.

    A full disk is an error of HDF5's there.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("NetCDF:"):
            raise
        asked = ": is the disk full?" if "HDF error" in str(error) else ""
        raise ConvoyError(f"{path}: cannot be written ({error}){asked}") from None


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise ConvoyError(
            f"{path}: {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free; name another place"
        )
