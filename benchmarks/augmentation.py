"""An epoch of SimpleCNN(small_stem) with augmentation: our loop compared with a plain one, image by image.

Both sides train the same network with the same optimiser and batches on as many images of CIFAR-10's size,
synthetic: random crops after padding by 4, flips, rotations by up to 15 degrees, random erasing, the data
set's statistics; both end with a validation on 128 images. The plain side applies torchvision's v2 transforms
to one image after the other in a DataLoader without workers. Ours augments whole batches on the device and
has the network's tensors in channels-last order. Each side has a process of its own: plain as a script is,
ours with the memory settings of every stage (convoy.core.threads.keep_memory); a third one, plain with these
settings, shows their part, a fourth, ours without the kernel `winograd`, that of the kernel. A row of its own
measures the augmentation alone. The share of the limit is that of the network's multiplications by their
definition, three times those of its forward pass and one time for validation, in the better of a float32 and
a bfloat16 product of large matrices measured here; `winograd` needs a quarter of most of them. Fewer images
than CIFAR-10's 50,000, and fewer for the wide network, so that a CPU ends within minutes.
"""

import argparse
import contextlib
import io
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from multiprocessing import get_context
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
from convoy.core.augmentation_params import Augmentation
from convoy.core.threads import keep_memory
from convoy.core.training_params import TrainingParams
from convoy.nn.images import SimpleCNN, channels_last_is_safe
from convoy.nn.kernels.switch import VARIABLE
from convoy.nn.kernels.winograd import FastConvolutions
from convoy.training.batches import Batch
from convoy.training.devices import Device
from convoy.training.image_batches import ImageBatches, channel_statistics
from convoy.training.loop import fit, seeded
from convoy.training.objectives import Classification

REQUIRED = {"cpu": 2, "cuda": 10}
# Images by the width of the network; 64 is SimpleCNN's own.
IMAGES = {"cpu": {64: 256, 16: 1024}, "cuda": {64: 50_000, 16: 50_000}}
VALIDATION_IMAGES = 128
BATCH = 128
PLAIN, KEPT, OURS, OFF = "plain", "plain, memory kept", "ours", "ours, winograd off"
ALLOWED = Augmentation(transforms=("crop", "flip_left_right", "rotate", "erase"))


def run(images: dict[int, int] | None, rounds: int, results: Path = RESULTS) -> Path:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = images or IMAGES[device]
    torch.set_num_threads(cores())
    with part("limits of the machine"):
        limits = measure_limits(device)
    rows, seconds = [], {}
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(_process(name)) for name in (PLAIN, KEPT, OURS, OFF)}

        def measure(what: str, plain: Callable[..., None], ours: Callable[..., None], *sizes: int) -> None:
            sides = {
                name: partial(_wait, process, ours if name in (OURS, OFF) else plain, *sizes, device)
                for name, process in processes.items()
            }
            seconds[what] = in_turn(sides, rounds, what)

        for width, count in images.items():
            what = f"SimpleCNN(small_stem), width {width}"
            measure(what, _plain, _ours, width, count)
            row = _row(what, count, seconds[what], REQUIRED[device])
            per_image = (3 + VALIDATION_IMAGES / count) * _operations(width) / limits["operations/s"]
            shares = {
                f"{name}: share of limit": per_image * row[f"{name}, images/s"] for name in (PLAIN, OURS)
            }
            rows.append(row | shares)
        what, count = "augmentation alone", max(images.values())
        measure(what, _augmented_one_by_one, _augmented, count)
        rows.append(_row(what, count, seconds[what], None))
    measured = {
        "what": " ".join((__doc__ or "").split()), "batch": BATCH,
        "precision of ours": "bfloat16" if Device(_params()).bfloat16 else "float32",
        "limits": limits, "seconds": seconds,
    }  # fmt: skip
    return report(f"augmentation-{device}", rows, measured, ["torch", "torchvision", "numpy"], results)


def _row(what: str, count: int, seconds: dict[str, list[float]], required: int | None) -> dict[str, Any]:
    plain, kept, ours, off = (median(seconds[side]) for side in (PLAIN, KEPT, OURS, OFF))
    return {
        "epoch of": what, "images": count, "plain, images/s": count / plain, "ours, images/s": count / ours,
        "times": plain / ours, "times, memory kept": kept / ours, "times, winograd off": off / ours,
        "required": required,
    }  # fmt: skip


