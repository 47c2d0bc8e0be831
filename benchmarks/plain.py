"""The downscaling network as one writes it first: at the fine grid, float32, day by day from a DataLoader."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convoy.climate.downscaling.networks.tensors import GridBatches
from convoy.nn.downscaling import Downscaler, Geometry


class PlainDownscaler(nn.Module):
    """The same function as `network`, with its weights.

    Features and static fields are joined at every fine cell, and 1x1 convolutions do the rest.
    """

    def __init__(self, network: Downscaler, geometry: Geometry) -> None:
        super().__init__()
        self.network, self.geometry = network, geometry

    def forward(
        self, weather: Tensor, coarse: Tensor, lapse: Tensor, season: Tensor, static: Tensor,
        fine_km: Tensor, coarse_km: Tensor,
    ) -> Tensor:  # fmt: skip
        net, to = self.network, self.geometry
        season = season[:, :, None, None].expand(-1, -1, *weather.shape[-2:])
        features = to.up_lat @ net.trunk(torch.cat([weather, season], 1)) @ to.up_lon.T
        first = torch.cat([net.from_weather.weight, net.from_surface.weight], 1)
        x = F.relu(F.conv2d(torch.cat([features, static], 1), _as_kernel(first), net.from_weather.bias))
        for layer in net.layers:
            x = F.relu(F.conv2d(x, _as_kernel(layer.weight), layer.bias))
        residual = F.conv2d(x, _as_kernel(net.out.weight), net.out.bias)[:, 0] * net.scale
        lapse = lapse[:, None, None]
        base = to.up_lat @ (coarse + lapse * coarse_km) @ to.up_lon.T - lapse * fine_km
        fine = base + residual
        missing = coarse - to.mean_lat @ fine @ to.mean_lon.T
        fine = fine + to.up_lat @ _innovation(net, missing) @ to.up_lon.T
        missing = coarse - to.mean_lat @ fine @ to.mean_lon.T
        return fine + to.spread_lat @ missing @ to.spread_lon.T


def _innovation(network: Downscaler, missing: Tensor) -> Tensor:
    padded = F.pad(missing[:, None], (2, 2, 2, 2), mode="replicate")
    return F.conv2d(padded, network.innovation.weight)[:, 0]


def _as_kernel(weight: Tensor) -> Tensor:
    return weight[:, :, None, None]


class Days(Dataset):
    """One day at a time: inputs and truth."""

    def __init__(self, examples: GridBatches) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, day: int) -> tuple[Tensor, ...]:
        own = self.examples
        surface, place = own.surface, own.domain[day]
        truth = torch.zeros(0) if own.truth is None else own.truth[day]
        return (
            own.weather[day], own.coarse[day], own.lapse[day], own.season[day], surface.static[place],
            surface.elevation_km[place], surface.coarse_elevation_km[place], truth,
        )  # fmt: skip


def loader(examples: GridBatches, batch_size: int, shuffle: bool) -> DataLoader:
    return DataLoader(Days(examples), batch_size, shuffle=shuffle, num_workers=0)


def train(network: PlainDownscaler, batches: DataLoader, areas: Tensor, device: str = "cpu") -> None:
    """One epoch."""
    network.train().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    areas = areas.to(device)
    for batch in batches:
        *inputs, truth = (part.to(device) for part in batch)
        loss = ((network(*inputs) - truth) ** 2 * areas).sum() / len(truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()


@torch.inference_mode()
def infer(network: PlainDownscaler, batches: DataLoader, device: str = "cpu") -> Sequence[Tensor]:
    network.eval().to(device)
    return [network(*(part.to(device) for part in batch[:-1])).cpu() for batch in batches]
