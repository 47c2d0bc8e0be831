"""Networks from coarse fields to a fine one: a coarse trunk, sampling at the fine coordinates, a fine head.

Axes: N days, C weather channels, h x w the coarse grid, H x W the fine one, K and M hidden channels, S static
fields, D domains (pieces of terrain).

All of them compute fine = base + residual, then correct its coarse means. The base is the bicubic field with
the day's own lapse rate. The head is a perceptron at each fine cell on the trunk's features there and on the
static fields. The difference between the coarse field and the coarse means of that estimate, the innovation,
is then interpolated and added: it carries the weather that no static field explains.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convoy.nn.blocks import DepthwiseSeparableConv, ResidualBlock

Conserve: TypeAlias = Literal["none", "additive", "softmax"]
Spread: TypeAlias = Literal["none", "normal"]
Trunk: TypeAlias = Literal["residual", "srcnn", "separable", "unet"]


class Geometry(NamedTuple):
    """Matrices between the coarse and the fine grid; a field is mapped by A_lat @ field @ A_lon.T."""

    up_lat: Tensor  # (H, h) bicubic
    up_lon: Tensor  # (W, w)
    mean_lat: Tensor  # (h, H) area means
    mean_lon: Tensor  # (w, W)
    spread_lat: Tensor  # (H, h) from changes of the area means to the smallest change of a fine field
    spread_lon: Tensor  # (W, w)


class Surface(NamedTuple):
    """The static fields of all domains."""

    static: Tensor  # (D, S, H, W) standardised
    elevation_km: Tensor  # (D, H, W)
    coarse_elevation_km: Tensor  # (D, h, w)


class Inputs(NamedTuple):
    """A batch of days."""

    weather: Tensor  # (N, C, h, w) standardised channels
    coarse: Tensor  # (N, h, w) the variable itself, in its unit, minus a constant
    lapse: Tensor  # (N,) its decrease per km of height on that day
    season: Tensor  # (N, 4) harmonics of the time of the year
    domain: Tensor  # (N,) index of the domain
    surface: Surface
    geometry: Geometry


class Downscaler(nn.Module):
    """Inputs -> (N, 1, H, W): the fine field in the unit of `coarse`; with `spread`, (N, 2, H, W).

    The second channel is then the standard deviation. `scale` is a typical size of the residual, and `level`
    the constant subtracted from `coarse`. `pixels` is the shape (H, W) of the only domain, whose every cell
    has learnt per-pixel effects in addition to its static fields; None for any domain. `conserve` makes the
    area means of the output equal to the coarse field: `additive` by the smallest change, `softmax` by
    factors (Harder et al. 2023; for grids that nest).
    """

    def __init__(
        self, channels: int, static_fields: int, trunk: Trunk = "residual", width: int = 32, depth: int = 2,
        hidden: int = 64, layers: int = 2, conserve: Conserve = "none", spread: Spread = "none",
        scale: float = 1.0, level: float = 0.0, pixels: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conserve, self.spread, self.scale, self.level = conserve, spread, scale, level
        self.trunk = TRUNKS[trunk](channels + 4, width, depth)
        self.from_weather = nn.Linear(width, hidden)
        self.from_surface = nn.Linear(static_fields, hidden, bias=False)
        self.per_pixel = nn.Parameter(torch.zeros(*pixels, hidden)) if pixels else None
        self.layers = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.out = nn.Linear(hidden, 1 if spread == "none" else 2)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)
        # Mixes the innovation with that of the neighbouring cells; initialised as the identity.
        self.innovation = nn.Conv2d(1, 1, 5, bias=False)
        nn.init.dirac_(self.innovation.weight)

    def forward(self, inputs: Inputs) -> Tensor:
        outputs = self.head(inputs)
        # The fields themselves need float32: the rounding of bfloat16, 1 K at 300 K, exceeds the skill.
        with torch.autocast(outputs.device.type, enabled=False):
            outputs = outputs.float() * self.scale
            fine = self._with_innovation(lapse_base(inputs) + outputs[..., 0], inputs)
            fine = CONSERVE[self.conserve](fine, inputs, self.level)[:, None]
            if self.spread == "none":
                return fine
            return torch.cat([fine, F.softplus(outputs[..., 1] + self.scale)[:, None]], dim=1)

    def _with_innovation(self, fine: Tensor, inputs: Inputs) -> Tensor:
        geometry = inputs.geometry
        missing = (inputs.coarse - _through(fine, geometry.mean_lat, geometry.mean_lon))[:, None]
        innovation = self.innovation(_with_edges_repeated(missing, 2))[:, 0]
        return fine + _through(innovation, geometry.up_lat, geometry.up_lon)

    def head(self, inputs: Inputs) -> Tensor:
        """The perceptron at each fine cell, (N, H, W, 1 or 2).

        Its first layer is linear in the features, and so is sampling: the layer is applied on the coarse
        grid, where it costs a sixteenth, and once per domain. Channels come last, so that every layer is one
        matrix product.
        """
        geometry, weather = inputs.geometry, inputs.weather
        season = inputs.season[:, :, None, None].expand(-1, -1, *weather.shape[-2:])
        features = torch.cat([weather, season], dim=1)
        features = self.from_weather(self.trunk(features).permute(0, 2, 3, 1))
        surface = self.from_surface(inputs.surface.static.permute(0, 2, 3, 1))
        if self.per_pixel is not None:
            surface = surface + self.per_pixel.to(surface.dtype)
        # In place: these tensors are the largest, and each pass over them takes as long as a product.
        sampled = _sampled(features, geometry)
        x = F.relu(sampled.add_(_of_days(surface, inputs.domain)), inplace=True)
        for layer in self.layers:
            x = F.relu(layer(x), inplace=True)
        return self.out(x)


def _of_days(surface: Tensor, domain: Tensor) -> Tensor:
    """The static fields of each day's domain, (N, ...) from (D, ...) and (N,); a single one is broadcast."""
    if len(surface) == 1:
        return surface
    # A product: the gradient of indexing is summed by one thread, slowly.
    chosen = (domain[:, None] == torch.arange(len(surface), device=domain.device)).to(surface.dtype)
    return (chosen @ surface.flatten(1)).view(-1, *surface.shape[1:])


