"""Augmentation of whole batches on their device: random changes drawn per image, without a loop over images.

`Augmentation` lists the transforms that the data allow, since physics forbids some: a weather map flipped
north-south turns its cyclones the other way. `augment` is for training alone; in evaluation `AveragedViews`
may average a fixed set of views.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convoy.core.augmentation_params import Augmentation

_ERASED_AREA, _ERASED_RATIO = (0.02, 1 / 3), (0.3, 3.3)  # Zhong et al. (2020)


def augment(
    images: Tensor, labels: Tensor, classes: int, params: Augmentation,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Changed images (N, C, H, W), float, and their targets, of standardised images and labels (N,).

    Targets are the labels, or probabilities (N, classes) where images are mixed: for cross-entropy they give
    lambda * L(y_i) + (1 - lambda) * L(y_j). All random numbers are from `generator`, on the device of the
    images; None: from torch's own of that device. Works inside a CUDA graph, without waiting for the device.
    """
    draw = _Draws(len(images), images.device, generator)
    names = params.transforms
    if {"crop", "flip_left_right", "flip_up_down"} & set(names):
        images = _moved(
            images,
            draw.whole(-params.padding, params.padding) if "crop" in names else None,
            draw.whole(-params.padding, params.padding) if "crop" in names else None,
            draw.happens(0.5) if "flip_up_down" in names else None,
            draw.happens(0.5) if "flip_left_right" in names else None,
        )
    if "rotate" in names:
        images = _rotated(images, draw.uniform(-params.degrees, params.degrees))
    if "erase" in names:
        erased = _erased(draw, *images.shape[2:]) & draw.happens(params.erase_probability)[:, None, None]
        images = images.masked_fill(erased[:, None], 0)
    if not params.mixes:
        return images, labels
    kept = _kept(draw, params, *images.shape[2:])
    partner = draw.uniform(0, 1).argsort()
    share = kept.mean((1, 2))[:, None]
    targets = F.one_hot(labels, classes).to(images.dtype)
    return torch.lerp(images[partner], images, kept[:, None]), torch.lerp(targets[partner], targets, share)


class AveragedViews(nn.Module):
    """A classifier whose probabilities are the mean over a fixed set of views: test-time augmentation.

    Views are the image itself, the flips that `allowed` names, and where it names crop the four shifts of
    half its padding. The output is the logarithm of the mean probabilities (N, classes).
    """

    def __init__(self, network: nn.Module, allowed: Augmentation) -> None:
        super().__init__()
        self.network = network
        step = (allowed.padding + 1) // 2
        names = allowed.transforms
        self.views = [(0, 0, False, False)]
        self.views += [(0, 0, True, False)] if "flip_up_down" in names else []
        self.views += [(0, 0, False, True)] if "flip_left_right" in names else []
        if "crop" in names:
            self.views += [(y, x, False, False) for y, x in ((-step, 0), (step, 0), (0, -step), (0, step))]

    def forward(self, images: Tensor) -> Tensor:
        def filled(value: int | bool) -> Tensor:
            return torch.full((len(images),), value, device=images.device)

        outputs = [self.network(_moved(images, *map(filled, view))) for view in self.views]
        logs = torch.stack([F.log_softmax(output.float(), 1) for output in outputs])
        return torch.logsumexp(logs, 0) - math.log(len(outputs))


class _Draws:
    """Random numbers (n,), one for each image."""

    def __init__(self, count: int, device: torch.device, generator: torch.Generator | None) -> None:
        self.count, self.device, self.generator = count, device, generator

    def uniform(self, low: float, high: float) -> Tensor:
        share = torch.rand(self.count, device=self.device, generator=self.generator)
        return low + (high - low) * share

    def whole(self, low: int, high: int) -> Tensor:
        """From low to high, both included."""
        return torch.randint(low, high + 1, (self.count,), device=self.device, generator=self.generator)

    def happens(self, probability: float) -> Tensor:
        return self.uniform(0, 1) < probability

    def beta(self, alpha: float) -> Tensor:
        """Of Beta(alpha, alpha): the first of a Dirichlet pair, as torch.distributions does it."""
        pairs = torch.full((self.count, 2), alpha, device=self.device)
        return torch._sample_dirichlet(pairs, generator=self.generator)[:, 0]


