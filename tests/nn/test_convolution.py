"""Convolution as a matrix, sizes, receptive fields and symmetries, against numpy, torch and closed forms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convoy.core.errors import ConvoyError
from convoy.nn.convolution import (
    conv1d_as_matmul,
    conv2d_matrix,
    kernel_strides,
    network_receptive_field,
    output_size,
    parameter_count,
    receptive_field,
    toeplitz_matrix,
)


def test_toeplitz_matrix_holds_the_kernel_on_its_band():
    expected = [[2, 3, 0, 0], [0, 2, 3, 0], [0, 0, 2, 3]]
    assert toeplitz_matrix(np.array([2, 3]), 4).tolist() == expected


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 1), (7, 3), (64, 5), (6, 6)])
def test_conv1d_as_matmul_equals_numpys_correlation(n, k):
    generator = np.random.default_rng(n * k)
    x, kernel = generator.normal(size=n), generator.normal(size=k)
    np.testing.assert_allclose(
        conv1d_as_matmul(x, kernel), np.correlate(x, kernel, "valid"), rtol=1e-12, atol=1e-14
    )


def test_conv1d_as_matmul_does_not_flip_the_kernel():
    assert conv1d_as_matmul(np.array([1.0, 0.0, 0.0]), np.array([5.0, 7.0])).tolist() == [5.0, 0.0]


@pytest.mark.parametrize(
    ("x", "kernel", "found"),
    [
        (np.ones(3), np.ones(4), "expected 1 to 3 values for an input of 3, found 4"),
        (np.ones(3), np.ones(0), "expected 1 to 3 values for an input of 3, found 0"),
        (np.ones((3, 3)), np.ones(2), "x: expected one axis, found 2"),
        (np.ones(3), np.ones((2, 2)), "kernel: expected one axis, found 2"),
    ],
)
def test_conv1d_as_matmul_names_what_does_not_fit(x, kernel, found):
    with pytest.raises(ConvoyError, match=found):
        conv1d_as_matmul(x, kernel)


@settings(max_examples=60, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_conv2d_matrix_equals_torch_for_any_stride_and_padding(channels, size, kernel, stride, padding):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, channels[1], *size, dtype=torch.float64, generator=generator)
    weight = torch.randn(*channels, *kernel, dtype=torch.float64, generator=generator)
    expected = F.conv2d(image, weight, stride=stride, padding=padding)[0].numpy()
    matrix = conv2d_matrix(weight.numpy(), size[0], size[1], stride, padding)
    np.testing.assert_allclose((matrix @ image.numpy().ravel()).reshape(expected.shape), expected, atol=1e-12)


def test_conv2d_matrix_is_doubly_blocked_toeplitz():
    a, b, c, d = 1.0, 2.0, 3.0, 4.0
    matrix = conv2d_matrix(np.array([[[[a, b], [c, d]]]]), 3, 3)
    assert matrix.tolist() == [
        [a, b, 0, c, d, 0, 0, 0, 0],
        [0, a, b, 0, c, d, 0, 0, 0],
        [0, 0, 0, a, b, 0, c, d, 0],
        [0, 0, 0, 0, a, b, 0, c, d],
    ]


def test_conv2d_matrix_refuses_a_kernel_without_channels():
    with pytest.raises(ConvoyError, match=r"expected axes \(out, in, height, width\), found 2 axes"):
        conv2d_matrix(np.ones((3, 3)), 5, 5)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 40), kernel=st.integers(1, 9), stride=st.integers(1, 5), padding=st.integers(0, 6))
def test_output_size_equals_torchs(n, kernel, stride, padding):
    if n + 2 * padding < kernel:
        with pytest.raises(ConvoyError, match=f"expected at most {n + 2 * padding} "):
            output_size(n, kernel, stride, padding)
        return
    produced = F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, kernel), stride=stride, padding=padding)
    assert output_size(n, kernel, stride, padding) == produced.shape[2]


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_padding_modes_are_numpys(mode, kernel):
    assert output_size(9, kernel, padding=mode) == len(np.convolve(np.ones(9), np.ones(kernel), mode))


def test_output_size_of_known_layers():
    assert output_size(224, 7, 2, 3) == 112  # the stem of ResNet
    assert output_size(112, 3, 2, 1) == 56  # its pooling
    assert output_size(227, 11, 4) == 55  # the first layer of AlexNet


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((8, 4, 1, "same"), "expected an odd kernel and stride 1, found kernel 4, stride 1"),
        ((8, 3, 2, "same"), "expected an odd kernel and stride 1, found kernel 3, stride 2"),
        ((8, 3, 1, "reflect"), "'valid', 'same' or 'full', found 'reflect'"),
        ((8, 3, 1, -1), "padding: expected at least 0, found -1"),
        ((0, 3), "n: expected at least 1, found 0"),
        ((8, 0), "kernel: expected at least 1, found 0"),
        ((8, 3, 0), "stride: expected at least 1, found 0"),
    ],
)
def test_output_size_names_what_is_impossible(arguments, found):
    with pytest.raises(ConvoyError, match=found):
        output_size(*arguments)


def test_receptive_field_closed_forms():
    assert receptive_field([]) == 1
    assert receptive_field([(3, 1)] * 2) == 5  # two 3x3 see what one 5x5 sees (VGG)
    assert receptive_field([(3, 1)] * 3) == 7
    assert receptive_field([(7, 2), (3, 2)]) == 11  # ResNet's stem and pooling
    assert receptive_field([(2, 2)] * 10) == 2**10


def pyramid() -> nn.Sequential:
    """Convolutions and poolings of several kernels, strides and dilations, on one axis."""
    return nn.Sequential(
        nn.Conv1d(1, 2, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.AvgPool1d(3, stride=2),
        nn.Sequential(nn.Conv1d(2, 2, 3, dilation=4, padding=4), nn.Conv1d(2, 1, 1)),
        nn.AdaptiveAvgPool1d(17),
    )


def test_kernel_strides_reads_nested_layers_in_order():
    assert kernel_strides(pyramid()) == [(5, 2), (3, 2), (9, 1), (1, 1)]
    assert kernel_strides(nn.Linear(3, 3)) == []
    assert kernel_strides(nn.MaxPool2d(2)) == [(2, 2)]
    assert kernel_strides(nn.Conv2d(3, 8, (3, 3), stride=(2, 2))) == [(3, 2)]


def test_receptive_field_is_the_reach_of_the_gradient():
    torch.manual_seed(0)
    network = pyramid()[:-1].double()
    network[1] = nn.Identity()
    signal = torch.randn(1, 1, 256, dtype=torch.float64, requires_grad=True)
    features = network(signal)
    features[0, 0, features.shape[2] // 2].backward()
    assert signal.grad is not None
    seen = signal.grad[0, 0].nonzero().ravel()
    assert int(seen[-1] - seen[0]) + 1 == receptive_field(kernel_strides(network))


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (nn.Conv2d(1, 1, (3, 5)), r"Conv2d: kernel_size: expected the same on every axis, found \(3, 5\)"),
        (nn.AvgPool2d(2, (1, 2)), r"AvgPool2d: stride: expected the same on every axis"),
        (nn.ConvTranspose1d(1, 1, 3), "ConvTranspose1d: expected layers that shrink or keep"),
    ],
)
def test_kernel_strides_names_layers_without_one_kernel(layer, found):
    with pytest.raises(ConvoyError, match=found):
        kernel_strides(layer)


def test_parameter_counts_of_the_chapter():
    with torch.device("meta"):  # 2.5 GB of weights are counted, not made
        dense = nn.Linear(224 * 224 * 3, 4096, bias=False)
    assert parameter_count(dense) == 616_562_688
    convolution = nn.Conv2d(3, 64, 3)
    assert parameter_count(convolution) == 1_792
    convolution.weight.requires_grad_(False)
    assert parameter_count(convolution) == 64


def image_of(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("shift", [(1, 0), (0, 3), (5, -7)])
def test_convolution_commutes_with_shifts_under_circular_padding(shift):
    layer = nn.Conv2d(3, 4, 5, padding=2, padding_mode="circular").double()
    image = image_of(2, 3, 16, 16)
    moved = layer(image.roll(shift, (2, 3)))
    torch.testing.assert_close(moved, layer(image).roll(shift, (2, 3)), rtol=0, atol=1e-12)
    assert not torch.allclose(moved, layer(image))


def test_convolution_commutes_with_shifts_away_from_the_borders_only():
    layer = nn.Conv1d(1, 1, 5, padding=2, bias=False).double()
    signal = image_of(1, 1, 32)
    moved, expected = layer(signal.roll(3, 2)), layer(signal).roll(3, 2)
    inside = slice(2 + 3, 32 - 2)
    torch.testing.assert_close(moved[..., inside], expected[..., inside], rtol=0, atol=1e-12)
    assert not torch.allclose(moved, expected)


def test_a_strided_convolution_commutes_only_with_multiples_of_its_stride():
    layer = nn.Conv1d(1, 1, 3, stride=2, padding=1, padding_mode="circular").double()
    signal = image_of(1, 1, 32)
    torch.testing.assert_close(layer(signal.roll(4, 2)), layer(signal).roll(2, 2), rtol=0, atol=1e-12)
    assert all(not torch.allclose(layer(signal.roll(1, 2)), layer(signal).roll(n, 2)) for n in range(16))


@pytest.mark.parametrize("pooling", [nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(1)])
def test_convolution_and_global_pooling_do_not_move(pooling):
    layer = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular").double()
    image = image_of(1, 1, 12, 12)
    torch.testing.assert_close(
        pooling(layer(image.roll((5, 7), (2, 3)))), pooling(layer(image)), rtol=0, atol=1e-12
    )


def test_pooling_closed_forms():
    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert F.max_pool2d(ramp, 2).ravel().tolist() == [5, 7, 13, 15]
    assert F.avg_pool2d(ramp, 2).ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert F.adaptive_avg_pool2d(ramp, 1).item() == 7.5
    # Average pooling is a convolution with the constant kernel 1 / k^2.
    matrix = conv2d_matrix(np.full((1, 1, 2, 2), 0.25), 4, 4, stride=2)
    assert (matrix @ ramp.numpy().ravel()).tolist() == [2.5, 4.5, 10.5, 12.5]


class Branches(nn.Module):
    """Two branches of reach 5 and 3 after a stride of 2, added, and a global average that scales them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, stride=2)
        self.wide = nn.Conv2d(2, 2, 5, padding=2)
        self.narrow = nn.Conv2d(2, 2, 3, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 2, 1))

    def forward(self, x):
        x = self.stem(x)
        x = self.wide(x) + self.narrow(x)
        return x * self.gate(x)


def test_the_largest_of_branches_counts():
    # (5 - 1) * 2 on top of the stem's 3.
    assert network_receptive_field(Branches()) == 3 + 4 * 2
    assert network_receptive_field(nn.Linear(3, 3)) == 1
    assert network_receptive_field(nn.Sequential(pyramid())) == receptive_field(kernel_strides(pyramid()))


class Functional(nn.Module):
    def forward(self, x):
        return F.max_pool2d(x, 2)


class Undecided(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (Functional(), "expected pooling and convolution as modules; found the function max_pool2d"),
        (Undecided(), "Undecided: torch.fx cannot trace it"),
        (nn.Conv2d(1, 1, (3, 5)), "expected the same on every axis"),
    ],
)
def test_networks_whose_receptive_field_is_not_in_their_modules(network, found):
    with pytest.raises(ConvoyError, match=found):
        network_receptive_field(network)
