"""Architectures from LeNet-5 to EfficientNet on one small task: parameters, operations, accuracy."""

from dataclasses import dataclass

import torch
from pydantic import Field
from torch.utils.flop_counter import FlopCounterMode

from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.core.training_params import TrainingParams
from convoy.nn.convolution import parameter_count
from convoy.nn.images import IMAGE_MODELS
from convoy.studies.gratings import CLASSES, train_and_validation
from convoy.training.curve import Fitted
from convoy.training.loop import fit, seeded
from convoy.training.objectives import Classification


class ArchitectureParams(Section):
    """Size of the task, the networks and length of the trainings."""

    images: int = Field(1024, ge=64, le=1_000_000, description="to train on; a quarter as many to validate")
    image_size: int = Field(32, ge=32, le=512, description="pixels; AlexNet needs 63")
    noise: float = Field(1.0, ge=0, le=100, description="standard deviation; waves have 0.5 to 1")
    networks: tuple[str, ...] = Field(
        ("lenet5", "plain20", "resnet_cifar20", "simple_cnn", "resnet18", "efficientnet_b0"),
        min_length=1, max_length=len(IMAGE_MODELS), description="of convoy.nn.images.IMAGE_MODELS",
    )  # fmt: skip
    epochs: int = Field(12, ge=1, le=10_000)
    batch_size: int = Field(32, ge=2, le=65_536)
    learning_rate: float = Field(2e-3, gt=0, le=10)
    seed: int = Field(0, ge=0, le=2**32 - 1)
    threads: int = Field(2, ge=1, le=256, description="on a CPU; results change with it")


@dataclass(frozen=True)
class Architecture:
    """One network: its parameters, operations of an image (two a multiplication), its learning curve."""

    name: str
    parameters: int
    operations: int
    fitted: Fitted


def train_one(name: str, params: ArchitectureParams) -> Architecture:
    """Train one network by AdamW with a one-cycle schedule; raises ConvoyError for an unknown name."""
    if name not in IMAGE_MODELS:
        raise ConvoyError(
            key="architectures.networks", expected=f"some of {', '.join(IMAGE_MODELS)}", found=name
        )
    train, validation = train_and_validation(params.images, params.image_size, params.seed, params.noise)
    training = TrainingParams(
        recipe="adamw_one_cycle", learning_rate=params.learning_rate, weight_decay=0.05,
        batch_size=params.batch_size, epochs=params.epochs, patience=None, threads=params.threads,
        precision="float32", device="cpu",
    )  # fmt: skip
    with seeded(params.seed):
        network = IMAGE_MODELS[name](num_classes=CLASSES, in_channels=1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, 1, params.image_size, params.image_size))
    fitted = fit(network, train, validation, Classification(), training, params.seed, name)
    return Architecture(name, parameter_count(network), counter.get_total_flops(), fitted)
