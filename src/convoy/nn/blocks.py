"""The building blocks of image networks: residual, bottleneck and depthwise separable convolutions."""

import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut: (N, in, H, W) -> (N, out, H / stride, W / stride).

    y = relu(F(x) + x) (He et al. 2016a), with a 1x1 projection where the shape changes. With
    `pre_activation`, y = x + F(relu(bn(x))), which leaves the identity path unchanged (He et al. 2016b).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, pre_activation: bool = False
    ) -> None:
        super().__init__()
        self.pre_activation = pre_activation
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels if pre_activation else out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm=not pre_activation)

    def forward(self, x: Tensor) -> Tensor:
        if self.pre_activation:
            inner = self.conv1(F.relu(self.bn1(x)))
            return self.shortcut(x) + self.conv2(F.relu(self.bn2(inner)))
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class BottleneckBlock(nn.Module):
    """1x1 reduce, 3x3, 1x1 expand to 4 x `bottleneck_channels`, with a shortcut (He et al. 2016a).

    (N, in, H, W) -> (N, 4 * bottleneck, H / stride, W / stride).
    """

    expansion = 4

    def __init__(self, in_channels: int, bottleneck_channels: int, stride: int = 1) -> None:
        super().__init__()
        out_channels = bottleneck_channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, bottleneck_channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(bottleneck_channels)
        self.conv2 = nn.Conv2d(bottleneck_channels, bottleneck_channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(bottleneck_channels)
        self.conv3 = nn.Conv2d(bottleneck_channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm=True)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(x)))
        inner = F.relu(self.bn2(self.conv2(inner)))
        return F.relu(self.bn3(self.conv3(inner)) + self.shortcut(x))


class DepthwiseSeparableConv(nn.Module):
    """One filter per channel, then a 1x1 convolution, each with batch norm and relu (Howard et al. 2017).

    (N, in, H, W) -> (N, out, H', W') with the output size of the depthwise convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel_size, stride, padding, groups=in_channels, bias=False
        )
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.depthwise(x)))
        return F.relu(self.bn2(self.pointwise(inner)))


def _shortcut(in_channels: int, out_channels: int, stride: int, norm: bool) -> nn.Module:
    """The identity, or a 1x1 projection where the shape changes."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(out_channels)) if norm else projection