def _sampled(features: Tensor, geometry: Geometry) -> Tensor:
    """Features (N, h, w, M) at the fine cells, (N, H, W, M)."""
    days, rows, columns, channels = features.shape
    lat, lon = geometry.up_lat.to(features.dtype), geometry.up_lon.to(features.dtype)
    along_lat = (lat @ features.reshape(days, rows, -1)).view(days, len(lat), columns, channels)
    # A product and no view of one: of views, operations in place copy the gradient several times.
    return lon @ along_lat


def _with_edges_repeated(field: Tensor, cells: int) -> Tensor:
    """Padding by `replicate`, with a deterministic gradient: that of torch is not on a GPU."""
    for axis in (-2, -1):
        first, last = field.narrow(axis, 0, 1), field.narrow(axis, -1, 1)
        field = torch.cat([*[first] * cells, field, *[last] * cells], axis)
    return field


def lapse_base(inputs: Inputs) -> Tensor:
    """Bicubic interpolation of the field reduced to sea level, then lapsed to the fine terrain, (N, H, W)."""
    geometry, surface = inputs.geometry, inputs.surface
    lapse = inputs.lapse[:, None, None]
    level = inputs.coarse + lapse * surface.coarse_elevation_km[inputs.domain]
    level = _through(level, geometry.up_lat, geometry.up_lon)
    return level - lapse * surface.elevation_km[inputs.domain]


def _through(field: Tensor, lat: Tensor, lon: Tensor) -> Tensor:
    return lat @ (field @ lon.T)


def _free(fine: Tensor, _inputs: Inputs, _level: float) -> Tensor:
    return fine


def _additive(fine: Tensor, inputs: Inputs, _level: float) -> Tensor:
    geometry = inputs.geometry
    missing = inputs.coarse - _through(fine, geometry.mean_lat, geometry.mean_lon)
    return fine + _through(missing, geometry.spread_lat, geometry.spread_lon)


def _softmax(fine: Tensor, inputs: Inputs, level: float) -> Tensor:
    """Each fine cell is its coarse cell's value, made positive by `level`, times a factor of area mean 1."""
    geometry = inputs.geometry
    block = [(matrix > 0).to(fine.dtype).T for matrix in (geometry.mean_lat, geometry.mean_lon)]
    coarse = inputs.coarse + level
    around = _through(coarse, *block)
    shares = torch.exp((fine + level - around) / around)
    means = _through(shares, geometry.mean_lat, geometry.mean_lon)
    return _through(coarse / means, *block) * shares - level


CONSERVE: dict[str, Callable[[Tensor, Inputs, float], Tensor]] = {
    "none": _free, "additive": _additive, "softmax": _softmax,
}  # fmt: skip


def _residual(channels: int, width: int, depth: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        *(ResidualBlock(width, width, pre_activation=True) for _ in range(depth)),
    )


def _separable(channels: int, width: int, depth: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        *(DepthwiseSeparableConv(width, width) for _ in range(2 * depth)),
    )


def _srcnn(channels: int, width: int, _depth: int) -> nn.Module:
    """The three layers of Dong et al. (2014): patches, a nonlinear map, and features for the head."""
    return nn.Sequential(
        nn.Conv2d(channels, 2 * width, 9, padding=4), nn.ReLU(),
        nn.Conv2d(2 * width, width, 1), nn.ReLU(),
        nn.Conv2d(width, width, 5, padding=2),
    )  # fmt: skip


class _UNet(nn.Module):
    """An encoder and a decoder with skip connections at each level (Ronneberger et al. 2015)."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(ResidualBlock(width << i, width << (i + 1), stride=2) for i in range(depth))
        self.up = nn.ModuleList(ResidualBlock(3 * (width << i), width << i) for i in reversed(range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        across = []
        for block in self.down:
            across.append(x)
            x = block(x)
        for block in self.up:
            skipped = across.pop()
            rows, columns = (
                _linear(*sizes, x) for sizes in zip(x.shape[-2:], skipped.shape[-2:], strict=True)
            )
            x = block(torch.cat([_through(x, rows, columns), skipped], dim=1))
        return x


def _linear(size: int, to: int, like: Tensor) -> Tensor:
    """The matrix (to, size) of linear interpolation, whose gradient is deterministic on a GPU too."""
    points = torch.eye(size, dtype=torch.float32, device=like.device)[None]
    return F.interpolate(points, size=to, mode="linear", align_corners=False)[0].T.to(like.dtype)


TRUNKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "residual": _residual, "srcnn": _srcnn, "separable": _separable, "unet": _UNet,
}  # fmt: skip
