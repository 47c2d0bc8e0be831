"""Winograd's 3 x 3 convolutions against torch's own, in float64 and in float32."""

import contextlib
import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from convoy.nn.blocks import ResidualBlock
from convoy.nn.kernels import winograd
from convoy.nn.kernels.winograd import FastConvolutions, convolution

OWN, TORCHS = "_ConvolutionBackward", "ConvolutionBackward0"


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def values_and_gradients(
    function: Callable[[Tensor, Tensor], Tensor], images: Tensor, weight: Tensor, gradient: Tensor
) -> list[Tensor]:
    images, weight = images.detach().requires_grad_(), weight.detach().requires_grad_()
    output = function(images, weight)
    return [output.detach(), *torch.autograd.grad(output, (images, weight), gradient)]


def plain(images: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(images, weight, padding=1)


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).abs().max() / exact.abs().max())


# Edges that are whole tiles and not, smaller than a tile, one pixel; channels that are not whole vectors.
SHAPES = [
    (3, 5, 7, 8, 12), (2, 64, 65, 9, 6), (5, 130, 8, 5, 3), (1, 3, 2, 1, 1), (7, 16, 4, 2, 33),
    (40, 96, 64, 7, 7),
]  # fmt: skip


@pytest.mark.parametrize(("images", "channels", "filters", "height", "width"), SHAPES)
def test_values_and_gradients_are_those_of_a_convolution(
    images: int, channels: int, filters: int, height: int, width: int
) -> None:
    parts = (
        drawn(images, channels, height, width), drawn(filters, channels, 3, 3, seed=1),
        drawn(images, filters, height, width, seed=2),
    )  # fmt: skip
    exact = values_and_gradients(plain, *parts)
    for order in (torch.channels_last, torch.contiguous_format):
        narrow = [part.float().contiguous(memory_format=order) for part in parts]
        for found, expected in zip(values_and_gradients(convolution, *narrow), exact, strict=True):
            assert error(found, expected) < 3e-5


def test_blocks_and_threads_change_no_more_than_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part.float() for part in (drawn(11, 64, 10, 6), drawn(64, 64, 3, 3), drawn(11, 64, 10, 6))]
    before = torch.get_num_threads()
    found = []
    try:
        for threads, size in ((1, 2**24), (2, 2**24), (2, 1)):
            torch.set_num_threads(threads)
            monkeypatch.setattr(winograd, "BLOCK_BYTES", size)
            found.append(values_and_gradients(convolution, *parts))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert error(one, other.double()) < 1e-5


