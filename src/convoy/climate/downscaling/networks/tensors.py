"""Days of grids as tensors for a network, and their scaling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convoy.climate.data.domains import Domain, Fields, Grid
from convoy.climate.data.lapse import at_height, at_sea_level, daily_lapse, filled
from convoy.climate.data.regridding import area_mean, interpolation
from convoy.nn.downscaling import Geometry, Inputs, Surface
from convoy.training.batches import Batch, Plan, equal_shapes_plan

# Positive and skewed variables are transformed to be closer to a Gaussian.
TRANSFORMS: dict[str, Any] = {
    "huss": lambda field: np.log(np.maximum(field, 1e-6)),
    "pr": lambda field: np.sqrt(np.maximum(field, 0)),
}
# Days per batch that fit into the processor's cache between the layers.
INFERENCE_DAYS = 16


@dataclass(frozen=True)
class Scaling:
    """Means and standard deviations of the training days, by which inputs are standardised.

    weather: per channel (C,); static: per static field (S,), which `static_names` lists; level: a typical
    value of the target; residual: the standard deviation of truth minus base.
    """

    weather_mean: tuple[float, ...]
    weather_std: tuple[float, ...]
    static_names: tuple[str, ...]
    static_mean: tuple[float, ...]
    static_std: tuple[float, ...]
    level: float
    residual: float


def scaling(domains: Sequence[Domain], target: str) -> Scaling:
    """The scaling by the training days."""
    weather = [_weather(domain, target, daily_lapse(domain, target)) for domain in domains]
    names = tuple(domains[0].static)
    surface = {domain.place: domain for domain in domains}.values()
    static = [
        np.concatenate([np.nan_to_num(domain.static[name]).ravel() for domain in surface]) for name in names
    ]
    residuals, levels = [], []
    for domain in domains:
        assert domain.target is not None
        base = at_height(domain, target, daily_lapse(domain, target))
        residuals.append(np.nanmean((domain.target - base) ** 2))
        levels.append(np.nanmean(domain.inputs[target]))
    channels = range(weather[0].shape[1])
    return Scaling(
        tuple(float(np.mean([np.nanmean(part[:, channel]) for part in weather])) for channel in channels),
        tuple(_std(np.concatenate([part[:, channel].ravel() for part in weather])) for channel in channels),
        names,
        tuple(float(field.mean()) for field in static),
        tuple(_std(field) for field in static),
        float(np.mean(levels)),
        float(np.sqrt(np.mean(residuals))) or 1.0,
    )


def _std(values: npt.NDArray[Any]) -> float:
    return float(np.nanstd(values)) or 1.0


def _weather(domain: Domain, target: str, lapse: npt.NDArray[np.float32]) -> Fields:
    """Channels (T, C, h, w): the target at sea level minus its daily mean, other inputs, lapse, height.

    NaN on the days on which an input is missing in all cells.
    The mean of the region has no information about the pattern, and in a warmer climate it is outside the
    range of the training days.
    """
    height_km = domain.coarse_static["elevation"] / np.float32(1000)
    level = at_sea_level(domain, target, lapse)
    channels = [level - level.mean(axis=(1, 2), keepdims=True)]
    for name, field in domain.inputs.items():
        if name != target:
            channels.append(_transformed(name, filled(field)))
    channels.append(np.broadcast_to(lapse[:, None, None], level.shape))
    channels.append(np.broadcast_to(height_km, level.shape))
    return np.stack(channels, axis=1).astype(np.float32)


def _transformed(name: str, field: Fields) -> Fields:
    return TRANSFORMS[name](field) if name in TRANSFORMS else field


def geometry(coarse: Grid, fine: Grid) -> Geometry:
    """The matrices between the two grids."""
    up, means = interpolation(coarse, fine, "bicubic"), area_mean(fine, coarse)
    matrices = (
        up.lat, up.lon, means.lat, means.lon, np.linalg.pinv(means.lat), np.linalg.pinv(means.lon),
    )  # fmt: skip
    return Geometry(*(torch.from_numpy(matrix.astype(np.float32)) for matrix in matrices))


class GridBatches:
    """Days of one or more domains, resident on a device; all domains have the same grids by shape.

    Targets are (N, H, W) minus the scaling's level, NaN where the truth is missing; without a truth they are
    the coarse field, which is not used. `between`: the matrices of `geometry`, where they are known already.
    """

    def __init__(
        self, domains: Sequence[Domain], target: str, scale: Scaling, between: Geometry | None = None
    ) -> None:
        places = list(dict.fromkeys(domain.place for domain in domains))
        surface = [next(domain for domain in domains if domain.place == place) for place in places]
        parts = [_tensors(domain, target, scale, places.index(domain.place)) for domain in domains]
        self.weather, self.coarse, self.lapse, self.season, self.domain = (
            torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)
        )
        truths = [domain.target - np.float32(scale.level) for domain in domains if domain.target is not None]
        whole = len(truths) == len(domains)
        self.truth = torch.from_numpy(np.concatenate(truths)) if whole else None
        self.surface = _surface(surface, scale)
        self.geometry = between or geometry(domains[0].coarse, domains[0].fine)
        self.labels = [f"{domain.name} {label}" for domain in domains for label in domain.days.labels]

    def __len__(self) -> int:
        return len(self.lapse)

    def to(self, device: torch.device) -> "GridBatches":
        moved = object.__new__(GridBatches)
        moved.labels = self.labels
        for name in ("weather", "coarse", "lapse", "season", "domain"):
            setattr(moved, name, getattr(self, name).to(device))
        moved.truth = None if self.truth is None else self.truth.to(device)
        moved.surface = Surface(*(tensor.to(device) for tensor in self.surface))
        moved.geometry = Geometry(*(tensor.to(device) for tensor in self.geometry))
        return moved

    def plan(self, batch_size: int, random: np.random.Generator | None) -> Plan:
        if random is None and self.lapse.is_cuda:
            # 256 MB for 64 channels in bfloat16; on large grids the training batch size is used.
            batch_size = max(batch_size, min(512, 2**21 // self.surface.elevation_km[0].numel()))
        elif random is None:
            batch_size = max(batch_size, INFERENCE_DAYS)
        return equal_shapes_plan(len(self), batch_size, random, self.lapse.device)

    def draw(self, batch: Batch, training: bool) -> tuple[Inputs, Tensor]:  # noqa: ARG002
        items = batch.items
        inputs = Inputs(
            self.weather[items], self.coarse[items], self.lapse[items], self.season[items],
            self.domain[items], self.surface, self.geometry,
        )  # fmt: skip
        return inputs, self.coarse[items] if self.truth is None else self.truth[items]

    def names(self, items: Sequence[int]) -> list[str]:
        return [self.labels[item] for item in items]


def _tensors(
    domain: Domain, target: str, scale: Scaling, place: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    lapse = daily_lapse(domain, target)
    weather = _weather(domain, target, lapse)
    mean, std = (
        np.array(values, np.float32)[:, None, None] for values in (scale.weather_mean, scale.weather_std)
    )
    angle = domain.days.season
    season = np.stack([wave(n * angle) for n in (1, 2) for wave in (np.cos, np.sin)], axis=1)
    return (
        # Missing values are replaced by the mean.
        np.nan_to_num((weather - mean) / std),
        np.nan_to_num(_coarse(domain, target, lapse) - np.float32(scale.level)),
        lapse,
        season.astype(np.float32),
        np.full(len(domain.days), place, np.int64),
    )


def _coarse(domain: Domain, target: str, lapse: npt.NDArray[np.float32]) -> Fields:
    """The coarse target; missing cells have the value of the nearest one, moved to their height."""
    field = domain.inputs[target]
    missing = np.isnan(field)
    if not missing.any():
        return field
    height_km = domain.coarse_static["elevation"] / np.float32(1000)
    there = at_sea_level(domain, target, lapse) - lapse[:, None, None] * height_km
    return np.where(missing, there, field)


def _surface(domains: Sequence[Domain], scale: Scaling) -> Surface:
    static = [
        [(domain.static[name] - mean) / std for name, mean, std in _static_scales(scale)]
        for domain in domains
    ]
    km = np.float32(1000)
    return Surface(
        torch.from_numpy(np.nan_to_num(np.array(static, np.float32))),
        torch.from_numpy(np.nan_to_num(np.stack([domain.static["elevation"] / km for domain in domains]))),
        torch.from_numpy(
            np.nan_to_num(np.stack([domain.coarse_static["elevation"] / km for domain in domains]))
        ),
    )


def _static_scales(scale: Scaling) -> zip:
    return zip(scale.static_names, scale.static_mean, scale.static_std, strict=True)


def scaling_from(values: Mapping[str, Any]) -> Scaling:
    """A scaling from parsed JSON."""
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return Scaling(**plain)
