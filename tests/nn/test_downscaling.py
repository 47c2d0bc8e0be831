"""The downscaling networks: what they begin as, what they conserve, and the same function written plainly."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.downscaling.networks.tensors import geometry
from convoy.nn.downscaling import (
    TRUNKS,
    Downscaler,
    Inputs,
    Surface,
    _linear,
    _through,
    _with_edges_repeated,
    lapse_base,
)

COARSE = Grid(Axis.regular(40, 1.0, 6), Axis.regular(0, 1.0, 5))
FINE = Grid(Axis.regular(40, 0.25, 24), Axis.regular(0, 0.25, 20))


def inputs(days: int = 3, seed: int = 0, fine: Grid = FINE, channels: int = 4, static: int = 3) -> Inputs:
    torch.manual_seed(seed)
    fields = torch.randn(2, static, *fine.shape), torch.rand(2, *fine.shape), torch.rand(2, *COARSE.shape)
    surface = Surface(*fields)
    return Inputs(
        torch.randn(days, channels, *COARSE.shape), 4 * torch.randn(days, *COARSE.shape),
        5 + torch.randn(days),
        torch.randn(days, 4), torch.arange(days) % 2, surface, geometry(COARSE, fine),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def network(seed: int = 0, **arguments) -> Downscaler:
    torch.manual_seed(seed)
    made = Downscaler(4, 3, **{"width": 8, "hidden": 16, **arguments})
    for parameter in made.out.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def means(field: torch.Tensor, x: Inputs) -> torch.Tensor:
    return x.geometry.mean_lat @ field @ x.geometry.mean_lon.T


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("spread", ["none", "normal"])
def test_shapes_and_a_positive_spread(trunk: str, spread: str) -> None:
    outputs = network(trunk=trunk, spread=spread)(inputs())
    assert outputs.shape == (3, 1 if spread == "none" else 2, 24, 20)
    if spread == "normal":
        assert (outputs[:, 1] > 0).all()


def test_an_untrained_network_is_the_lapse_base_and_the_innovation_that_it_leaves() -> None:
    x = inputs()
    made = Downscaler(4, 3, width=8, hidden=16).eval()
    base = lapse_base(x)
    missing = x.coarse - means(base, x)
    expected = base + x.geometry.up_lat @ missing @ x.geometry.up_lon.T
    torch.testing.assert_close(made(x)[:, 0], expected)


def test_the_base_on_flat_surface_is_bicubic_and_its_lapse_is_the_day_s_own() -> None:
    x = inputs()
    level = x.surface._replace(elevation_km=torch.zeros(2, 24, 20), coarse_elevation_km=torch.zeros(2, 6, 5))
    flat = x._replace(surface=level)
    bicubic = x.geometry.up_lat @ x.coarse @ x.geometry.up_lon.T
    torch.testing.assert_close(lapse_base(flat), bicubic)
    up = flat._replace(surface=flat.surface._replace(elevation_km=flat.surface.elevation_km + 2))
    torch.testing.assert_close(lapse_base(up), bicubic - 2 * x.lapse[:, None, None])


@pytest.mark.parametrize("conserve", ["additive", "softmax"])
def test_area_means_of_the_output_are_the_coarse_field(conserve: str) -> None:
    x = inputs()
    outputs = network(conserve=conserve, level=285.0)(x)[:, 0]
    assert float((means(outputs, x) - x.coarse).abs().max()) < 1e-3
    assert float((means(network()(x)[:, 0], x) - x.coarse).abs().max()) > 1e-2


def test_additive_conserves_on_grids_that_do_not_nest() -> None:
    fine = Grid(Axis.regular(40, 0.3, 20), Axis.regular(0, 0.28, 17))
    x = inputs(fine=fine)
    outputs = network(conserve="additive")(x)[:, 0]
    assert float((means(outputs, x) - x.coarse).abs().max()) < 1e-3


def test_it_is_the_network_that_works_on_the_fine_grid_alone() -> None:
    """The first layer at every fine cell, as it would be written down, gives the same field."""
    x, made = inputs(), network(layers=3)
    season = x.season[:, :, None, None].expand(-1, -1, *COARSE.shape)
    features = made.trunk(torch.cat([x.weather, season], 1))
    sampled = x.geometry.up_lat @ features @ x.geometry.up_lon.T
    joined = torch.cat([sampled, x.surface.static[x.domain]], 1)
    weight = torch.cat([made.from_weather.weight, made.from_surface.weight], 1)[:, :, None, None]
    # Weights of an interpolation sum to 1, so that the bias may be added before or after it.
    hidden = F.relu(F.conv2d(joined, weight, made.from_weather.bias))
    for layer in made.layers:
        hidden = F.relu(F.conv2d(hidden, layer.weight[:, :, None, None], layer.bias))
    plain = F.conv2d(hidden, made.out.weight[:, :, None, None], made.out.bias)
    torch.testing.assert_close(made.head(x), plain.permute(0, 2, 3, 1), atol=1e-5, rtol=1e-4)


def test_each_day_is_its_own() -> None:
    x, made = inputs(), network()
    alone = x._replace(
        **{name: getattr(x, name)[1:2] for name in ("weather", "coarse", "lapse", "season", "domain")}
    )
    torch.testing.assert_close(made(alone), made(x)[1:2], atol=1e-5, rtol=1e-5)


def test_a_shift_of_the_world_by_one_coarse_cell_shifts_the_field() -> None:
    """Equivariance: over the same terrain everywhere and away from the borders no place is special."""
    coarse, fine = (
        Grid(Axis.regular(0, step, count), Axis.regular(0, step, count))
        for step, count in ((1.0, 24), (0.25, 96))
    )
    plane = geometry(coarse, fine)
    # Area means of equal weight, as on a plane.
    block = torch.kron(torch.eye(24), torch.full((1, 4), 0.25))
    plane = plane._replace(mean_lat=block, mean_lon=block)
    torch.manual_seed(1)
    surface = Surface(torch.zeros(1, 3, 96, 96), torch.zeros(1, 96, 96), torch.zeros(1, 24, 24))
    weather, field = torch.randn(1, 4, 24, 24), torch.randn(1, 24, 24)
    x = Inputs(
        weather, field, torch.zeros(1), torch.zeros(1, 4), torch.zeros(1, dtype=torch.long), surface, plane
    )
    moved = x._replace(weather=weather.roll(1, 3), coarse=field.roll(1, 2))
    made = network(depth=1)
    inner = slice(36, 60)
    here, there = made(x)[0, 0, inner, inner], made(moved)[0, 0, inner, 40:64]
    np.testing.assert_allclose(here, there, atol=1e-4)


def test_edges_and_linear_interpolation_are_those_of_pytorch():
    """PyTorch's own have gradients that a GPU sums in any order."""
    field = torch.randn(2, 3, 5, 4)
    padded = F.pad(field, (2, 2, 2, 2), mode="replicate")
    assert torch.equal(_with_edges_repeated(field, 2), padded)
    for size in ((10, 8), (9, 7), (5, 4)):
        expected = F.interpolate(field, size=size, mode="bilinear", align_corners=False)
        found = _through(field, _linear(5, size[0], field), _linear(4, size[1], field))
        torch.testing.assert_close(found, expected)