def test_only_the_gradients_that_are_asked_for_are_computed() -> None:
    images, weight = drawn(4, 8, 8, 8).float(), drawn(8, 8, 3, 3).float()
    convolution(images, weight.requires_grad_()).sum().backward()
    assert weight.grad is not None
    (alone,) = torch.autograd.grad(convolution(images.requires_grad_(), weight.detach()).sum(), images)
    (expected,) = torch.autograd.grad(plain(images, weight.detach()).sum(), images)
    torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("images", "weight"),
    [
        (torch.zeros(2, 4, 8, 8, dtype=torch.float64), torch.zeros(4, 4, 3, 3)),
        (torch.zeros(2, 4, 8, 8), torch.zeros(4, 5, 3, 3)),
        (torch.zeros(2, 4, 8, 8), torch.zeros(4, 4, 5, 5)),
        (torch.zeros(4, 8, 8), torch.zeros(4, 4, 3, 3)),
        (torch.zeros(0, 4, 8, 8), torch.zeros(4, 4, 3, 3)),
    ],
)
def test_other_types_and_sizes_are_refused(images: Tensor, weight: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^(images|weight)"):
        convolution(images, weight)


def layer(channels: int = 64, filters: int = 64, kernel: int = 3, **options: int) -> nn.Conv2d:
    torch.manual_seed(3)
    return nn.Conv2d(channels, filters, kernel, **({"padding": 1} | options))


def inputs(channels: int = 64, edge: int = 16, dtype: torch.dtype = torch.float32) -> Tensor:
    return drawn(16, channels, edge, edge).to(dtype).contiguous(memory_format=torch.channels_last)


def made_by(output: Tensor) -> list[str]:
    """The names of the operations that made `output`, last first."""
    names, node = [], output.grad_fn
    while node is not None:
        names.append(type(node).__name__)
        node = node.next_functions[0][0] if node.next_functions else None
    return names


@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_takes_them_inside_the_context_alone(bias: bool) -> None:
    one, images = layer(bias=bias), inputs()
    with FastConvolutions():
        fast = one(images)
    assert OWN in made_by(fast)
    assert OWN not in made_by(one(images))
    exact = copy.deepcopy(one).double()(images.double())
    assert error(fast.detach(), exact.detach()) < 3e-5


@pytest.mark.parametrize(
    ("one", "images"),
    [
        (layer(filters=32), inputs()),
        (layer(channels=32), inputs(32)),
        (layer(stride=2), inputs()),
        (layer(padding=0), inputs()),
        (layer(dilation=2), inputs()),
        (layer(groups=2, channels=128, filters=128), inputs(128)),
        (layer(kernel=5), inputs()),
        (layer(), inputs().contiguous()),
        (layer(), inputs(edge=4)[:4]),
        (layer(), inputs(edge=2).repeat(20, 1, 1, 1)),
        (layer(), inputs(edge=5).repeat(5, 1, 1, 1)),
        (layer(), inputs()[0]),
        (layer().double(), inputs(dtype=torch.float64)),
        (layer().bfloat16(), inputs(dtype=torch.bfloat16)),
    ],
    ids=[
        "few filters", "few channels", "stride", "padding", "dilation", "groups", "kernel", "channels first",
        "few tiles", "small images", "tiles far from full", "one image", "float64", "bfloat16",
    ],
)  # fmt: skip
def test_other_convolutions_are_torchs_own(one: nn.Conv2d, images: Tensor) -> None:
    with FastConvolutions():
        output = one(images)
    assert OWN not in made_by(output)
    assert TORCHS in made_by(output)
    assert torch.equal(output, one(images))


def test_autocast_large_images_and_the_switch_turn_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    one, images = layer(), inputs()

    def names(within: contextlib.AbstractContextManager[object]) -> list[str]:
        with FastConvolutions(), within:
            return made_by(one(images))

    assert OWN in names(contextlib.nullcontext())
    assert OWN not in names(torch.autocast("cpu", torch.bfloat16))
    with monkeypatch.context() as patch:
        patch.setattr(winograd, "MOST_BYTES", 1000)
        assert OWN not in names(contextlib.nullcontext())
    monkeypatch.setenv("CONVOY_KERNELS_OFF", "winograd")
    assert OWN not in names(contextlib.nullcontext())


@pytest.mark.parametrize(
    ("images", "bias"),
    [
        (torch.empty(16, 64, 0, 16), torch.zeros(64)),
        (torch.empty(16, 65, 16, 16), torch.zeros(64)),
        (torch.empty(16, 64, 16, 16), torch.zeros(64, dtype=torch.float64)),
        (torch.empty(16, 64, 16, 16), torch.zeros(1)),
    ],
    ids=["no pixels", "other channels", "other type of bias", "short bias"],
)
def test_what_torch_refuses_is_refused_in_its_words(images: Tensor, bias: Tensor) -> None:
    weight, found = torch.zeros(64, 64, 3, 3), []
    for within in (contextlib.nullcontext(), FastConvolutions()):
        with within, pytest.raises(RuntimeError) as refused:
            F.conv2d(images.contiguous(memory_format=torch.channels_last), weight, bias, padding=1)
        found.append(str(refused.value))
    assert found[0] == found[1]


def test_traced_by_torch_fx_a_convolution_is_torchs_own() -> None:
    with FastConvolutions():
        traced = torch.fx.symbolic_trace(plain)
    assert torch.conv2d in [node.target for node in traced.graph.nodes]


def test_no_memory_is_read_before_it_is_written() -> None:
    parts = [part.float() for part in (drawn(5, 66, 9, 6), drawn(65, 66, 3, 3), drawn(5, 65, 9, 6))]
    expected = values_and_gradients(convolution, *parts)
    images, weight = parts[0], parts[1].clone().requires_grad_()
    torch.use_deterministic_algorithms(True)  # New memory is NaN, then.
    try:
        assert bool(torch.empty(2).isnan().all())
        found = values_and_gradients(convolution, *parts)
        # Neither is a gradient that nobody asked for.
        with torch.autograd.set_detect_anomaly(True):
            convolution(images, weight).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    for one, exact in zip(found, expected, strict=True):
        assert torch.equal(one, exact)


def test_checkpointed_activations_have_the_same_gradients() -> None:
    one, gradients = layer(), []
    for function in (one, partial(checkpoint, one, use_reentrant=False)):
        images = inputs().requires_grad_()
        with FastConvolutions():
            output = function(images)
            assert OWN in made_by(output)
            output.square().sum().backward()
        gradients.append(images.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-3)


def test_a_weight_changed_before_backward_is_refused() -> None:
    one, images = layer(), inputs().requires_grad_()
    with FastConvolutions():
        output = one(images)
    with torch.no_grad():
        one.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_autocast_and_defaults_of_torch_change_nothing() -> None:
    parts = [part.float() for part in (drawn(4, 8, 8, 8), drawn(8, 8, 3, 3), drawn(4, 8, 8, 8))]
    expected = values_and_gradients(convolution, *parts)
    with torch.autocast("cpu", torch.bfloat16):
        found = values_and_gradients(convolution, *parts)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            others = values_and_gradients(convolution, *parts)
    finally:
        torch.set_default_dtype(before)
    for one, other, exact in zip(found, others, expected, strict=True):
        assert torch.equal(one, exact)
        assert torch.equal(other, exact)


def test_blocks_of_large_images_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    shape, filters = (9, 8, 8, 64), 64
    of_one = 4 * 36 * 4 * (64 + 64)
    try:
        torch.set_num_threads(4)
        monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
        for most, images in ((100, 4), (3, 3), (1, 1), (0, 1)):
            monkeypatch.setattr(winograd, "MOST_BYTES", most * of_one)
            assert winograd._Tiles(shape, filters).block == images
    finally:
        torch.set_num_threads(before)


def test_a_block_trains_the_same() -> None:
    torch.manual_seed(4)
    block = ResidualBlock(64, 64)
    images = inputs().requires_grad_()
    gradients = []
    for within in (contextlib.nullcontext(), FastConvolutions()):
        block.zero_grad()
        with within:
            output = block(images)
        names = made_by(output)
        output.square().mean().backward()
        gradients.append([weight.grad.clone() for weight in block.parameters() if weight.grad is not None])
    assert OWN in names
    for one, other in zip(*gradients, strict=True):
        assert float((one - other).norm() / one.norm()) < 1e-4
