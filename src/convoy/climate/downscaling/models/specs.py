"""The models of this task: the registry, and fitting and fine fields by a model's name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convoy.climate.data.domains import Domain, Fields
from convoy.climate.data.lapse import TEMPERATURES
from convoy.climate.data.variables import ELEVATION
from convoy.climate.downscaling.models import baselines, surfaces
from convoy.climate.downscaling.models.params import BaselineParams, NetworkParams
from convoy.climate.downscaling.models.stored import (
    NETWORK,
    TASK,
    TRUTH,
    TensorsOf,
    check_model,
    lapse_tensors,
    no_tensors,
    pixel_month_tensors,
    quantile_tensors,
    ridge_tensors,
)
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.models import Fitted, ModelSpec, OnEpoch, Tensors, model_named, registry

if TYPE_CHECKING:
    from convoy.training.checkpoints import Checkpoint

TRAINED_BY = "convoy.climate.downscaling.networks.fit"  # the module whose code a checkpoint depends on

Config: TypeAlias = Mapping[str, Any]
Domains: TypeAlias = Sequence[Domain]
Checkpoints: TypeAlias = "Callable[[int], Checkpoint] | None"
Seeds: TypeAlias = tuple[int, ...]
Prediction: TypeAlias = tuple[Fields, Fields | None]
"""The fine field (T, H, W) and, where the model has one, its standard deviation."""
Fit: TypeAlias = "Callable[[str, Any, Domains, Domains, str, Seeds, Checkpoints, OnEpoch | None], Fitted]"
"""Name, params, training and validation domains, target, seeds, checkpoint of a seed, callback -> model."""
Predict: TypeAlias = Callable[[Config, Tensors], Callable[[Domain], Prediction]]
"""Config and tensors of one seed -> a function that predicts any number of domains."""


@dataclass(frozen=True, kw_only=True)
class DownscalingModel(ModelSpec[Fit, Predict]):
    """A model from coarse fields to fine ones."""

    per_pixel: bool = False
    """Fitted for each fine cell of one place, so that it cannot be applied to other terrain.

    A network is bound to its place where `NetworkParams.per_pixel` sets it.
    """
    uses_all_inputs: bool = True
    """False for a method that reads the target's coarse field alone."""
    by_height: bool = False
    """Bicubic interpolation moved to the height of each fine cell by a lapse rate."""
    tensors: TensorsOf | None = None
    """Tensors that a baseline stores, from the number of inputs and the shape of the fine grid."""


def train(
    name: str, params: Any, domains: Domains, validation: Domains, facts: Mapping[str, Any], seeds: Seeds,
    checkpoint: Checkpoints = None, on_epoch: OnEpoch | None = None,
) -> tuple[dict[str, Any], dict[int, Tensors], str | None]:  # fmt: skip
    """Fit a model once per seed: config.json's content, tensors by seed, the first seed's learning curve.

    facts: of the folder of grids. A model is stored with the grids and static fields that it was fitted on,
    so that its folder is complete. For `checkpoint` and `on_epoch` see `convoy.training.seeds.train_seeds`. A
    baseline has no randomness and is fitted for the first seed alone.
    """
    target, row = facts["target"], model_named(MODELS, name)
    fitted = row.fit(name, params, domains, validation, target, seeds, checkpoint, on_epoch)
    inputs = list(facts["inputs"]) if row.uses_all_inputs else [target]
    config: dict[str, Any] = {
        "schema": 1, "task": TASK, "kind": name, "target": target, "inputs": inputs,
        "source": facts["source"], "calendar": domains[0].days.calendar,
        "range": surfaces.ranges(domains, inputs), "surface": surfaces.surface_ranges(domains),
        **fitted.config,
    }  # fmt: skip
    if units := {name: units for name, units in facts.get("units", {}).items() if name in inputs}:
        config["units"] = units
    place = config["place"] or baselines.main_place(domains)
    at_place = [domain for domain in domains if domain.place == place]
    static = surfaces.surface_of(at_place[0]) | {TRUTH: surfaces.with_truth(at_place).astype(np.uint8)}
    return config, {seed: {**tensors, **static} for seed, tensors in fitted.tensors.items()}, fitted.curve


