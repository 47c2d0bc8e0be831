"""The models of this task: the registry, and training and prediction by a model's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.events.data.io import TRAIN, Images
from convoy.climate.events.models.params import (
    ImageModelParams,
    MajorityParams,
    MarkedParams,
    NetworkParams,
    PixelsParams,
    SimpleCNNParams,
    SpectraParams,
)
from convoy.climate.events.models.stored import (
    CheckTensors,
    check_linear,
    check_majority,
    check_model,
)
from convoy.core.artifact import StoredModel
from convoy.core.augmentation_params import View
from convoy.core.models import Fitted, ModelSpec, OnEpoch, Tensors, model_named, registry

if TYPE_CHECKING:
    from convoy.training.checkpoints import Checkpoint

TRAINED_BY = "convoy.climate.events.networks.fit"  # the module whose code a checkpoint depends on

Values: TypeAlias = npt.NDArray[Any]
Probabilities: TypeAlias = npt.NDArray[np.float64]
Config: TypeAlias = Mapping[str, Any]
Checkpoints: TypeAlias = "Callable[[int], Checkpoint] | None"
Seeds: TypeAlias = tuple[int, ...]
Fit: TypeAlias = "Callable[[str, Any, Images, Seeds, Checkpoints, OnEpoch | None], Fitted]"
"""Name, params, images, seeds, checkpoint of a seed, callback -> the model, fitted on the training split."""
Predict: TypeAlias = Callable[[Config, Tensors, Values], Probabilities]
"""Config, tensors of one seed, images (n, C, H, W) -> probabilities (n, classes)."""


@dataclass(frozen=True, kw_only=True)
class ImageModel(ModelSpec[Fit, Predict]):
    """A model from images to classes."""

    check: CheckTensors | None = None
    """Checks the tensors that a baseline stores; None for a network."""
    with_mark: bool = False
    """Fitted on the confounded variant, to be scored in it as well."""


def train(
    name: str, params: Any, images: Images, seeds: Seeds, checkpoint: Checkpoints = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[dict[str, Any], dict[int, Tensors], str | None]:  # fmt: skip
    """Fit a model once per seed; return config.json's content, tensors by seed and the first learning curve.

    For `checkpoint` and `on_epoch` see `convoy.training.seeds.train_seeds`. A baseline is deterministic and
    fitted for the first seed only.
    """
    fitted = model_named(MODELS, name).fit(name, params, images, seeds, checkpoint, on_epoch)
    facts = images.facts
    described = {
        "classes": list(facts.classes), "channels": list(facts.channels), "units": list(facts.units),
        "edges": list(facts.edges),
    }  # fmt: skip
    return {"schema": 1, "kind": name, **described, **fitted.config}, fitted.tensors, fitted.curve


def checked(stored: StoredModel) -> StoredModel:
    """The model, after checking that its config and tensors are consistent: see `stored.py`."""
    return check_model(stored, MODELS)


def probabilities(
    stored: StoredModel, values: Values, views: tuple[View, ...] = ()
) -> dict[int, Probabilities]:
    """Each seed's probabilities for images (n, C, H, W), (n, classes); of a network, means over `views`."""
    stored = stored.on_any_machine()
    row = model_named(MODELS, stored.config["kind"])
    if views and row.is_network:
        from convoy.climate.events.networks import fit

        return {
            seed: fit.probabilities(stored.config, tensors, values, views)
            for seed, tensors in stored.seeds.items()
        }
    predict = row.predict
    return {seed: predict(stored.config, tensors, values) for seed, tensors in stored.seeds.items()}


