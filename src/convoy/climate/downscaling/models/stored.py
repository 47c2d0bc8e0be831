"""Checks a stored downscaling model before it is used: config, weights and grids must be consistent."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from convoy.climate.data.axes import CALENDARS
from convoy.climate.data.variables import DAILY, ELEVATION
from convoy.climate.downscaling.models.baselines import QUANTILES, SEASONS
from convoy.core.artifact import CONFIG, StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import Section, parse
from convoy.core.printable import cut
from convoy.core.stored import AGAIN, LARGEST, Expected, Name, StoredConfig, check

TASK = "climate/downscaling"
STATIC, GRID, NETWORK = "static.", "grid.", "network."
TRUTH = "cells_with_truth"  # (H, W): 1 in the cells with a truth on some training day
DEEPEST_UNET = 4  # each level halves the grid and doubles the channels
# Largest number of cells of both grids together along an axis, which bounds the matrices between them.
_MATRIX_AT_MOST = 1 << 23
_METRES = -12_000, 9_500  # from the deepest trench to the highest summit
_ADDED_CHANNELS = 2  # the day's lapse rate and the coarse height

Conserve: TypeAlias = Literal["none", "additive", "softmax"]
_Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
_Positive = Annotated[float, Field(ge=1e-12, le=LARGEST)]
_Width = Annotated[int, Field(ge=1, le=4096)]

TensorsOf: TypeAlias = Callable[[int, tuple[int, int]], dict[str, Expected]]


class Row(Protocol):
    """The part of a registry row that the check uses: `tensors` of a baseline, None for a network."""

    @property
    def per_pixel(self) -> bool: ...

    @property
    def tensors(self) -> TensorsOf | None: ...


class _Surface(Section):
    elevation: tuple[_Value, _Value]
    latitude: tuple[_Value, _Value]
    ratio: tuple[_Positive, _Positive]


class _Config(StoredConfig):
    task: Literal["climate/downscaling"]
    target: Name
    inputs: tuple[Name, ...] = Field(min_length=1, max_length=64)
    source: Name
    calendar: Name
    range: dict[Name, tuple[_Value, _Value]]
    surface: _Surface | None = None  # model folders of before have none
    place: Name | None
    # Units of inputs that are not in the table of variables.
    units: dict[Name, Name] = Field({})

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for name in self.inputs:
            if name not in (*DAILY, *self.units):
                raise ValueError(
                    f"inputs: unknown '{name}'; expected some of {', '.join(DAILY)}, or others with units"
                )
        if len(set(self.inputs)) != len(self.inputs) or self.target not in self.inputs:
            raise ValueError("inputs: expected each once, and the target among them")
        if self.range.keys() != set(self.inputs):
            raise ValueError("range: expected one for each input")
        if not all(low <= high for low, high in self.range.values()):
            raise ValueError("range: expected the lower value first")
        if self.calendar not in CALENDARS.values():
            raise ValueError(f"calendar: expected one of {', '.join(CALENDARS)}")
        return self


class _Network(Section):
    channels: int = Field(ge=1, le=1024)
    static_fields: int = Field(ge=0, le=1024)
    trunk: Literal["residual", "srcnn", "separable", "unet"]
    width: _Width
    depth: int = Field(ge=1, le=64)
    hidden: _Width
    layers: int = Field(ge=1, le=16)
    conserve: Conserve
    spread: Literal["none", "normal"]
    scale: _Positive
    level: _Value
    pixels: tuple[int, int] | None


class _Scaling(Section):
    weather_mean: tuple[_Value, ...]
    weather_std: tuple[_Positive, ...]
    static_names: tuple[Name, ...]
    static_mean: tuple[_Value, ...]
    static_std: tuple[_Positive, ...]
    level: _Value
    residual: _Positive


class _Conserved(Section):
    setting: Conserve | Literal["auto"]
    used: Conserve
    disagreement: float | None = Field(ge=0)
    reason: str | None = Field(None, max_length=300)


class _NetworkConfig(_Config):
    network: _Network
    scaling: _Scaling
    conserve: _Conserved

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        network, scaling = self.network, self.scaling
        channels = len(self.inputs) + _ADDED_CHANNELS
        pairs: dict[str, tuple[Any, Any]] = {
            "network.trunk": (network.trunk, self.kind),
            "network.channels": (network.channels, channels),
            "scaling.weather_mean": (len(scaling.weather_mean), channels),
            "scaling.weather_std": (len(scaling.weather_std), channels),
            "network.static_fields": (network.static_fields, len(scaling.static_names)),
            "scaling.static_mean": (len(scaling.static_mean), len(scaling.static_names)),
            "scaling.static_std": (len(scaling.static_std), len(scaling.static_names)),
            "scaling.static_names": (len(set(scaling.static_names)), len(scaling.static_names)),
            "network.scale": (network.scale, scaling.residual),
            "network.level": (network.level, scaling.level),
            "conserve.used": (self.conserve.used, network.conserve),
            "network.pixels, where there is a place": (network.pixels is None, self.place is None),
        }
        for name, (found, expected) in pairs.items():
            if found != expected:
                raise ValueError(f"{name}: {found} does not match {expected} in the rest of the config")
        if network.trunk == "unet" and network.depth > DEEPEST_UNET:
            raise ValueError(f"network.depth: a unet has at most {DEEPEST_UNET} levels")
        return self


def check_model(stored: StoredModel, models: Mapping[str, Row]) -> StoredModel:
    """The model, after checking that its config, tensors and grids are consistent.

    models: the registry's rows by name. Raises ConvoyError (one line) for the first thing that does not: an
    unknown kind or key, a value out of bounds, a tensor of another name, type, shape or range, an
    invalid grid. Takes little memory, whatever sizes the config states.
    """
    kind = stored.config.get("kind")
    if stored.config.get("task") != TASK or not isinstance(kind, str):
        raise ConvoyError(
            path=f"{stored.name}: {CONFIG}", key="key 'task'", expected=f"{TASK}, so this downscales nothing"
        )
    if kind not in models:
        raise ConvoyError(
            f"model '{cut(kind, 40)}' is none of ours",
            path=stored.name, expected=f"one of {', '.join(models)}",
        )  # fmt: skip
    row, where = models[kind], f"{stored.name}: {CONFIG}"
    config = parse(stored.config, _Config if row.tensors else _NetworkConfig, where)
    if row.tensors is not None and row.per_pixel == (config.place is None):
        raise ConvoyError(f"not as a model '{kind}' has it", path=where, key="key 'place'")
    for seed, tensors in stored.seeds.items():
        _check_tensors(config, row.tensors, tensors, f"{stored.name}: seed {seed}")
    return stored


def _check_tensors(
    config: _Config, of_baseline: TensorsOf | None, tensors: Mapping[str, npt.NDArray[Any]], where: str
) -> None:
    coarse, fine = (_shape(tensors, which) for which in ("coarse", "fine"))
    if max(coarse[0] * fine[0], coarse[1] * fine[1]) > _MATRIX_AT_MOST:
        raise ConvoyError(
            f"grids of {list(coarse)} and {list(fine)} cells are too large together", path=where
        )
    expected: dict[str, Expected] = {}
    for which, shape in (("coarse", coarse), ("fine", fine)):
        expected |= _grid(which, shape)
        static = [name for name in tensors if name.startswith(f"{STATIC}{which}.")]
        expected |= {name: Expected("float32", shape, gaps=True) for name in static}
        expected[f"{STATIC}{which}.{ELEVATION}"] = Expected("float32", shape, *_METRES, gaps=True)
    if TRUTH in tensors:
        expected[TRUTH] = Expected("uint8", fine, 0, 1)
    if isinstance(config, _NetworkConfig):
        pixels = config.network.pixels
        if pixels is not None and pixels != fine:
            raise ConvoyError(f"network.pixels {list(pixels)}, but the fine grid is {list(fine)}", path=where)
        expected |= {f"{STATIC}fine.{name}": Expected("float32", fine, gaps=True)
                     for name in config.scaling.static_names if name != ELEVATION}  # fmt: skip
        expected |= {f"{NETWORK}{name}": value for name, value in shapes(config.network.model_dump()).items()}
    elif of_baseline is not None:
        expected |= of_baseline(len(config.inputs), fine)
    check(tensors, expected, where)
    for which in ("coarse", "fine"):
        for axis in ("lat", "lon"):
            _check_axis(tensors, f"{GRID}{which}.{axis}", where)


def shapes(network: Mapping[str, Any]) -> dict[str, Expected]:
    """Tensors of a network by `state_dict` name, from its constructor's arguments; takes no memory."""
    import torch

    from convoy.nn.downscaling import Downscaler

    with torch.device("meta"):
        state = Downscaler(**network).state_dict()
    expected = {}
    for name, tensor in state.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        counts = dtype == "int64"
        low = 0 if counts or name.endswith("running_var") else -LARGEST
        expected[name] = Expected(dtype, tuple(tensor.shape), low, 2.0**62 if counts else LARGEST)
    return expected