def _fit_baseline(
    fit: Callable[[Domains, str], Tensors], per_pixel: bool,
    _name: str, _params: Any, domains: Domains, _validation: Domains, target: str, seeds: Seeds,
    _checkpoint: Checkpoints, _on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    """Fit a baseline; a per-pixel one is fitted on the place with the most days only."""
    place = baselines.main_place(domains) if per_pixel else None
    tensors = fit([domain for domain in domains if place in (None, domain.place)], target)
    return Fitted({"training": {}, "place": place}, {seeds[0]: tensors}, None)


def _baseline_predictor(
    predict: Callable[[Tensors, Domain, str], Fields], config: Config, tensors: Tensors
) -> Callable[[Domain], Prediction]:
    return lambda domain: (predict(tensors, domain, config["target"]), None)


def _train_network(
    name: str, params: Any, domains: Domains, validation: Domains, target: str, seeds: Seeds,
    checkpoint: Checkpoints, on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    from convoy.climate.downscaling.networks import fit
    from convoy.training.seeds import train_seeds

    train_one = partial(fit.train, name, params, domains, validation, target)
    fitted = Fitted(*train_seeds(train_one, params.training, seeds, checkpoint, on_epoch))
    tensors = {
        seed: {f"{NETWORK}{key}": value for key, value in weights.items()}
        for seed, weights in fitted.tensors.items()
    }
    return fitted._replace(tensors=tensors)


def _network_predictor(config: Config, tensors: Tensors) -> Callable[[Domain], Prediction]:
    from convoy.climate.downscaling.networks import fit

    weights = {key.removeprefix(NETWORK): value for key, value in tensors.items() if key.startswith(NETWORK)}
    network = fit.Fitted(config, weights)

    def predict(domain: Domain) -> Prediction:
        field, spread = network.downscale(domain, config["target"])
        for values in (field, spread):
            if values is not None:
                _refuse_infinite(values, domain)
        return field, spread

    return predict


def _refuse_infinite(found: Fields, domain: Domain) -> None:
    """Raise ConvoyError for a day without finite values though its inputs have some: it is not missing."""
    known = [~np.isnan(field).all(axis=(1, 2)) for field in domain.inputs.values()]
    wrong = np.logical_and.reduce(known) & ~np.isfinite(found).all(axis=(1, 2))
    if wrong.any():
        day = domain.days.at(wrong).labels[0]
        raise ConvoyError(
            f"{domain.name}: the model gives values that are not finite on {wrong.sum()} days, the first of "
            f"them {day}; train the model again"
        )


def _baseline(
    name: str, label: str, phrase: str, summary: str, fit: Callable[[Domains, str], Tensors],
    predict: Callable[[Tensors, Domain, str], Fields], tensors: TensorsOf = no_tensors, *,
    per_pixel: bool = False, uses_all_inputs: bool = False, by_height: bool = False, colour: int = 3,
) -> DownscalingModel:  # fmt: skip
    return DownscalingModel(
        name=name, label=label, phrase=phrase, summary=summary, colour=colour, role="baseline",
        params=BaselineParams, fit=partial(_fit_baseline, fit, per_pixel),
        predict=partial(_baseline_predictor, predict), per_pixel=per_pixel, uses_all_inputs=uses_all_inputs,
        by_height=by_height, tensors=tensors,
    )  # fmt: skip


def _network(name: str, label: str, phrase: str, summary: str, colour: int) -> DownscalingModel:
    return DownscalingModel(
        name=name, label=label, phrase=phrase, summary=summary, colour=colour, role="network",
        params=NetworkParams, fit=_train_network, predict=_network_predictor,
        exports=frozenset({"served"}),
    )  # fmt: skip


MODELS: dict[str, DownscalingModel] = registry(
    _baseline(
        "nearest", "Nearest cell", "the nearest cell's value",
        "The value of the nearest coarse cell.",
        baselines.fit_nothing, baselines.interpolated("nearest"),
    ),
    _baseline(
        "climatology", "Climatology", "the climatology of each pixel",
        "The mean of the truth per pixel and month, whatever the coarse field.",
        baselines.fit_climatology, baselines.with_climatology, pixel_month_tensors("climatology"),
        per_pixel=True,
    ),
    _baseline(
        "bilinear", "Bilinear", "bilinear interpolation",
        "Bilinear interpolation of the coarse field.",
        baselines.fit_nothing, baselines.interpolated("bilinear"),
    ),
    _baseline(
        "bicubic", "Bicubic", "bicubic interpolation",
        "Bicubic interpolation of the coarse field.",
        baselines.fit_nothing, baselines.interpolated("bicubic"),
    ),
    _baseline(
        "lapse_fixed", "Bicubic + 6.5 K/km", "bicubic with 6.5 K/km of height",
        "Bicubic interpolation at sea level, moved to the height of each fine cell with the standard lapse "
        "rate of 6.5 K/km.",
        baselines.fit_nothing, baselines.with_fixed_lapse, by_height=True,
    ),
    _baseline(
        "lapse_monthly", "Bicubic + monthly lapse", "bicubic with a lapse rate by month",
        "Bicubic interpolation at sea level, moved to the height of each fine cell with the mean lapse rate "
        "of the month.",
        baselines.fit_monthly_lapse, baselines.with_monthly_lapse, lapse_tensors, by_height=True,
    ),
    _baseline(
        "lapse_daily", "Bicubic + daily lapse", "bicubic with a lapse rate by day",
        "Bicubic interpolation at sea level, moved to the height of each fine cell with the lapse rate of "
        "the day's coarse field.",
        baselines.fit_nothing, baselines.with_daily_lapse, by_height=True,
    ),
    _baseline(
        "monthly_residual", "Bicubic + monthly residual", "bicubic with each pixel's monthly residual",
        "Bicubic interpolation plus the mean residual of each pixel and month, as in BCSD (Wood et al., "
        "2004).",
        baselines.fit_monthly_residual, baselines.with_monthly_residual, pixel_month_tensors("residual"),
        per_pixel=True,
    ),
    _baseline(
        "quantile_mapping", "Quantile mapping", "quantile mapping by pixel",
        "Bicubic interpolation whose quantiles are mapped to the true ones, per pixel and season.",
        baselines.fit_quantiles, baselines.with_quantiles, quantile_tensors, per_pixel=True,
    ),
    _baseline(
        "ridge", "Ridge", "ridge regression by pixel",
        "Ridge regression per pixel of the residual of bicubic with a daily lapse rate, on all inputs of the "
        "3 x 3 coarse cells around it and the season.",
        baselines.fit_ridge, baselines.with_ridge, ridge_tensors, per_pixel=True,
        uses_all_inputs=True, colour=0,
    ),
    _network(
        "residual", "Residual network", "the residual network",
        "Residual blocks (He et al., 2016) on the coarse fields, and a fine head with the static fields.",
        colour=1,
    ),
    _network(
        "srcnn", "SRCNN", "SRCNN",
        "The plain convolutions of SRCNN (Dong et al., 2014) on the coarse fields, and a fine head with the "
        "static fields.",
        colour=4,
    ),
    _network(
        "separable", "Separable network", "the separable network",
        "Depthwise separable convolutions on the coarse fields, and a fine head with the static fields.",
        colour=2,
    ),
    _network(
        "unet", "U-Net", "the U-Net",
        "A U-Net (Ronneberger et al., 2015) on the coarse fields, and a fine head with the static fields.",
        colour=5,
    ),
)  # fmt: skip
"""In the order of tables where none ranks better."""


SAME_AS = "same_as"
"""Key of the metrics file of a baseline that is left out: the one that it equals on these grids."""


def copies(domains: Iterable[Domain], target: str) -> dict[str, dict[str, str]]:
    """By name, the baselines that equal bicubic interpolation on these domains, and why.

    Those that move by height do so without heights, and for a variable that is no temperature.
    """
    known = any(domain.static[ELEVATION].any() or domain.coarse_static[ELEVATION].any() for domain in domains)
    if known and target in TEMPERATURES:
        return {}
    reason = f"{target} is no temperature" if known else "there are no heights: the source has no orography"
    return {name: {SAME_AS: "bicubic", "because": reason} for name, row in MODELS.items() if row.by_height}


class Downscaling:
    """A stored model, loaded once for any number of domains, such as the slices of a century.

    `seed`: of the training whose weights are used; None for the first, the published one.
    """

    def __init__(self, stored: StoredModel, seed: int | None = None) -> None:
        self.config = checked(stored).on_any_machine().config
        tensors = stored.tensors if seed is None else stored.seeds[seed]
        self._predict = MODELS[self.config["kind"]].predict(self.config, tensors)

    def __call__(self, domain: Domain) -> Prediction | None:
        """The fine field (T, H, W) and, where the model has one, its standard deviation.

        None where the model cannot be applied to the domain's terrain. Raises ConvoyError where the domain
        lacks an input or a static field that the model was fitted with.
        """
        inputs, static = self.config["inputs"], self.config.get("scaling", {}).get("static_names", ())
        missing = [name for name in inputs if name not in domain.inputs]
        missing += [name for name in static if name not in domain.static]
        if missing:
            raise ConvoyError(f"{domain.name}: no variable {', '.join(missing)}, which the model needs")
        if self.config["place"] not in (None, domain.place):
            return None
        # The order of the inputs is that of the model's channels.
        return self._predict(replace(domain, inputs={name: domain.inputs[name] for name in inputs}))


def checked(stored: StoredModel) -> StoredModel:
    """The model, after checking that its config, tensors and grids are consistent: see `stored.py`."""
    return check_model(stored, MODELS)


def downscale(stored: StoredModel, domain: Domain) -> Prediction | None:
    """One domain by a stored model: see `Downscaling`."""
    return Downscaling(stored)(domain)
