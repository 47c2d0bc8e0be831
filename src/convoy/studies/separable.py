"""Plain and depthwise separable convolutions in the same network: parameters, operations, accuracy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convoy.core.params import Section
from convoy.core.training_params import TrainingParams
from convoy.nn.blocks import DepthwiseSeparableConv
from convoy.nn.convolution import parameter_count
from convoy.studies.gratings import CLASSES, train_and_validation
from convoy.training.curve import Fitted
from convoy.training.loop import fit, seeded
from convoy.training.objectives import Classification


class SeparableParams(Section):
    """Size of the task, widths of the networks and length of the trainings."""

    images: int = Field(1024, ge=64, le=1_000_000, description="to train on; a quarter as many to validate")
    image_size: int = Field(16, ge=8, le=256, description="pixels")
    noise: float = Field(1.0, ge=0, le=100, description="standard deviation; waves have 0.5 to 1")
    widths: tuple[int, ...] = Field((16, 32), min_length=1, max_length=8, description="of the first stage")
    epochs: int = Field(8, ge=1, le=10_000)
    batch_size: int = Field(64, ge=2, le=65_536)
    seed: int = Field(0, ge=0, le=2**32 - 1)
    threads: int = Field(2, ge=1, le=256, description="on a CPU; results change with it")


@dataclass(frozen=True)
class Compared:
    """One network: its parameters, operations of an image (two a multiplication), its learning curve."""

    kind: str
    width: int
    parameters: int
    operations: int
    fitted: Fitted


def plain(inputs: int, outputs: int, stride: int) -> nn.Module:
    """A 3x3 convolution with norm and relu."""
    layer = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


def separable(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The same shape as a depthwise separable convolution."""
    return DepthwiseSeparableConv(inputs, outputs, stride=stride)


KINDS: Mapping[str, Callable[[int, int, int], nn.Module]] = {"plain": plain, "separable": separable}


def network(kind: str, width: int) -> nn.Sequential:
    """A plain stem, six layers of the kind in three stages, global average pooling, linear."""
    layer, layers = KINDS[kind], [plain(1, width, 1)]
    inputs = width
    for number, outputs in enumerate((width, 2 * width, 4 * width)):
        layers += [layer(inputs, outputs, 1 if number == 0 else 2), layer(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


def train_one(kind: str, width: int, params: SeparableParams) -> Compared:
    """Train one network with Adam."""
    train, validation = train_and_validation(params.images, params.image_size, params.seed, params.noise)
    training = TrainingParams(
        recipe="adam", learning_rate=3e-3, batch_size=params.batch_size, epochs=params.epochs, patience=None,
        threads=params.threads, precision="float32", device="cpu",
    )  # fmt: skip
    with seeded(params.seed):
        model = network(kind, width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 1, params.image_size, params.image_size))
    label = f"{kind} width {width}"
    fitted = fit(model, train, validation, Classification(), training, params.seed, label)
    return Compared(kind, width, parameter_count(model), counter.get_total_flops(), fitted)
