"""Image networks: parameter counts of the chapter and of the papers, shapes, and what each computes."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convoy.core.errors import ConvoyError
from convoy.nn.convolution import network_receptive_field, parameter_count
from convoy.nn.images import (
    IMAGE_MODELS,
    TORCHVISION_MODELS,
    LeNet5,
    PlainCNN,
    ResNetCifar,
    SimpleCNN,
    channels_last_is_safe,
    compound_scaling,
)

# Of 1,000 classes: torchvision's own documentation.
PUBLISHED = {
    "alexnet": 61_100_840, "vgg16": 138_357_544, "vgg19": 143_667_240, "resnet18": 11_689_512,
    "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808, "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184, "efficientnet_b2": 9_109_994, "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616, "efficientnet_b5": 30_389_784, "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
}  # fmt: skip


def test_parameter_counts_of_the_chapter():
    with torch.device("meta"):
        assert parameter_count(LeNet5()) == 61_706
        assert parameter_count(SimpleCNN()) == 11_181_642
        # One 3x3 in place of one 7x7 convolution, from 3 to 64 channels.
        assert parameter_count(SimpleCNN(small_stem=True)) == 11_181_642 - 64 * 3 * (49 - 9)


@pytest.mark.parametrize("name", TORCHVISION_MODELS)
def test_parameter_counts_of_torchvision(name):
    with torch.device("meta"):
        assert parameter_count(IMAGE_MODELS[name](num_classes=1000)) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("depth", "paper"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018)]
)  # fmt: skip
def test_parameter_counts_of_the_depth_study(depth, paper):
    # He et al. (2016a), table 6: 0.27, 0.46, 0.66 and 0.85 million, with shortcuts that have no parameters.
    with torch.device("meta"):
        assert parameter_count(PlainCNN(depth)) == paper
        projections = 16 * 32 + 32 * 64 + 2 * (32 + 64)
        assert parameter_count(ResNetCifar(depth)) == paper + projections


@pytest.mark.parametrize("depth", [20, 56])
@pytest.mark.parametrize("network", [PlainCNN, ResNetCifar])
def test_depth_counts_the_layers_with_weights(network, depth):
    with torch.device("meta"):
        modules = list(network(depth).modules())
    layers = [m for m in modules if isinstance(m, nn.Linear) or getattr(m, "kernel_size", None) == (3, 3)]
    assert len(layers) == depth


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_every_network_maps_images_to_scores(name):
    with torch.device("meta"):
        network = IMAGE_MODELS[name](num_classes=7, in_channels=2)
        side = 32 if name == "lenet5" else 64
        assert network(torch.empty(4, 2, side, side)).shape == (4, 7)


def test_torchvision_is_imported_when_it_is_needed():
    script = "import sys, convoy.nn.images; print('torchvision' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert shown.stdout == "False\n"


def test_simple_cnn_is_torchvisions_resnet_18():
    # The same function with the same weights; torchvision's order of registration in a block is ours but
    # for the place of the norms.
    ours, theirs = SimpleCNN(10), IMAGE_MODELS["resnet18"](num_classes=10)
    renamed = {}
    for key, value in theirs.state_dict().items():
        key = key.replace("downsample", "shortcut").replace("fc.", "classifier.")
        if key.startswith("layer"):
            key = f"stages.{int(key[5]) - 1}{key[6:]}"
        elif key.startswith("conv1"):
            key = key.replace("conv1", "stem.0")
        elif key.startswith("bn1"):
            key = key.replace("bn1", "stem.1")
        renamed[key] = value
    ours.load_state_dict(renamed)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


def test_the_small_stem_keeps_the_resolution():
    network = SimpleCNN(5, (1, 1, 1, 1), small_stem=True, in_channels=1, width=4)
    assert network.stem(torch.randn(2, 1, 32, 32)).shape == (2, 4, 32, 32)
    assert network.stages(network.stem(torch.randn(2, 1, 32, 32))).shape == (2, 32, 4, 4)
    large = SimpleCNN(5, (1, 1, 1, 1), width=4)
    assert large.stem(torch.randn(2, 3, 64, 64)).shape == (2, 4, 16, 16)


def test_lenet_averages_features_of_larger_images():
    network = LeNet5()
    images = torch.randn(2, 1, 32, 32)
    features = images
    for layer in network.features[:-1]:
        features = layer(features)
    assert features.shape == (2, 16, 5, 5)  # so that the average changes nothing at the paper's size
    torch.testing.assert_close(network.features(images), features)
    assert network(torch.randn(2, 1, 64, 64)).shape == (2, 10)


def test_plain_is_the_residual_network_without_its_shortcuts():
    plain, residual = PlainCNN(20).eval(), ResNetCifar(20).eval()
    convolutions = [m for m in residual.modules() if getattr(m, "kernel_size", None) == (3, 3)]
    for ours, theirs in zip(
        [m for m in plain.modules() if isinstance(m, nn.Conv2d)], convolutions, strict=True
    ):
        ours.load_state_dict(theirs.state_dict())
    plain.classifier.load_state_dict(residual.classifier.state_dict())
    for module in residual.modules():
        if hasattr(module, "shortcut"):
            module.shortcut = nn.Sequential(module.shortcut, Nothing())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(plain(images), residual(images))


class Nothing(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


def test_pre_activation_has_an_identity_path_from_stem_to_head():
    network = ResNetCifar(8, pre_activation=True).eval()
    for module in network.modules():
        if hasattr(module, "conv2"):
            nn.init.zeros_(module.conv2.weight)
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        first = network.stem(images)
        assert torch.equal(network.stages[0](first), first)
        features = F.relu(network.stages(first) / (1 + 1e-5) ** 0.5)
        torch.testing.assert_close(network(images), network.classifier(features.mean((2, 3))))


# Araujo, Norris and Sim (2019), "Computing receptive fields of CNNs", for AlexNet and
# VGG-16; the others by hand.
@pytest.mark.parametrize(
    ("name", "field"), [("alexnet", 195), ("vgg16", 212), ("vgg19", 268), ("lenet5", 16), ("resnet18", 435)]
)  # fmt: skip
def test_receptive_fields(name, field):
    with torch.device("meta"):
        network = IMAGE_MODELS[name]()
    assert network_receptive_field(network) == field


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_every_network_has_a_receptive_field(name):
    with torch.device("meta"):
        network = IMAGE_MODELS[name]()
    if name.startswith(("plain", "resnet_cifar")):
        blocks = (int(name[-2:]) - 2) // 6
        # Two 3x3 convolutions a block at jumps 1, 2 and 4; the first of a stage is at the jump before.
        expected = 3 + 2 * (2 * blocks * (1 + 2 + 4) - 1 - 2)
        assert network_receptive_field(network) == expected
    assert network_receptive_field(network) > 15


def reach(network, side):
    """The side of the box of input pixels that one feature before global pooling depends on."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    if len(network.stem) == 4 and isinstance(network.stem[3], nn.MaxPool2d):
        network.stem[3] = nn.AvgPool2d(3, 2, 1)  # of equal values the maximum has one gradient only
    image = torch.ones(1, 3, side, side, requires_grad=True)
    features = network.stages(network.stem(image))
    middle = features.shape[2] // 2
    features[0, :, middle, middle].sum().backward()
    seen = torch.nonzero(image.grad[0, 0].amax(0))
    return int(seen[-1] - seen[0]) + 1


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (ResNetCifar(20), 128), (ResNetCifar(14, pre_activation=True), 96),
        (SimpleCNN(10, (1, 1, 1, 1), width=2), 512), (SimpleCNN(10, (2, 1, 1, 2), True, width=2), 320),
    ],
)  # fmt: skip
def test_the_receptive_field_is_the_reach_of_the_gradient(network, side):
    assert reach(network.eval(), side) == network_receptive_field(network)


