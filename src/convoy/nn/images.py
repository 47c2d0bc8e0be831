"""Image classifiers, (N, in_channels, H, W) to logits (N, num_classes), and one dict of all by name.

Five are defined here: the small ones and those of the depth study. The others are torchvision's, without
weights; torchvision is imported when one of them is built.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn

from convoy.core.errors import ConvoyError
from convoy.nn.blocks import ResidualBlock


class LeNet5(nn.Module):
    """LeCun et al. (1998), 61,706 parameters: two 5x5 convolutions, three dense layers, tanh.

    Its input is 32x32; for other sizes, at least 12x12, the features are averaged to 5x5.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(5),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))


class SimpleCNN(nn.Module):
    """Stem, four stages of residual blocks, global average pooling, linear: 11,181,642 parameters.

    The layers are those of ResNet-18 (He et al. 2016a). blocks_per_stage: of each of the four stages, which
    have `width` x (1, 2, 4, 8) channels and halve the image from the second on. small_stem: one 3x3
    convolution at stride 1, which images of about 32x32 need, in place of 7x7 at stride 2 and max pooling,
    which shrink them four times.
    """

    def __init__(
        self, num_classes: int = 10, blocks_per_stage: Sequence[int] = (2, 2, 2, 2), small_stem: bool = False,
        in_channels: int = 3, width: int = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(blocks_per_stage) != 4 or min(blocks_per_stage) < 1:
            raise ConvoyError(
                key="blocks_per_stage", expected="four numbers of at least 1", found=str(blocks_per_stage)
            )
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(),
            nn.Identity() if small_stem else nn.MaxPool2d(3, 2, 1),
        )  # fmt: skip
        self.stages = _stages(width, [width, 2 * width, 4 * width, 8 * width], blocks_per_stage)
        self.classifier = nn.Linear(8 * width, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.stages(self.stem(images)).mean((2, 3)))


class ResNetCifar(nn.Module):
    """The residual networks of He et al. (2016a, 4.2) for 32x32 images: `depth` = 6n + 2 layers.

    A 3x3 stem and three stages of n blocks with 16, 32 and 64 channels. Shortcuts between stages are 1x1
    projections (option B). `pre_activation`: norm and relu come first in each block (He et al. 2016b).
    """

    def __init__(
        self, depth: int, num_classes: int = 10, in_channels: int = 3, pre_activation: bool = False
    ) -> None:
        super().__init__()
        blocks = _blocks_per_stage(depth)
        stem: list[nn.Module] = [nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)]
        self.stem = nn.Sequential(*stem, *([] if pre_activation else _norm_relu(16)))
        self.stages = _stages(16, [16, 32, 64], [blocks] * 3, pre_activation)
        self.head = nn.Sequential(*(_norm_relu(64) if pre_activation else []))
        self.classifier = nn.Linear(64, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.head(self.stages(self.stem(images))).mean((2, 3)))


class PlainCNN(nn.Module):
    """`ResNetCifar` without its shortcuts: the same convolutions, each with norm and relu."""

    def __init__(self, depth: int, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        layers = [nn.Conv2d(in_channels, 16, 3, padding=1, bias=False), *_norm_relu(16)]
        before = 16
        for channels in (16, 32, 64):
            for number in range(2 * _blocks_per_stage(depth)):
                stride = 2 if number == 0 and channels > 16 else 1
                layers += [nn.Conv2d(before, channels, 3, stride, 1, bias=False), *_norm_relu(channels)]
                before = channels
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(64, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.layers(images).mean((2, 3)))


def _blocks_per_stage(depth: int) -> int:
    if depth < 8 or depth % 6 != 2:
        raise ConvoyError(key="depth", expected="6n + 2 layers: 20, 32, 44, 56 ...", found=str(depth))
    return (depth - 2) // 6


def _norm_relu(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]


def _stages(
    before: int, widths: Sequence[int], blocks: Sequence[int], pre_activation: bool = False
) -> nn.Sequential:
    """Stages of residual blocks; each but the first begins with stride 2."""
    stages = []
    for number, (channels, count) in enumerate(zip(widths, blocks, strict=True)):
        strides = [1 if number == 0 else 2, *[1] * (count - 1)]
        inputs = [before, *[channels] * (count - 1)]
        stages.append(
            nn.Sequential(
                *(
                    ResidualBlock(each, channels, stride, pre_activation)
                    for each, stride in zip(inputs, strides, strict=True)
                )
            )
        )
        before = channels
    return nn.Sequential(*stages)


def _initialise(network: nn.Module) -> None:
    """Normal weights that keep the variance through relus (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _torchvision(name: str, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    """A network of torchvision without weights; its first convolution is replaced for other channels."""
    from torchvision import models

    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
    if in_channels != 3:
        place, first = next(
            (place, module) for place, module in network.named_modules() if isinstance(module, nn.Conv2d)
        )
        arguments = {key: getattr(first, key) for key in ("out_channels", "kernel_size", "stride", "padding")}
        layer = nn.Conv2d(in_channels, bias=first.bias is not None, **arguments)
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        parent, _, attribute = place.rpartition(".")
        setattr(network.get_submodule(parent), attribute, layer)
    return network


TORCHVISION_MODELS = (
    "alexnet", "vgg16", "vgg19", "resnet18", "resnet50", "resnet101", "resnet152",
    *(f"efficientnet_b{number}" for number in range(8)),
)  # fmt: skip

# Each is called with `num_classes` and `in_channels` by keyword.
IMAGE_MODELS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType({
    "lenet5": LeNet5,
    "simple_cnn": SimpleCNN,
    **{f"plain{depth}": partial(PlainCNN, depth) for depth in (20, 32, 44, 56)},
    **{f"resnet_cifar{depth}": partial(ResNetCifar, depth) for depth in (20, 32, 44, 56)},
    **{name: partial(_torchvision, name) for name in TORCHVISION_MODELS},
})  # fmt: skip


def channels_last_is_safe(network: nn.Module) -> bool:
    """True where a CPU trains `network` correctly on images whose channels come last.

    False where a 1x1 convolution of stride above 1 has fewer than 16 input channels, the numbers of a vector
    register. oneDNN's gradient for the weights of such a layer is then wrong or never ends, and it writes
    beyond its memory (torch 2.15; fewer than 8 with AVX2). With channels first it is correct.
    """
    return not any(
        max(layer.kernel_size) == 1 and max(layer.stride) > 1 and layer.in_channels // layer.groups < 16
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    )


class CompoundScaling(NamedTuple):
    """Multipliers of a network's depth, its width and the resolution of its images."""

    depth: float
    width: float
    resolution: float


def compound_scaling(
    phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15
) -> CompoundScaling:
    """The multipliers alpha^phi, beta^phi and gamma^phi (Tan and Le, 2019, eq. 3).

    FLOPs grow by (alpha * beta^2 * gamma^2)^phi; raises ConvoyError where that base is not 2 to within 0.1.
    The released EfficientNet-B1 to B7 are rounded by hand and do not follow whole phi exactly.
    """
    base = alpha * beta**2 * gamma**2
    if not abs(base - 2) <= 0.1:
        raise ConvoyError(key="alpha * beta^2 * gamma^2", expected="2, to within 0.1", found=f"{base:.4g}")
    return CompoundScaling(alpha**phi, beta**phi, gamma**phi)
