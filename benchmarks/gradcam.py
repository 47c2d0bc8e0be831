"""Grad-CAM maps of a batch compared with one forward and one backward pass of the same network and batch.

The pass is what Grad-CAM by its definition cannot do without if all gradients are computed: scores, and the
gradients of their sum for every weight, in evaluation mode. Ours begins its graph at the last stage. Both
sides have the same 64 images of 64 x 64 and the same classes. The plain gradient of the input is measured
as well, for which nothing is required.
"""

import argparse
import gc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.nn.gradcam import GradCAM, input_gradient
from convoy.nn.images import SimpleCNN
from convoy.training.loop import seeded

MOST_TIMES = 1.5
NETWORKS: dict[str, Callable[[], SimpleCNN]] = {
    "simple_cnn": lambda: SimpleCNN(5),
    "simple_cnn, small stem, width 16": lambda: SimpleCNN(5, small_stem=True, width=16),
}


def run(images: int, rounds: int, results: Path = RESULTS) -> Path:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(cores())
    rows, seconds = [], {}
    for name, make in NETWORKS.items():
        with seeded(0):
            network = make().eval().to(device)
            x = torch.randn(images, 3, 64, 64).to(device)
        targets = (torch.arange(images) % 5).to(device)
        sides = _sides(network, x, targets)
        seconds[name] = in_turn(sides, rounds, name)
        whole = median(seconds[name]["forward and backward"])
        for side in ("Grad-CAM", "gradient of the input"):
            own = median(seconds[name][side])
            rows.append({
                "network": name, "maps by": side, "forward and backward, s": whole, "maps, s": own,
                "times": own / whole, "at most": MOST_TIMES if side == "Grad-CAM" else None,
            })  # fmt: skip
    with part("memory"):
        growth = _growth(network, x[:1])
    measured = {
        "what": " ".join((__doc__ or "").split()), "images": images, "device": device,
        "tensors left after 50 calls": growth, "seconds": seconds,
    }  # fmt: skip
    return report("gradcam", rows, measured, ["torch"], results)


def _sides(network: SimpleCNN, x: Tensor, targets: Tensor) -> dict[str, Callable[[], Any]]:
    def done() -> None:
        if x.is_cuda:
            torch.cuda.synchronize()

    def whole() -> None:
        network(x).gather(1, targets[:, None]).sum().backward()
        network.zero_grad(set_to_none=True)
        done()

    def cam() -> None:
        with GradCAM(network, network.stages) as maps:
            maps.generate(x, targets)
        done()

    def gradient() -> None:
        input_gradient(network, x, targets)
        done()

    return {"forward and backward": whole, "Grad-CAM": cam, "gradient of the input": gradient}


def _growth(network: SimpleCNN, x: Tensor) -> int:
    """Tensors alive after 50 more calls than before them."""

    def alive() -> int:
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    hooks = [len(module._forward_hooks) for module in network.modules()]
    with GradCAM(network, network.stages) as maps:
        maps.generate(x)
        before = alive()
        for _ in range(50):
            maps.generate(x)
        after = alive()
    assert hooks == [len(module._forward_hooks) for module in network.modules()]
    return after - before


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    run(options.images, options.rounds)


if __name__ == "__main__":
    main()