@pytest.mark.parametrize("depth", [2, 19, 21])
@pytest.mark.parametrize("network", [PlainCNN, ResNetCifar])
def test_an_impossible_depth_is_refused(network, depth):
    with pytest.raises(ConvoyError, match=f"depth: expected 6n \\+ 2 layers.*found {depth}"):
        network(depth)


@pytest.mark.parametrize("blocks", [(2, 2, 2), (2, 2, 2, 0)])
def test_simple_cnn_needs_four_stages(blocks):
    with pytest.raises(ConvoyError, match="blocks_per_stage: expected four numbers"):
        SimpleCNN(blocks_per_stage=blocks)


def test_compound_scaling():
    assert compound_scaling(0) == (1, 1, 1)
    assert compound_scaling(2) == pytest.approx((1.44, 1.21, 1.3225))
    assert compound_scaling(1, 2, 1, 1) == (2, 1, 1)
    with pytest.raises(ConvoyError, match=r"expected 2, to within 0.1; found 3.042"):
        compound_scaling(1, 1.25, 1.2, 1.3)


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_channels_may_come_last_in_every_network_as_published(name):
    with torch.device("meta"):
        assert channels_last_is_safe(IMAGE_MODELS[name](num_classes=10, in_channels=3))


def test_channels_come_first_where_a_strided_1x1_convolution_has_few():
    with torch.device("meta"):
        assert channels_last_is_safe(SimpleCNN(small_stem=True, width=16))
        assert not channels_last_is_safe(SimpleCNN(small_stem=True, width=8))
        assert not channels_last_is_safe(nn.Conv2d(64, 64, 1, 2, groups=64))
        assert not channels_last_is_safe(nn.Sequential(nn.Conv2d(3, 8, 1, (1, 2))))
        for layer in (nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 3, 2), nn.Conv2d(32, 8, 1, 2), nn.Linear(3, 2)):
            assert channels_last_is_safe(layer)