def _moved(
    images: Tensor, down: Tensor | None, right: Tensor | None, upside: Tensor | None, mirrored: Tensor | None
) -> Tensor:
    """Images shifted by whole pixels (N,), with zeros from outside, then flipped where (N,) is true.

    The result is in channels-last order, as the gathering makes it.
    """
    count, _, height, width = images.shape
    rows = _sources(height, down, upside, images).expand(count, -1)[:, :, None]
    columns = _sources(width, right, mirrored, images).expand(count, -1)[:, None, :]
    number = torch.arange(count, device=images.device)[:, None, None]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels = images.permute(0, 2, 3, 1)[number, rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    return (pixels * inside[..., None]).permute(0, 3, 1, 2)


def _sources(size: int, shift: Tensor | None, flipped: Tensor | None, images: Tensor) -> Tensor:
    """(N or 1, size): the pixel of the input along one axis that each pixel of the output shows."""
    places = torch.arange(size, device=images.device)[None]
    if flipped is not None:
        places = torch.where(flipped[:, None], size - 1 - places, places)
    return places if shift is None else places - shift[:, None]


def _rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Images turned about their centre by (N,) degrees, counter-clockwise where positive."""
    angle = torch.deg2rad(degrees)
    sine, cosine, zero = torch.sin(angle), torch.cos(angle), torch.zeros_like(angle)
    height, width = images.shape[2:]
    # In affine_grid's units each axis runs from -1 to 1, whatever its length.
    matrix = torch.stack([cosine, -sine * height / width, zero, sine * width / height, cosine, zero], 1)
    grid = F.affine_grid(matrix.view(-1, 2, 3).to(images.dtype), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _erased(draw: _Draws, height: int, width: int) -> Tensor:
    """(N, H, W): true in one box, of uniform area and log-uniform ratio of its sides."""
    area = draw.uniform(*_ERASED_AREA) * height * width
    ratio = draw.uniform(*map(math.log, _ERASED_RATIO)).exp()
    tall = (area * ratio).sqrt().round().clamp(1, height)
    wide = (area / ratio).sqrt().round().clamp(1, width)
    top = (draw.uniform(0, 1) * (height - tall + 1)).floor()
    left = (draw.uniform(0, 1) * (width - wide + 1)).floor()
    return _boxes(top, top + tall, left, left + wide, height, width)


def _kept(draw: _Draws, params: Augmentation, height: int, width: int) -> Tensor:
    """(N, H, W): the weight of each image's own pixels; the rest is its partner's."""
    parts: list[Tensor] = []
    if "mixup" in params.transforms:
        parts.append(draw.beta(params.mixup_alpha)[:, None, None].expand(-1, height, width))
    if "cutmix" in params.transforms:
        side = (1 - draw.beta(params.cutmix_alpha)).sqrt()
        y, x = draw.uniform(0, height), draw.uniform(0, width)
        tall, wide = side * height / 2, side * width / 2
        parts.append((~_boxes(y - tall, y + tall, x - wide, x + wide, height, width)).float())
    first, last = parts[0], parts[-1]
    return first if first is last else torch.where(draw.happens(0.5)[:, None, None], first, last)


def _boxes(top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, height: int, width: int) -> Tensor:
    """(N, H, W): true where the centre of a pixel is inside the box, whose edges (N,) may be outside."""
    rows = torch.arange(height, device=top.device)[None, :, None] + 0.5
    columns = torch.arange(width, device=top.device)[None, None, :] + 0.5
    top, bottom, left, right = (edge[:, None, None] for edge in (top, bottom, left, right))
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
