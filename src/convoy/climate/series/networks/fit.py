"""The networks of site-years, from values to weights and from weights to probabilities and embeddings."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convoy.climate.series.data.site_years import (
    DAYS,
    TRAIN,
    VALIDATION,
    SiteYears,
    Values,
    require_every_category,
)
from convoy.climate.series.models.params import SeriesTraining, TemporalCNNParams
from convoy.climate.series.networks.batches import SeriesBatches
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.temporal import SeriesClassifier
from convoy.training.calibration import temperature
from convoy.training.checkpoints import Checkpoint
from convoy.training.loop import OnEpoch, fit, predict, seeded
from convoy.training.objectives import Classification
from convoy.training.seeds import Trained

Array: TypeAlias = npt.NDArray[Any]


def train(
    name: str, params: TemporalCNNParams, data: SiteYears, seed: int, checkpoint: Checkpoint | None = None,
    on_epoch: OnEpoch = lambda _row, _resumed: None,
) -> Trained:  # fmt: skip
    """Fit the network of a model.

    The mean yearly cycle and the whitening of the anomalies from it are those of the training split. A
    temperature fitted on the validation split (Guo et al., 2017) is folded into the last layer. Raises
    ConvoyError where a split or a category is empty.
    """
    parts = {split: data.of(split) for split in (TRAIN, VALIDATION)}
    for split, part in parts.items():
        if len(part) < 2:
            raise ConvoyError(f"{name}: {len(part)} site-years in the {split} split; add sites")
    require_every_category(name, parts[TRAIN])
    arguments = {
        "num_classes": len(data.categories), "n_variables": len(data.variables), **params.arguments(),
    }  # fmt: skip
    with seeded(seed):
        network = SeriesClassifier(**arguments)
    network.standardise(*standardisation(parts[TRAIN].values))
    examples, validation = (_examples(part.values, part.labels, part.item_ids) for part in parts.values())
    fitted = fit(
        network, examples, validation, Classification(params.training.label_smoothing), params.training,
        seed, name, checkpoint, on_epoch,
    )  # fmt: skip
    scale = 1 / temperature(predict(network, validation, params.training), validation.labels_N)
    tensors = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    for key in ("classifier.weight", "classifier.bias"):
        tensors[key] *= np.float32(scale)
    return Trained({"network": arguments}, tensors, fitted.csv())


def standardisation(values: Values) -> tuple[Tensor, Tensor]:
    """The mean yearly cycle (V, 365), two harmonics, and the matrix (V, V) that whitens anomalies from it.

    The matrix is the inverse of the lower Cholesky factor of the anomalies' covariance.
    """
    angle = 2 * np.pi * np.arange(DAYS) / DAYS
    design = np.stack([np.ones(DAYS), *(f(k * angle) for k in (1, 2) for f in (np.cos, np.sin))], axis=1)
    mean = values.mean(axis=0, dtype=np.float64)
    cycle = mean @ np.linalg.pinv(design).T @ design.T
    covariance = np.zeros((len(cycle), len(cycle)))
    for row in values:  # a copy of all values in double precision would take twice their memory
        anomaly = row - cycle
        covariance += anomaly @ anomaly.T
    covariance /= len(values) * DAYS
    # Variables that are copies of each other have a singular covariance.
    spread = np.sqrt(np.diag(covariance)) + 1e-12
    correlation = covariance / np.outer(spread, spread) + 1e-6 * np.eye(len(spread))
    whitening = np.linalg.inv(np.linalg.cholesky(correlation)) / spread
    return torch.from_numpy(cycle).float(), torch.from_numpy(whitening).float()


def probabilities(config: Mapping[str, Any], tensors: Mapping[str, Array], values: Values) -> Array:
    """Softmax outputs, (N, categories) float64."""
    return _outputs(_network(config, tensors), config, values).double().softmax(1).numpy()


def embeddings(config: Mapping[str, Any], tensors: Mapping[str, Array], values: Values) -> Array:
    """The encoder's outputs, (N, output_dim) float32."""
    return _outputs(_Embedder(_network(config, tensors)), config, values).numpy()


class _Embedder(nn.Module):
    def __init__(self, network: SeriesClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, series_NVT: Tensor) -> Tensor:
        return self.network.get_embedding(series_NVT)


def _network(config: Mapping[str, Any], tensors: Mapping[str, Array]) -> SeriesClassifier:
    network = SeriesClassifier(**config["network"])
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    return network


def _outputs(network: nn.Module, config: Mapping[str, Any], values: Values) -> Tensor:
    training = parse(config["training"], SeriesTraining, "config.json: training")
    labels = np.zeros(len(values), np.int64)
    return predict(network, _examples(values, labels, []), training)


def _examples(values: Values, labels: npt.NDArray[np.int64], names: list[str]) -> SeriesBatches:
    return SeriesBatches(torch.from_numpy(np.ascontiguousarray(values)), torch.from_numpy(labels), names)