def _shape(tensors: Mapping[str, npt.NDArray[Any]], which: str) -> tuple[int, int]:
    """Cells of a grid along latitude and longitude, (0, 0) where it has none."""
    found = [tensors.get(f"{GRID}{which}.{axis}.centres", np.empty(0)).size for axis in ("lat", "lon")]
    return found[0], found[1]


def _grid(which: str, shape: tuple[int, int]) -> dict[str, Expected]:
    expected = {}
    for axis, count, least, greatest in (("lat", shape[0], -90, 90), ("lon", shape[1], -540, 540)):
        prefix = f"{GRID}{which}.{axis}"
        expected[f"{prefix}.centres"] = Expected("float64", (count,), least, greatest)
        # Bounds that are guessed from the centres may reach half a cell beyond a pole.
        expected[f"{prefix}.bounds"] = Expected("float64", (count, 2), 2 * least, 2 * greatest)
    return expected


def _check_axis(tensors: Mapping[str, npt.NDArray[Any]], name: str, where: str) -> None:
    centres, bounds = tensors[f"{name}.centres"], tensors[f"{name}.bounds"]
    ascending = all((np.diff(values) > 0).all() for values in (centres, bounds[:, 0], bounds[:, 1]))
    width = np.diff(bounds, axis=1)[:, 0]
    inside = (bounds[:, 0] <= centres) & (centres <= bounds[:, 1]) & (width > 0)
    apart = bounds[1:, 0] >= bounds[:-1, 1] - 0.01 * width[1:]
    if len(centres) == 0 or not (ascending and inside.all() and apart.all()):
        raise ConvoyError(
            path=where, key=f"tensors '{name}.centres' and '{name}.bounds'",
            expected="ascending centres, each within the bounds of its cell, and cells that do not overlap",
            hint=AGAIN,
        )  # fmt: skip


