"""Writer of the output of `convoy downscale`: one CF NetCDF-4 file, block by block."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil, prod
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr

from convoy.climate.data.datasets import FILL, dataset, days_a_chunk
from convoy.climate.data.domains import Days, Fields, Grid
from convoy.climate.data.io import write_dataset
from convoy.climate.data.variables import VARIABLES
from convoy.core.errors import ConvoyError
from convoy.core.files import atomic_file, check_room
from convoy.core.printable import reason

# 0.59 of the size for fields of temperature; higher levels save 0.02 more and take up to nine times as long.
ZLIB_LEVEL = 1
Part = tuple[slice, Mapping[str, Fields]]


def write(
    path: Path, grid: Grid, days: Days, variables: Mapping[str, Mapping[str, str]],
    attributes: Mapping[str, str], parts: Iterable[Part], remarks: Callable[[], str],
    zlib_level: int = ZLIB_LEVEL,
) -> None:  # fmt: skip
    """Write the file as a whole or not at all; the same parts give the same bytes.

    variables: attributes by name; attributes: of the file; parts: spans of days and their fields (T, H, W),
    NaN where missing; remarks: called after the last part, returns the file's `comment`; zlib_level: 0 for no
    compression, which loses nothing. Raises ConvoyError where the disk is too small.
    """
    with atomic_file(path) as partial, _in_one_line(path):
        chunk = days_a_chunk(len(days), grid.shape)
        bytes_a_chunk = 4 * chunk * prod(grid.shape)
        write_dataset(partial, _empty(grid, days, variables, attributes))
        check_room(path, len(variables) * ceil(len(days) / chunk) * bytes_a_chunk)
        storage: dict[str, Any] = {
            "compression": "zlib" if zlib_level else None, "complevel": zlib_level, "shuffle": zlib_level > 0,
            # A chunk that does not fit is compressed again at each of its days.
            "chunk_cache": bytes_a_chunk, "chunksizes": (chunk, *grid.shape), "fill_value": FILL,
        }  # fmt: skip
        with netCDF4.Dataset(str(partial), "a") as file:
            file.set_auto_mask(False)
            stored = {
                name: file.createVariable(name, "f4", ("time", "lat", "lon"), **storage) for name in variables
            }
            for name, of_variable in variables.items():
                stored[name].setncatts({"long_name": name.replace("_", " "), **of_variable})
            for span, fields in parts:
                for name, field in fields.items():
                    stored[name][span] = np.where(np.isnan(field), FILL, field)
            file.comment = remarks()


def _empty(
    grid: Grid, days: Days, variables: Mapping[str, Mapping[str, str]], attributes: Mapping[str, str]
) -> xr.Dataset:
    """Write the file without its variables, which are written by day, while xarray writes whole ones."""
    of_height = [name for name, row in VARIABLES.items() if row.height_m is not None and name in variables]
    flat = np.zeros(grid.shape, np.float32)
    return dataset(grid, days, dict.fromkeys(of_height, flat), attributes).drop_vars(of_height)


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
        advice = ": is the disk full?" if "HDF error" in str(error) else ""
        raise ConvoyError(f"cannot be written ({reason(error)}){advice}", path=path) from None
