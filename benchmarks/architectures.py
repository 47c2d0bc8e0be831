"""Time per image of the image networks, and of separable compared with plain convolutions.

A forward pass in evaluation mode in float32, batch by batch; images are those of the studies' tasks: one
channel, 32 x 32 for the architectures and 16 x 16 for the networks of plain and of separable convolutions.
Operations, two for each multiplication, and the time they take set in relation: depthwise convolutions have
few operations for the memory that they read, so that their time falls less than their operations.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import RESULTS, cores, in_turn, report
from convoy.nn.convolution import parameter_count
from convoy.nn.images import IMAGE_MODELS
from convoy.studies import separable
from convoy.studies.architectures import ArchitectureParams
from convoy.studies.gratings import CLASSES
from convoy.training.loop import seeded

BATCH = 32


def networks() -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """Name -> the function that makes a network, and the edge of its images in pixels."""
    image, plain = ArchitectureParams(), separable.SeparableParams()
    found: dict[str, tuple[Callable[[], nn.Module], int]] = {
        name: (partial(IMAGE_MODELS[name], num_classes=CLASSES, in_channels=1), image.image_size)
        for name in image.networks
    }
    for width in plain.widths:
        for kind in separable.KINDS:
            made = partial(separable.network, kind, width)
            found[f"{kind} convolutions, width {width}"] = (made, plain.image_size)
    return found


def run(names: list[str] | None, rounds: int, results: Path = RESULTS) -> Path:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(cores())
    chosen = {name: row for name, row in networks().items() if names is None or name in names}
    passes, sizes = {}, {}
    for name, (make, pixels) in chosen.items():
        with seeded(0):
            network, images = make().eval(), torch.randn(BATCH, 1, pixels, pixels)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images[:1])
        sizes[name] = (pixels, parameter_count(network), counter.get_total_flops())
        passes[name] = partial(_forward, network.to(device), images.to(device))
    seconds = in_turn(passes, rounds)
    rows = []
    for name, (pixels, parameters, operations) in sizes.items():
        each = median(seconds[name]) / BATCH
        rows.append({
            "network": name, "pixels": pixels, "parameters": parameters, "10^6 operations": operations / 1e6,
            "ms per image": 1e3 * each, "10^9 operations/s": operations / each / 1e9,
        })  # fmt: skip
    measured = {"what": " ".join((__doc__ or "").split()), "batch": BATCH, "seconds": seconds}
    return report(f"architectures-{device}", rows, measured, ["torch", "torchvision"], results)


def _forward(network: nn.Module, images: torch.Tensor) -> Any:
    with torch.inference_mode():
        outputs = network(images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return outputs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    run(None, options.rounds)


if __name__ == "__main__":
    main()
