"""The models of this task: the registry, and training and prediction by a model's name."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from convoy.climate.series.data.site_years import TRAIN, SiteYears, Values
from convoy.climate.series.models import baselines
from convoy.climate.series.models.params import LinearParams, MajorityParams, TemporalCNNParams
from convoy.climate.series.models.stored import TASK
from convoy.core.artifact import StoredModel
from convoy.core.models import Fitted, ModelSpec, OnEpoch, Tensors, model_named, registry

if TYPE_CHECKING:
    from convoy.training.checkpoints import Checkpoint

TRAINED_BY = "convoy.climate.series.networks.fit"  # the module whose code a checkpoint depends on

Config: TypeAlias = Mapping[str, Any]
Probabilities: TypeAlias = npt.NDArray[np.float64]
Checkpoints: TypeAlias = "Callable[[int], Checkpoint] | None"
Seeds: TypeAlias = tuple[int, ...]
Fit: TypeAlias = "Callable[[str, Any, SiteYears, Seeds, Checkpoints, OnEpoch | None], Fitted]"
"""Name, params, site-years, seeds, checkpoint of a seed, callback -> the fitted model."""
Predict: TypeAlias = Callable[[Config, Tensors, Values], Probabilities]
"""Config, tensors of one seed, values (N, V, 365) -> probabilities (N, categories)."""
SeriesModel: TypeAlias = ModelSpec[Fit, Predict]


def train(
    name: str, params: Any, data: SiteYears, seeds: Seeds, checkpoint: Checkpoints = None,
    on_epoch: OnEpoch | None = None,
) -> tuple[dict[str, Any], dict[int, Tensors], str | None]:  # fmt: skip
    """Fit a model once per seed; return config.json's content, tensors by seed and the first learning curve.

    For `checkpoint` and `on_epoch` see `convoy.training.seeds.train_seeds`. A baseline is deterministic and
    fitted for the first seed only.
    """
    fitted = model_named(MODELS, name).fit(name, params, data, seeds, checkpoint, on_epoch)
    config = {
        "schema": 1, "task": TASK, "kind": name, "network": {}, "categories": list(data.categories),
        "variables": list(data.variables), **fitted.config,
    }  # fmt: skip
    return config, fitted.tensors, fitted.curve


def probabilities(stored: StoredModel, values: Values) -> dict[int, Probabilities]:
    """Each seed's probabilities, (N, categories), for values (N, V, 365) of the model's variables."""
    stored = stored.on_any_machine()
    predict = model_named(MODELS, stored.config["kind"]).predict
    return {seed: predict(stored.config, tensors, values) for seed, tensors in stored.seeds.items()}


def _train_network(
    name: str, params: Any, data: SiteYears, seeds: Seeds, checkpoint: Checkpoints, on_epoch: OnEpoch | None
) -> Fitted:
    from convoy.climate.series.networks import fit
    from convoy.training.seeds import train_seeds

    return Fitted(
        *train_seeds(partial(fit.train, name, params, data), params.training, seeds, checkpoint, on_epoch)
    )


def _network_probabilities(config: Config, tensors: Tensors, values: Values) -> Probabilities:
    from convoy.climate.series.networks import fit

    return fit.probabilities(config, tensors, values)


def _fit_linear(
    name: str, params: Any, data: SiteYears, seeds: Seeds, _checkpoint: Checkpoints, _on_epoch: OnEpoch | None
) -> Fitted:
    tensors = baselines.fit(name, data, params)
    return Fitted({"training": params.model_dump(mode="json")}, {seeds[0]: tensors}, None)


def _linear_probabilities(config: Config, tensors: Tensors, values: Values) -> Probabilities:
    return baselines.probabilities(config["kind"], tensors, values)


def _fit_majority(
    _name: str, _params: Any, data: SiteYears, seeds: Seeds, _checkpoint: Checkpoints,
    _on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    shares = baselines.frequencies(data.categories, data.of(TRAIN).labels)
    return Fitted({"training": {}}, {seeds[0]: {"frequencies": shares}}, None)


def _majority_probabilities(_config: Config, tensors: Tensors, values: Values) -> Probabilities:
    return np.tile(tensors["frequencies"], (len(values), 1))


def _linear(name: str, label: str, phrase: str, features: str, colour: int) -> SeriesModel:
    return ModelSpec(
        name=name, label=label, phrase=phrase,
        summary=f"Multinomial logistic regression (scikit-learn) on {features} of each variable.",
        colour=colour, role="baseline", params=LinearParams, fit=_fit_linear, predict=_linear_probabilities,
    )  # fmt: skip


MODELS: dict[str, SeriesModel] = registry(
    ModelSpec(
        name="temporal_cnn",
        label="TemporalCNN",
        phrase="TemporalCNN",
        summary="Convolutions over the days of a year, then the mean over time; it uses the order of days.",
        colour=1,
        role="network",
        params=TemporalCNNParams,
        fit=_train_network,
        predict=_network_probabilities,
        exports=frozenset({"embeddings", "served"}),
    ),
    _linear(
        "correlations", "Correlations", "the baseline on correlations",
        "harmonics, and the correlations of the anomalies with those of the same day and the day before,", 0,
    ),
    _linear(
        "harmonics", "Harmonics", "the baseline on harmonics",
        "mean, yearly and half-yearly harmonics, and the standard deviation around them,", 2,
    ),
    _linear("monthly_means", "Monthly means", "the baseline on monthly means", "the twelve monthly means", 3),
    _linear("quantiles", "Quantiles", "the baseline on quantiles", "seven quantiles of the days", 4),
    ModelSpec(
        name="majority",
        label="Most frequent regime",
        phrase="the most frequent regime",
        summary="The frequencies of the training split, whatever the weather.",
        colour=5,
        role="baseline",
        params=MajorityParams,
        fit=_fit_majority,
        predict=_majority_probabilities,
    ),
)  # fmt: skip
"""In the order of tables and of pairs in a comparison."""
