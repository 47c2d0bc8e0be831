"""Sizes of all image networks, untrained: parameters, operations of an image, receptive field."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from convoy.nn.convolution import network_receptive_field, parameter_count
from convoy.nn.images import IMAGE_MODELS, compound_scaling

# The resolutions at which B0 to B7 were published (Tan and Le, 2019).
EFFICIENTNET_PIXELS = (224, 240, 260, 300, 380, 456, 528, 600)
EFFICIENTNET = "efficientnet_b"


@dataclass(frozen=True)
class Size:
    """One network with 1,000 classes; small ones with 10.

    gflops: 10^9 operations of an image of `pixels`, two for each multiplication. receptive_field: pixels of
    the input. Of EfficientNet, times_b0: operations relative to B0, and by_compound_scaling: what the rule
    gives for the whole phi of the network's name.
    """

    name: str
    pixels: int
    parameters: int
    gflops: float
    receptive_field: int
    times_b0: float | None = None
    by_compound_scaling: float | None = None


def sizes(names: Iterable[str] = tuple(IMAGE_MODELS)) -> Iterator[Size]:
    """The size of each of these networks of IMAGE_MODELS, EfficientNet-B0 before others of its kind.

    No weights are held.
    """
    first = 0.0
    for name in names:
        small = name == "lenet5" or name.startswith(("plain", "resnet_cifar"))
        number = int(name.removeprefix(EFFICIENTNET)) if name.startswith(EFFICIENTNET) else None
        pixels = 32 if small else 224 if number is None else EFFICIENTNET_PIXELS[number]
        with torch.device("meta"):
            network = IMAGE_MODELS[name](num_classes=10 if small else 1000, in_channels=3)
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                network.eval()(torch.empty(1, 3, pixels, pixels))
        operations = counter.get_total_flops()
        times, rule = None, None
        if number is not None:
            first = first or operations
            scale = compound_scaling(number)
            times, rule = operations / first, scale.depth * scale.width**2 * scale.resolution**2
        yield Size(
            name, pixels, parameter_count(network), operations / 1e9, network_receptive_field(network),
            times, rule,
        )  # fmt: skip
