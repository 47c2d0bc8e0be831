"""Baselines and networks in one registry: params, fitting and fine fields by the name of the model.

Networks are imported where they are used: a baseline does not wait for torch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from convoy.climate.data.domains import Axis, Domain, Fields, Grid
from convoy.climate.downscaling import baselines
from convoy.climate.downscaling.baselines import BASELINES, BaselineParams, Tensors
from convoy.climate.downscaling.stored import GRID, NETWORK, STATIC, TASK, checked
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import Section

if TYPE_CHECKING:
    from convoy.climate.downscaling.networks import Fitted
    from convoy.training.checkpoints import Checkpoint

NETWORKS = ("residual", "srcnn", "separable", "unet")
TRAINED_BY = "convoy.climate.downscaling.networks"  # the module whose code a checkpoint depends on
OnEpoch = Callable[[int, dict[str, float], bool], None]


def check(names: Iterable[str]) -> None:
    """Raise ConvoyError for a name that no model has."""
    for name in names:
        if name not in BASELINES and name not in NETWORKS:
            raise ConvoyError(f"model '{name}': expected one of {', '.join((*BASELINES, *NETWORKS))}")


def params_model(name: str) -> type[Section]:
    """The params of `climate.settings.<name>`; ConvoyError for a name that no model has."""
    check((name,))
    if name in BASELINES:
        return BaselineParams
    from convoy.climate.downscaling.networks import NetworkParams

    return NetworkParams


def train(
    name: str, params: Any, domains: Sequence[Domain], validation: Sequence[Domain],
    facts: Mapping[str, Any], seeds: tuple[int, ...],
    checkpoint: "Callable[[int], Checkpoint] | None" = None, on_epoch: OnEpoch | None = None,
) -> tuple[dict[str, Any], dict[int, Tensors], str | None]:  # fmt: skip
    """Fit the model once per seed: config.json's content, tensors by seed, the first seed's learning curve.

    facts: of the folder of grids. Beside its weights a model keeps the ground that it was fitted on, so that
    its folder is all that is needed. A baseline has no randomness and is fitted for the first seed alone.
    """
    target = facts["target"]
    config: dict[str, Any] = {
        "schema": 1, "task": TASK, "kind": name, "target": target, "inputs": list(facts["inputs"]),
        "source": facts["source"], "calendar": domains[0].days.calendar,
        "range": _ranges(domains), "place": None,
    }  # fmt: skip
    place = baselines.main_place(domains)
    home = ground_of(next(domain for domain in domains if domain.place == place))
    if name in BASELINES:
        config["training"] = {}
        tensors, config["place"] = baselines.fit(name, domains, target)
        home = ground_of(next(domain for domain in domains if config["place"] in (None, domain.place)))
        return config, {seeds[0]: {**tensors, **home}}, None
    from convoy.climate.downscaling import networks
    from convoy.training.seeds import train_seeds

    train_one = partial(networks.train, name, params, domains, validation, target)
    trained = train_seeds(train_one, seeds, checkpoint, on_epoch)
    tensors_by_seed = {
        seed: {**{f"{NETWORK}{key}": value for key, value in weights.items()}, **home}
        for seed, weights in trained.tensors.items()
    }
    config |= {**trained.config, "training": params.training.model_dump(mode="json")}
    return config, tensors_by_seed, trained.curve


class Downscaling:
    """A stored model made ready for any number of domains, such as the slices of a century.

    `seed`: of the training whose weights count; None for the first, the one that leaves the house.
    """

    def __init__(self, stored: StoredModel, seed: int | None = None) -> None:
        self.config = checked(stored).on_any_machine().config
        self._tensors = stored.tensors if seed is None else stored.seeds[seed]
        self._network: Fitted | None = None
        if self.config["kind"] not in BASELINES:
            from convoy.climate.downscaling import networks

            weights = {
                key.removeprefix(NETWORK): value
                for key, value in self._tensors.items()
                if key.startswith(NETWORK)
            }
            self._network = networks.Fitted(self.config, weights)

    def __call__(self, domain: Domain) -> tuple[Fields, Fields | None] | None:
        """The fine field (T, H, W) and, where the model has one, its standard deviation.

        None where the model cannot go to the domain's ground. Raises ConvoyError where the domain lacks an
        input or a static field that the model was fitted with.
        """
        kind, target = self.config["kind"], self.config["target"]
        inputs, static = self.config["inputs"], self.config.get("scaling", {}).get("static_names", ())
        missing = [name for name in inputs if name not in domain.inputs]
        missing += [name for name in static if name not in domain.static]
        if missing:
            raise ConvoyError(f"{domain.name}: no variable {', '.join(missing)}, which the model needs")
        # The order of the inputs is that of the model's channels.
        domain = replace(domain, inputs={name: domain.inputs[name] for name in inputs})
        if self.config["place"] not in (None, domain.place):
            return None
        if self._network is not None:
            found = self._network.downscale(domain, target)
            _refuse_infinite(found[0], domain)
            if found[1] is not None:
                _refuse_infinite(found[1], domain)
            return found
        field = baselines.predict(kind, self._tensors, self.config["place"], domain, target)
        return None if field is None else (field, None)


def _refuse_infinite(found: Fields, domain: Domain) -> None:
    """Raise ConvoyError for a day without a number though its inputs have some: not to pass for missing."""
    known = [~np.isnan(field).all(axis=(1, 2)) for field in domain.inputs.values()]
    wrong = np.logical_and.reduce(known) & ~np.isfinite(found).all(axis=(1, 2))
    if wrong.any():
        day = domain.days.at(wrong).labels[0]
        raise ConvoyError(
            f"{domain.name}: the model gives values that are not finite on {wrong.sum()} days, the first of "
            f"them {day}; train the model again"
        )


def downscale(stored: StoredModel, domain: Domain) -> tuple[Fields, Fields | None] | None:
    """One domain by a stored model: see `Downscaling`."""
    return Downscaling(stored)(domain)


def ground_of(domain: Domain) -> Tensors:
    """The grids and static fields of a domain as tensors to keep beside weights."""
    grids = {"fine": domain.fine, "coarse": domain.coarse}
    tensors: Tensors = {
        f"{GRID}{which}.{axis}.{part}": getattr(getattr(grid, axis), part)
        for which, grid in grids.items()
        for axis in ("lat", "lon")
        for part in ("centres", "bounds")
    }
    tensors |= {f"{STATIC}fine.{name}": field for name, field in domain.static.items()}
    return tensors | {f"{STATIC}coarse.{name}": field for name, field in domain.coarse_static.items()}


def home(stored: StoredModel) -> tuple[Grid, Grid, dict[str, Fields], dict[str, Fields]]:
    """The coarse and fine grid that a model was fitted on, and the static fields of both."""
    tensors = stored.tensors
    coarse, fine = (
        Grid(*(
            Axis(*(tensors[f"{GRID}{which}.{axis}.{part}"] for part in ("centres", "bounds")))
            for axis in ("lat", "lon")
        ))
        for which in ("coarse", "fine")
    )  # fmt: skip
    static = [
        {
            key.removeprefix(f"{STATIC}{which}."): value
            for key, value in tensors.items()
            if key.startswith(f"{STATIC}{which}.")
        }
        for which in ("coarse", "fine")
    ]
    return coarse, fine, static[0], static[1]


def _ranges(domains: Sequence[Domain]) -> dict[str, list[float]]:
    """The smallest and largest value of each input in training, to warn of days beyond it."""
    return {
        name: [
            float(min(np.nanmin(domain.inputs[name]) for domain in domains)),
            float(max(np.nanmax(domain.inputs[name]) for domain in domains)),
        ]
        for name in domains[0].inputs
    }
