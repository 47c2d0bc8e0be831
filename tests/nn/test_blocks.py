"""Blocks of image networks: parameter counts of the chapter, shapes, and what each computes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convoy.nn.blocks import BottleneckBlock, DepthwiseSeparableConv, ResidualBlock


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_those_of_the_chapter() -> None:
    assert parameters(BottleneckBlock(256, 64)) == 70_400
    assert parameters(DepthwiseSeparableConv(256, 256)) == 68_864
    plain = nn.Conv2d(256, 256, 3)
    assert parameters(plain) == 590_080
    assert parameters(DepthwiseSeparableConv(256, 256)) / parameters(plain) == pytest.approx(0.117, abs=5e-4)
    # Two 3x3 convolutions without biases and two norms; a projection where the width changes.
    assert parameters(ResidualBlock(64, 64)) == 2 * 9 * 64 * 64 + 2 * 2 * 64
    assert parameters(ResidualBlock(64, 128)) == 9 * 64 * 128 + 9 * 128 * 128 + 64 * 128 + 3 * 2 * 128


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "make",
    [
        lambda stride: ResidualBlock(6, 8, stride),
        lambda stride: ResidualBlock(6, 8, stride, pre_activation=True),
        lambda stride: BottleneckBlock(6, 2, stride),
        lambda stride: DepthwiseSeparableConv(6, 8, stride=stride),
    ],
)
def test_shapes(make, stride: int) -> None:
    assert make(stride)(torch.randn(3, 6, 10, 12)).shape == (3, 8, -(-10 // stride), -(-12 // stride))


def test_a_residual_block_whose_branch_is_zero_is_relu_of_its_input() -> None:
    block = ResidualBlock(5, 5).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 5, 6, 6)
    torch.testing.assert_close(block(x), F.relu(x))


def test_the_identity_path_of_pre_activation_is_untouched() -> None:
    block = ResidualBlock(5, 5, pre_activation=True).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 5, 6, 6)
    assert torch.equal(block(x), x)


def test_a_depthwise_convolution_mixes_no_channels() -> None:
    block = DepthwiseSeparableConv(4, 4).eval()
    x = torch.randn(1, 4, 7, 7)
    changed = x.clone()
    changed[:, 2] += 1
    differs = (block.depthwise(x) != block.depthwise(changed)).flatten(2).any(2)[0]
    assert differs.tolist() == [False, False, True, False]


def test_a_bottleneck_equals_its_three_convolutions_and_the_shortcut() -> None:
    block = BottleneckBlock(8, 2).eval()
    x = torch.randn(2, 8, 5, 5)
    inner = F.relu(F.conv2d(x, block.conv1.weight) / (1 + 1e-5) ** 0.5)
    inner = F.relu(F.conv2d(inner, block.conv2.weight, padding=1) / (1 + 1e-5) ** 0.5)
    expected = F.relu(F.conv2d(inner, block.conv3.weight) / (1 + 1e-5) ** 0.5 + x)
    torch.testing.assert_close(block(x), expected)