def _train_network(
    name: str, params: NetworkParams, images: Images, seeds: Seeds, checkpoint: Checkpoints,
    on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    from convoy.climate.events.networks import fit
    from convoy.training.seeds import train_seeds

    train_one = partial(fit.train, name, params, MODELS[name].with_mark, images)
    return Fitted(*train_seeds(train_one, params.training, seeds, checkpoint, on_epoch))


def _network_probabilities(config: Config, tensors: Tensors, values: Values) -> Probabilities:
    from convoy.climate.events.networks import fit

    return fit.probabilities(config, tensors, values)


def _fit_linear(
    name: str, params: PixelsParams, images: Images, seeds: Seeds, _checkpoint: Checkpoints,
    _on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    from convoy.climate.events import baselines

    train = images.values[images.rows(TRAIN)]
    mean = train.mean(axis=(0, 2, 3), dtype=np.float64)
    std = train.std(axis=(0, 2, 3), dtype=np.float64)
    standard = {"mean": mean.tolist(), "std": np.where(std > 0, std, 1.0).tolist()}
    tensors = baselines.fit(name, images, (standard["mean"], standard["std"]), params)
    return Fitted(
        {"standard": standard, "training": params.model_dump(mode="json")}, {seeds[0]: tensors}, None
    )


def _linear_probabilities(config: Config, tensors: Tensors, values: Values) -> Probabilities:
    from convoy.climate.events import baselines

    standard, training = config["standard"], config["training"]
    return baselines.probabilities(
        config["kind"], tensors, values, (standard["mean"], standard["std"]), training["cells"],
        training.get("bins", 0),
    )  # fmt: skip


def _fit_majority(
    _name: str, _params: Any, images: Images, seeds: Seeds, _checkpoint: Checkpoints,
    _on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    from convoy.climate.events import baselines

    return Fitted({"training": {}}, {seeds[0]: {"frequencies": baselines.class_frequencies(images)}}, None)


def _majority_probabilities(_config: Config, tensors: Tensors, values: Values) -> Probabilities:
    return np.tile(tensors["frequencies"], (len(values), 1))


MODELS: dict[str, ImageModel] = registry(
    ImageModel(
        name="simple_cnn",
        label="SimpleCNN",
        phrase="SimpleCNN",
        summary="A residual network of four stages with global average pooling.",
        colour=1,
        role="network",
        params=SimpleCNNParams,
        fit=_train_network,
        predict=_network_probabilities,
        exports=frozenset({"served"}),
    ),
    ImageModel(
        name="simple_cnn_marked",
        label="SimpleCNN with the mark",
        phrase="SimpleCNN fitted with a mark",
        summary="The same network, fitted on maps where a small mark goes with one class: a confounder.",
        colour=4,
        role="network",
        params=MarkedParams,
        fit=_train_network,
        predict=_network_probabilities,
        with_mark=True,
    ),
    ImageModel(
        name="image_model",
        label="Image network",
        phrase="the image network",
        summary="The network of `convoy.nn.images.IMAGE_MODELS` that `network` names, such as resnet18 "
        "(torchvision).",
        colour=0,
        role="network",
        params=ImageModelParams,
        fit=_train_network,
        predict=_network_probabilities,
        exports=frozenset({"served"}),
    ),
    ImageModel(
        name="spectra",
        label="Linear, spectra + histograms",
        phrase="the linear baseline on spectra and histograms",
        summary="Multinomial logistic regression on each channel's radial power spectrum and histogram "
        "(scikit-learn); it ignores where a feature is.",
        colour=2,
        role="baseline",
        params=SpectraParams,
        fit=_fit_linear,
        predict=_linear_probabilities,
        check=check_linear,
    ),
    ImageModel(
        name="pixels",
        label="Linear, pixels",
        phrase="the linear baseline on pixels",
        summary="Multinomial logistic regression on area means of pixels (scikit-learn).",
        colour=3,
        role="baseline",
        params=PixelsParams,
        fit=_fit_linear,
        predict=_linear_probabilities,
        check=check_linear,
    ),
    ImageModel(
        name="majority",
        label="Most frequent class",
        phrase="the most frequent class",
        summary="The class frequencies of the training split, whatever the image.",
        colour=5,
        role="baseline",
        params=MajorityParams,
        fit=_fit_majority,
        predict=_majority_probabilities,
        check=check_majority,
    ),
)
"""In the order of tables and of pairs in a comparison."""