def _process(side: str) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, get_context("spawn"), _begin, (side,))


def _begin(side: str) -> None:
    torch.set_num_threads(cores())
    if side != PLAIN:
        keep_memory()
    if side == OFF:
        os.environ[VARIABLE] = "winograd"


def _wait(process: ProcessPoolExecutor, side: Callable[..., None], *arguments: Any) -> None:
    process.submit(side, *arguments).result()


def _params() -> TrainingParams:
    return TrainingParams(
        recipe="sgd_cosine", batch_size=BATCH, epochs=1, patience=None, threads=cores()
    )  # fmt: skip


@lru_cache(1)
def _task(width: int, count: int) -> tuple[nn.Module, ImageBatches, ImageBatches]:
    """The network, training and validation, made once in each process."""
    with seeded(0):
        network = SimpleCNN(10, small_stem=True, width=width)
    last = channels_last_is_safe(network)
    train, validation = (
        replace(_examples(size, seed), channels_last=last)
        for seed, size in enumerate((count, VALIDATION_IMAGES))
    )
    return network, train, validation


def _examples(count: int, seed: int) -> ImageBatches:
    """Bytes (count, 3, 32, 32) of ten classes: smooth patterns of the class with noise."""
    random = torch.Generator().manual_seed(seed)
    patterns = F.interpolate(torch.rand(10, 3, 4, 4, generator=torch.Generator().manual_seed(9)), (32, 32))
    labels = torch.randint(0, 10, (count,), generator=random)
    noise = torch.randn(count, 3, 32, 32, generator=random)
    images = (patterns[labels] * 160 + 40 + 30 * noise).clamp(0, 255).to(torch.uint8)
    return ImageBatches(images, labels, 10, channel_statistics(images), ALLOWED)


def _ours(width: int, count: int, _device: str) -> None:
    network, train, validation = _task(width, count)
    with contextlib.redirect_stdout(io.StringIO()), FastConvolutions():
        fit(network, train, validation, Classification(), _params(), 0, "simple_cnn")


class OneByOne(Dataset):
    """One image at a time, through torchvision's transforms."""

    def __init__(self, examples: ImageBatches, training: bool) -> None:
        from torchvision.transforms import v2

        assert examples.labels is not None
        self.images, self.labels = examples.images, examples.labels
        mean, std = examples.standard
        fill = [round(value) for value in mean]  # of what is outside, as in ours
        moved = [
            v2.RandomCrop(32, padding=ALLOWED.padding, fill=fill), v2.RandomHorizontalFlip(),
            v2.RandomRotation(ALLOWED.degrees, v2.InterpolationMode.BILINEAR, fill=fill),
        ]  # fmt: skip
        self.transform: Callable[[Tensor], Tensor] = v2.Compose([
            *(moved if training else []),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([value / 255 for value in mean], [value / 255 for value in std]),
            *([v2.RandomErasing(ALLOWED.erase_probability)] if training else []),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[item]), self.labels[item]


def _loader(examples: ImageBatches, training: bool = True) -> DataLoader:
    return DataLoader(OneByOne(examples, training), BATCH, shuffle=training, num_workers=0)


def _plain(width: int, count: int, device: str) -> None:
    """One epoch and its validation."""
    network, train, validation = _task(width, count)
    network.train().to(device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for images, labels in _loader(train):
        loss = F.cross_entropy(network(images.to(device)), labels.to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
    network.eval()
    with torch.no_grad():
        for images, labels in _loader(validation, training=False):
            F.cross_entropy(network(images.to(device)), labels.to(device)).item()
    network.to("cpu")


@lru_cache(1)
def _resident(count: int, device: str) -> ImageBatches:
    return _examples(count, 0).to(torch.device(device))


def _augmented_one_by_one(count: int, _device: str) -> None:
    for _ in _loader(_resident(count, "cpu")):
        pass


def _augmented(count: int, device: str) -> None:
    examples = _resident(count, device)
    for items in torch.arange(count, device=device).split(BATCH):
        examples.draw(Batch(items, (len(items),)), training=True)
    if device == "cuda":
        torch.cuda.synchronize()


def _operations(width: int) -> int:
    """Operations of the forward pass of one image, two for each multiplication."""
    network = SimpleCNN(10, small_stem=True, width=width).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    return int(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    run(None, options.rounds)


if __name__ == "__main__":
    main()