def gradients(network, images, order, precision=torch.float32):
    """All weights' gradients in evaluation mode, one vector, and the outputs."""
    network.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        outputs = network(images.clone(memory_format=order)).flatten(1)
    F.cross_entropy(outputs, torch.arange(len(images))).backward()
    return torch.cat([weights.grad.flatten() for weights in network.parameters()]).double(), outputs.double()


def small(name):
    torch.manual_seed(0)
    network = IMAGE_MODELS[name](**({"width": 16, "small_stem": True} if name == "simple_cnn" else {})).eval()
    # Their dense layers have nothing to do with the order, and most of the weights.
    return network.features if name in {"alexnet", "vgg16"} else network


@pytest.mark.parametrize(
    "name",
    [
        "simple_cnn",
        "plain20",
        "resnet_cifar20",
        "alexnet",
        "vgg16",
        "resnet18",
        "resnet50",
        "efficientnet_b0",
    ],
)
def test_gradients_with_channels_last_are_those_of_float64(name):
    network = small(name)
    images = torch.randn(4, 3, 64, 64) if name == "alexnet" else torch.randn(4, 3, 32, 32)
    last = gradients(network, images, torch.channels_last)
    exact = gradients(network.double(), images.double(), torch.contiguous_format)
    for found, expected in zip(last, exact, strict=True):
        assert (found - expected).norm() < 1e-3 * expected.norm()


def test_gradients_in_bfloat16_are_as_near_to_those_of_float32_with_channels_last_as_first():
    network, images = small("simple_cnn"), torch.randn(4, 3, 16, 16)
    exact = gradients(network, images, torch.contiguous_format)
    last, first = (
        gradients(network, images, order, torch.bfloat16)
        for order in (torch.channels_last, torch.contiguous_format)
    )
    for found, other, expected in zip(last, first, exact, strict=True):
        assert (found - expected).norm() < 0.2 * expected.norm()
        assert (found - expected).norm() < 1.5 * (other - expected).norm()
