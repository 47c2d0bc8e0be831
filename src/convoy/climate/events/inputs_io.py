"""Images to explain, read from files: pictures, and NetCDF files with one variable per channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convoy.climate.data.axes import coordinates, latitudes, longitudes
from convoy.climate.data.netcdf import Reader, time_of
from convoy.climate.data.units import conversion
from convoy.climate.events.sources.class_folders_io import SUFFIXES, decode
from convoy.core.errors import ConvoyError

PICTURE_CHANNELS = ("red", "green", "blue")
MOST_STEPS = 10_000
"""Of one NetCDF file."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The images of one file, (n, C, H, W), and a name of each for its overlay."""

    values: npt.NDArray[Any]
    names: list[str]


def read_inputs(
    path: Path, channels: Sequence[str], units: Sequence[str], edges: tuple[int, int], reader: Reader
) -> Inputs:
    """The images of a file as a model with these channels takes them.

    A picture is brought to the model's size. A NetCDF file has a variable per channel, of the model's size,
    and may have a time dimension; rows are from north to south where it has latitudes.
    Raises ConvoyError for a file of the other kind, other sizes and units.
    """
    is_picture = path.suffix.lower() in SUFFIXES
    if is_picture != (tuple(channels) == PICTURE_CHANNELS):
        expected = "a picture" if not is_picture else f"NetCDF with {', '.join(channels)}"
        raise ConvoyError("not what the model was trained on", path=path, expected=expected)
    if is_picture:
        if edges[0] != edges[1]:
            raise ConvoyError("the model's images are not square", path=path)
        return Inputs(decode(path, edges[0]).pixels[None], [path.stem])
    dataset = reader.open(path)
    fields = [_field(dataset, name, unit, edges, path) for name, unit in zip(channels, units, strict=True)]
    counts = {len(field) for field in fields}
    if len(counts) != 1:
        raise ConvoyError("the channels have different numbers of times", path=path)
    values = np.stack(fields, axis=1)
    one = len(values) == 1
    return Inputs(values, [path.stem if one else f"{path.stem}-{step:05d}" for step in range(len(values))])


def _field(dataset: Any, name: str, unit: str, edges: tuple[int, int], path: Path) -> npt.NDArray[np.float32]:
    """One channel (n, H, W) in the model's units, north at the top and west on the left where they are known.

    Files may begin in the south, and a map that is upside down has its cyclones turn the other way.
    """
    if name not in dataset:
        raise ConvoyError(f"no variable '{name}'", path=path, found=", ".join(map(str, dataset.data_vars)))
    variable = dataset[name]
    time = time_of(dataset, name)
    found = _located(dataset, name)
    places = None if found is None else (latitudes(dataset, found[0])[1], longitudes(dataset, found[1])[1])
    first = [*([] if time is None else [time[0]])]
    last = [] if found is None else [dataset[coordinate].dims[0] for coordinate in found]
    between = [dim for dim in variable.dims if dim not in {*first, *last}]
    variable = variable.transpose(*first, *between, *last)
    shape = variable.shape if time is not None else (1, *variable.shape)
    if shape[1:] != edges:
        raise ConvoyError(
            path=path, key=f"variable '{name}'", expected=f"{edges[0]} x {edges[1]} cells, as in training",
            found=" x ".join(map(str, variable.shape)), hint="regrid it",
        )  # fmt: skip
    if not 1 <= shape[0] <= MOST_STEPS:
        raise ConvoyError(f"{shape[0]:,} times", path=path, expected=f"1 to {MOST_STEPS:,}", hint="cut it")
    stated = str(variable.attrs.get("units", ""))
    scale = conversion(stated, unit) if stated else None
    if scale is None:
        raise ConvoyError(
            path=path, key=f"variable '{name}'", expected=f"units that convert to {unit}",
            found=f"'{stated}'" if stated else "none",
        )  # fmt: skip
    # An anomaly is a difference, so that the offset of degC to K does not count.
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
        values = np.asarray(variable.values, np.float32).reshape(shape) * np.float32(scale.scale)
    if not np.isfinite(values).all():
        raise ConvoyError(
            "missing or infinite values", path=path, key=f"variable '{name}'", hint="fill them first"
        )
    return values if places is None else values[:, places[0][::-1, None], places[1]]


def _located(dataset: Any, name: str) -> tuple[str, str] | None:
    """Latitude and longitude of a variable; None for a grid without them, taken as it is stored."""
    try:
        return coordinates(dataset, name)
    except ConvoyError:
        return None
