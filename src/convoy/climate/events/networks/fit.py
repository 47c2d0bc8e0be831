"""Fits and applies the networks: `SimpleCNN`, and any other of `convoy.nn.images.IMAGE_MODELS`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from convoy.climate.events.data.io import SPLITS, TRAIN, VALIDATION, Images
from convoy.climate.events.data.synthetic import marked
from convoy.climate.events.models.params import ImageTraining, NetworkParams
from convoy.core.augmentation_params import Augmentation, View
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.augmentation import AveragedViews
from convoy.nn.images import IMAGE_MODELS, channels_last_is_safe
from convoy.nn.kernels.winograd import FastConvolutions
from convoy.training.calibration import temperature
from convoy.training.checkpoints import Checkpoint
from convoy.training.image_batches import ChannelStatistics, ImageBatches, channel_statistics
from convoy.training.loop import OnEpoch, fit, predict, seeded
from convoy.training.objectives import Classification
from convoy.training.seeds import Trained

Config = Mapping[str, Any]

COARSEST = 12
"""Cells that the maps of a layer need along each edge for its explanations to be fine enough."""


def train(
    name: str, params: NetworkParams, with_mark: bool, images: Images, seed: int,
    checkpoint: Checkpoint | None = None, on_epoch: OnEpoch = lambda _row, _resumed: None,
) -> Trained:  # fmt: skip
    """Fit a network on the training split; a temperature from the validation split calibrates it.

    with_mark: on images whose mark goes with one class, training and validation alike. Raises ConvoyError
    where a split is empty, or where there is no such variant of the images.
    """
    facts = images.facts
    if with_mark:
        if facts.marked is None:
            raise ConvoyError(
                f"{name}: only the synthetic maps have a variant with a mark",
                hint="remove it from climate.events.networks",
            )
        images = replace(images, values=marked(images.values, images.labels, facts.marked))
    network_name, options = params.network_of()
    arguments = {"num_classes": len(facts.classes), "in_channels": len(facts.channels), **options}
    for split in (TRAIN, VALIDATION):
        if len(images.rows(split)) < 2:
            raise ConvoyError(f"{name}: {len(images.rows(split))} images in {SPLITS[split]}; add some")
    standard = channel_statistics(torch.from_numpy(images.values[images.rows(TRAIN)]))
    with seeded(seed):
        network = built({"name": network_name, **arguments})
    examples, validation = (_batches(images, split, standard, network) for split in (TRAIN, VALIDATION))
    layer = finest_layer(network, (len(facts.channels), *facts.edges))
    with FastConvolutions():
        fitted = fit(
            network, replace(examples, allowed=params.augmentation), validation,
            Classification(params.training.label_smoothing), params.training, seed, name, checkpoint,
            on_epoch,
        )  # fmt: skip
        outputs = predict(network, validation, params.training)
    assert validation.labels is not None
    config = {
        "network": {"name": network_name, **arguments},
        "standard": {"mean": list(standard.mean), "std": list(standard.std)},
        "temperature": temperature(outputs, validation.labels),
        "layer": layer,
    }
    return Trained(
        config, {key: tensor.numpy() for key, tensor in network.state_dict().items()}, fitted.csv()
    )


def probabilities(
    config: Config, tensors: Mapping[str, npt.NDArray[Any]], values: npt.NDArray[Any],
    views: tuple[View, ...] = (),
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Calibrated probabilities (n, classes) of images (n, C, H, W).

    With `views`, their mean over each image itself and its fixed views of these transforms.
    """
    training = parse(config["training"], ImageTraining, "config.json: training")
    network: nn.Module = _Calibrated(network_of(config, tensors), config["temperature"])
    examples = ImageBatches(
        torch.from_numpy(np.ascontiguousarray(values)), None, len(config["classes"]), standard_of(config),
        channels_last=channels_last_is_safe(network),
    )  # fmt: skip
    if views:
        network = AveragedViews(network, Augmentation(transforms=views))
    with FastConvolutions():
        return predict(network, examples, training).double().softmax(1).numpy()


class _Calibrated(nn.Module):
    """A classifier whose outputs are divided by its temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images).float() / self.temperature


def network_of(config: Config, tensors: Mapping[str, npt.NDArray[Any]]) -> nn.Module:
    """The network of a stored model with its weights, in evaluation mode."""
    network = built(config["network"])
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    return network.train(False)


def built(arguments: Mapping[str, Any]) -> nn.Module:
    """A network with new weights, from the `network` of a config."""
    options = dict(arguments)
    return IMAGE_MODELS[options.pop("name")](**options)


def standard_of(config: Config) -> ChannelStatistics:
    """Mean and standard deviation of each channel, as the network was fitted with."""
    return ChannelStatistics(tuple(config["standard"]["mean"]), tuple(config["standard"]["std"]))


def skeleton(arguments: Mapping[str, Any]) -> nn.Module:
    """A network without memory for its weights: for the names of its layers and the shapes of its tensors."""
    with torch.device("meta"), _WithoutDraws():
        return built(arguments)


class _WithoutDraws(TorchFunctionMode):
    """Leaves out normal draws: without memory, they import torch's compiler first, which takes 1.6 s."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # fmt: skip
        return args[0] if func is Tensor.normal_ else func(*args, **(kwargs or {}))


def shapes(network: nn.Module) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each tensor of a network."""
    state = network.state_dict()
    return {name: (str(one.dtype).removeprefix("torch."), tuple(one.shape)) for name, one in state.items()}


def finest_layer(network: nn.Module, shape: tuple[int, ...]) -> str:
    """Name of the last layer whose maps have COARSEST cells along each edge, or of the last with maps.

    Among those that are called once in a forward pass; shape: of an image (C, H, W). Maps after it are too
    coarse to show where an event is.
    """
    calls: list[tuple[str, int]] = []

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                calls.append((name, min(output.shape[2:])))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in network.named_modules() if name]
    was_training = network.training
    try:
        with torch.no_grad():
            network.train(False)(torch.zeros(1, *shape))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    names = [name for name, _ in calls]
    once = [(name, edge) for name, edge in calls if names.count(name) == 1 and edge > 1]
    fine = [name for name, edge in once if edge >= COARSEST]
    if not once:
        raise ConvoyError("the images are too small for this network", hint="choose a smaller network")
    return fine[-1] if fine else once[-1][0]


def flops(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Floating-point operations of a forward pass for one image (C, H, W), by torch's counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.train(False)(torch.zeros(1, *shape))
    return int(counter.get_total_flops())


def _batches(images: Images, split: int, standard: ChannelStatistics, network: nn.Module) -> ImageBatches:
    rows = images.rows(split)
    return ImageBatches(
        torch.from_numpy(images.values[rows]), torch.from_numpy(images.labels[rows]),
        len(images.facts.classes), standard, ids=images.ids.take(rows).to_pylist(),
        channels_last=channels_last_is_safe(network),
    )  # fmt: skip
