"""The depth study: plain networks get harder to train with depth, residual ones do not (He et al. 2016a)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from convoy.core.params import Section
from convoy.core.training_params import TrainingParams
from convoy.nn.blocks import ResidualBlock
from convoy.nn.images import PlainCNN, ResNetCifar
from convoy.studies.gratings import CLASSES, train_and_validation
from convoy.training.batches import Batch
from convoy.training.curve import Fitted
from convoy.training.image_batches import ImageBatches
from convoy.training.loop import fit, seeded
from convoy.training.objectives import Classification


class DepthParams(Section):
    """Size of the task and length of the trainings."""

    images: int = Field(1024, ge=64, le=1_000_000, description="to train on; a quarter as many to validate")
    image_size: int = Field(12, ge=8, le=256, description="pixels")
    noise: float = Field(1.0, ge=0, le=100, description="standard deviation; waves have 0.5 to 1")
    depths: tuple[int, int] = Field((20, 56), description="layers: 6n + 2, the shallower first")
    epochs: int = Field(8, ge=1, le=10_000)
    batch_size: int = Field(32, ge=2, le=65_536)
    learning_rate: float = Field(0.05, gt=0, le=10)
    seed: int = Field(0, ge=0, le=2**32 - 1)
    threads: int = Field(2, ge=1, le=256, description="on a CPU; results change with it")


@dataclass(frozen=True)
class Trained:
    """One network: its learning curve, and the gradient norm of each 3x3 layer with random weights."""

    name: str
    depth: int
    fitted: Fitted
    gradient_norms: tuple[float, ...]

    @property
    def final_loss(self) -> float:
        """The mean training loss of the last epoch."""
        return self.fitted.curve[-1].train_loss


NETWORKS: Mapping[str, Callable[[int], nn.Module]] = {
    "plain": lambda depth: PlainCNN(depth, CLASSES, in_channels=1),
    "residual": lambda depth: ResNetCifar(depth, CLASSES, in_channels=1),
    "pre-activation": lambda depth: ResNetCifar(depth, CLASSES, in_channels=1, pre_activation=True),
}


def train_one(name: str, depth: int, params: DepthParams) -> Trained:
    """Train one of NETWORKS with SGD and a cosine schedule; residual branches start at zero."""
    train, validation = train_and_validation(params.images, params.image_size, params.seed, params.noise)
    training = TrainingParams(
        recipe="sgd_cosine", learning_rate=params.learning_rate, batch_size=params.batch_size,
        epochs=params.epochs, patience=None, threads=params.threads, precision="float32", device="cpu",
    )  # fmt: skip
    with seeded(params.seed):
        network = NETWORKS[name](depth)
    norms = gradient_norms(network, train, params.batch_size)
    _start_at_zero(network)
    label = f"{name} {depth}"
    fitted = fit(network, train, validation, Classification(), training, params.seed, label)
    return Trained(name, depth, fitted, norms)


def _start_at_zero(network: nn.Module) -> None:
    """Set the last layer with weights of each residual branch to zero (Goyal et al. 2017).

    Deep residual networks then need no epochs at a small learning rate first, which He et al. (2016a) use.
    """
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            nn.init.zeros_((block.conv2 if block.pre_activation else block.bn2).weight)


def gradient_norms(network: nn.Module, examples: ImageBatches, count: int) -> tuple[float, ...]:
    """L2 norm of the loss's gradient for the weights of each 3x3 convolution, from the input on.

    On the first `count` examples, in training mode; the network is left without gradients.
    """
    network.train()
    count = min(count, len(examples))
    images, labels = examples.draw(Batch(torch.arange(count), (count,)), training=False)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    loss = F.cross_entropy(network(images), labels)
    gradients = torch.autograd.grad(loss, [layer.weight for layer in layers])
    return tuple(float(gradient.norm()) for gradient in gradients)