def no_tensors(_inputs: int, _fine: tuple[int, int]) -> dict[str, Expected]:
    """Tensors of a baseline that is not fitted: none."""
    return {"nothing": Expected("float32", (1,))}


def lapse_tensors(_inputs: int, _fine: tuple[int, int]) -> dict[str, Expected]:
    """A lapse rate for each month."""
    return {"lapse": Expected("float32", (12,))}


def pixel_month_tensors(name: str) -> TensorsOf:
    """A value for each month and pixel."""
    return lambda _inputs, fine: {name: Expected("float32", (12, *fine), gaps=True)}


def quantile_tensors(_inputs: int, fine: tuple[int, int]) -> dict[str, Expected]:
    """Quantiles by season and pixel of interpolation and truth."""
    of_pixels = Expected("float32", (SEASONS, len(QUANTILES), *fine), gaps=True)
    return {"guess": of_pixels, "truth": of_pixels}


def ridge_tensors(inputs: int, fine: tuple[int, int]) -> dict[str, Expected]:
    """The weights of each pixel and the scaling of the predictors."""
    predictors = 9 * inputs + 4  # the cells around, and two harmonics of the year
    return {
        "weights": Expected("float32", (predictors + 1, *fine), gaps=True),
        "mean": Expected("float32", (predictors,)),
        "scale": Expected("float32", (predictors,), low=1e-12),
        "penalty": Expected("float32", (1,), low=0),
    }
