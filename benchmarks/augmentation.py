"""An epoch of SimpleCNN(small_stem) with augmentation: our loop compared with a plain one, image by image.

Both sides train the same network with the same optimiser and batches on as many images of CIFAR-10's size,
synthetic: random crops after padding by 4, flips, rotations by up to 15 degrees, random erasing, the data
set's statistics. The plain side applies torchvision's v2 transforms to one image after the other in a
DataLoader without workers. Ours augments whole batches on the device and has the network's tensors in
channels-last order on a GPU; its time holds a validation on 128 images, which the plain loop leaves out. A
row of its own measures the augmentation alone. The share of the limit is that of the network's own
multiplications, three times those of its forward pass, in the better of a float32 and a bfloat16 product of
large matrices measured here: what plain leaves of it bounds what any loop can gain without other arithmetic.
Fewer images than CIFAR-10's 50,000, and fewer for the wide network, so that a CPU ends within minutes.
"""

import argparse
import contextlib
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.limits import measure_limits
from benchmarks.machine import RESULTS, cores, in_turn, part, report
from convoy.nn.augmentation_params import Augmentation
from convoy.nn.images import SimpleCNN
from convoy.training.batches import Batch
from convoy.training.devices import Device
from convoy.training.image_batches import ImageBatches, channel_statistics
from convoy.training.loop import fit, seeded
from convoy.training.objectives import Classification
from convoy.training.params import TrainingParams

REQUIRED = {"cpu": 2, "cuda": 10}
# Images by the width of the network; 64 is SimpleCNN's own.
IMAGES = {"cpu": {64: 256, 16: 1024}, "cuda": {64: 50_000, 16: 50_000}}
VALIDATION_IMAGES = 128
BATCH = 128
ALLOWED = Augmentation(transforms=("crop", "flip_left_right", "rotate", "erase"))


def run(images: dict[int, int] | None, rounds: int, results: Path = RESULTS) -> Path:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = images or IMAGES[device]
    torch.set_num_threads(cores())
    with part("limits of the machine"):
        limits = measure_limits(device)
    params = TrainingParams(
        recipe="sgd_cosine", batch_size=BATCH, epochs=1, patience=None, threads=cores()
    )  # fmt: skip
    rows, seconds = [], {}
    for width, count in images.items():
        train, validation = _examples(count, 0), _examples(VALIDATION_IMAGES, 1)
        with seeded(0):
            network = SimpleCNN(10, small_stem=True, width=width)
        sides = {
            "plain": partial(_plain, network, train, device),
            "ours": partial(_ours, network, train, validation, params),
        }
        what = f"SimpleCNN(small_stem), width {width}"
        seconds[what] = in_turn(sides, rounds, what)
        row = _row(what, count, seconds[what], REQUIRED[device])
        operations = 3 * _operations(network) / limits["operations/s"]
        shares = {f"{side}: share of limit": operations * row[f"{side}, images/s"] for side in sides}
        rows.append(row | shares)
    what, count = "augmentation alone", max(images.values())
    seconds[what] = in_turn(_augmentations(_examples(count, 0), device), rounds, what)
    rows.append(_row(what, count, seconds[what], None))
    measured = {
        "what": " ".join((__doc__ or "").split()), "batch": BATCH,
        "precision of ours": "bfloat16" if Device(params).bfloat16 else "float32",
        "limits": limits, "seconds": seconds,
    }  # fmt: skip
    return report(f"augmentation-{device}", rows, measured, ["torch", "torchvision", "numpy"], results)


def _row(what: str, count: int, seconds: dict[str, list[float]], required: int | None) -> dict[str, Any]:
    plain, ours = (median(seconds[side]) for side in ("plain", "ours"))
    return {
        "epoch of": what, "images": count, "plain, images/s": count / plain, "ours, images/s": count / ours,
        "times": plain / ours, "required": required,
    }  # fmt: skip


def _examples(count: int, seed: int) -> ImageBatches:
    """Bytes (count, 3, 32, 32) of ten classes: smooth patterns of the class with noise."""
    random = torch.Generator().manual_seed(seed)
    patterns = F.interpolate(torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(9)), (32, 32))
    labels = torch.randint(0, 10, (count,), generator=random)
    noise = torch.randn(count, 3, 32, 32, generator=random)
    images = (patterns[labels] * 160 + 40 + 30 * noise).clamp(0, 255).to(torch.uint8)
    return ImageBatches(images, labels, 10, channel_statistics(images), ALLOWED)


def _ours(network: nn.Module, train: ImageBatches, validation: ImageBatches, params: TrainingParams) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        fit(network, train, validation, Classification(), params, 0, "simple_cnn")


class OneByOne(Dataset):
    """One image at a time, through torchvision's transforms."""

    def __init__(self, examples: ImageBatches) -> None:
        from torchvision.transforms import v2

        assert examples.labels is not None
        self.images, self.labels = examples.images, examples.labels
        mean, std = examples.standard
        fill = [round(value) for value in mean]  # of what is outside, as in ours
        self.transform: Callable[[Tensor], Tensor] = v2.Compose([
            v2.RandomCrop(32, padding=ALLOWED.padding, fill=fill), v2.RandomHorizontalFlip(),
            v2.RandomRotation(ALLOWED.degrees, v2.InterpolationMode.BILINEAR, fill=fill),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([value / 255 for value in mean], [value / 255 for value in std]),
            v2.RandomErasing(ALLOWED.erase_probability),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[item]), self.labels[item]


def _loader(examples: ImageBatches) -> DataLoader:
    return DataLoader(OneByOne(examples), BATCH, shuffle=True, num_workers=0)


def _plain(network: nn.Module, train: ImageBatches, device: str) -> None:
    """One epoch."""
    network.train().to(device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for images, labels in _loader(train):
        loss = F.cross_entropy(network(images.to(device)), labels.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
    network.to("cpu")


def _augmentations(examples: ImageBatches, device: str) -> dict[str, Callable[[], Any]]:
    there = examples.to(torch.device(device))
    items = torch.arange(len(examples), device=device).split(BATCH)

    def ours() -> None:
        for each in items:
            there.draw(Batch(each, (len(each),)), training=True)
        if device == "cuda":
            torch.cuda.synchronize()

    return {"plain": lambda: [None for _ in _loader(examples)], "ours": ours}


def _operations(network: nn.Module) -> int:
    """Operations of the forward pass of one image, two for each multiplication."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    return int(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    run(None, options.rounds)


if __name__ == "__main__":
    main()
