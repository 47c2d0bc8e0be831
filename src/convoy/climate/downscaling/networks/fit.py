"""The downscaling networks, from grids to weights and from weights to fine fields."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from convoy.climate.data.domains import Domain, Fields, Grid
from convoy.climate.data.regridding import area_mean, whole_ratio
from convoy.climate.downscaling.models.params import DownscalingTraining, NetworkParams
from convoy.climate.downscaling.networks.objective import FieldError
from convoy.climate.downscaling.networks.tensors import GridBatches, Scaling, geometry, scaling, scaling_from
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.downscaling import Downscaler, Geometry
from convoy.training.checkpoints import Checkpoint
from convoy.training.loop import OnEpoch, fit, predict, seeded
from convoy.training.seeds import Trained

Array = npt.NDArray[Any]
# Where area means of the truth differ more from the coarse input (in its standard deviations, about 0.05 K),
# the input is from another model.
AGREEMENT = 0.007
DEEPEST_UNET = 4  # each level halves the grid and doubles the channels


def train(
    name: Any, params: NetworkParams, domains: Sequence[Domain], validation: Sequence[Domain], target: str,
    seed: int, checkpoint: Checkpoint | None = None, on_epoch: OnEpoch = lambda _row, _resumed: None,
) -> Trained:  # fmt: skip
    """Fit one network.

    Raises ConvoyError where a split is too small or `softmax` meets grids that do not nest.
    """
    domains, validation = (_known(parts, target) for parts in (domains, validation))
    if name == "unet" and params.depth > DEEPEST_UNET:
        raise ConvoyError(f"unet: depth {params.depth}: expected at most {DEEPEST_UNET} levels")
    for split, parts in (("training", domains), ("validation", validation)):
        if sum(len(part.days) for part in parts) < 2:
            raise ConvoyError(
                f"{name}: fewer than 2 days with values in the {split} split; give it a longer range"
            )
    place = _bound_to(name, params, domains)
    scale = scaling(domains, target)
    conserve = _conserve(name, params, domains, target)
    arguments: dict[str, Any] = {
        "channels": len(scale.weather_mean), "static_fields": len(scale.static_names), "trunk": name,
        "width": params.width, "depth": params.depth, "hidden": params.hidden, "layers": params.layers,
        "conserve": conserve["used"], "spread": params.spread, "scale": scale.residual, "level": scale.level,
        "pixels": None if place is None else list(domains[0].fine.shape),
    }  # fmt: skip
    with seeded(seed):
        network = Downscaler(**arguments)
    fitted = fit(
        network, GridBatches(domains, target, scale), GridBatches(validation, target, scale),
        FieldError(domains[0].fine.areas, spread=params.spread == "normal"),
        params.training, seed, name, checkpoint, on_epoch,
    )  # fmt: skip
    tensors = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    facts = {"network": arguments, "scaling": asdict(scale), "conserve": conserve, "place": place}
    return Trained(facts, tensors, fitted.csv())


class Fitted:
    """A network with its weights, loaded once for any number of domains."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
        self._network = Downscaler(**config["network"])
        self._network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
        self._scale: Scaling = scaling_from(config["scaling"])
        self._training = parse(config["training"], DownscalingTraining, "config.json: training")
        self._spread = config["network"]["spread"] == "normal"
        self._between: tuple[Grid, Grid, Geometry] | None = None

    def downscale(self, domain: Domain, target: str) -> tuple[Fields, Fields | None]:
        """The fine field (T, H, W) in the target's unit, and its standard deviation where there is one."""
        days = replace(domain, target=None)  # the truth, where there is one, is not for the network
        examples = GridBatches([days], target, self._scale, self._geometry(domain.coarse, domain.fine))
        outputs = predict(self._network, examples, self._training).numpy()
        spread = outputs[:, 1] if self._spread else None
        return outputs[:, 0] + np.float32(self._scale.level), spread

    def _geometry(self, coarse: Grid, fine: Grid) -> Geometry:
        """The matrices between two grids, cached since they are slow to compute for large ones."""
        if self._between is None or self._between[0] is not coarse or self._between[1] is not fine:
            self._between = coarse, fine, geometry(coarse, fine)
        return self._between[2]


def _known(domains: Sequence[Domain], target: str) -> list[Domain]:
    """The days with a truth and all inputs; a domain without any is left out."""
    found = []
    for domain in domains:
        assert domain.target is not None
        known = ~np.isnan(domain.target).all(axis=(1, 2)) & ~np.isnan(domain.inputs[target]).all(axis=(1, 2))
        found.append(domain if known.all() else domain.at(known))
    return [domain for domain in found if len(domain.days)]


def _bound_to(name: str, params: NetworkParams, domains: Sequence[Domain]) -> str | None:
    """The place whose per-pixel effects are learnt; None for a network that applies to any terrain."""
    places = {domain.place for domain in domains}
    if params.per_pixel == "pixel" and len(places) > 1:
        raise ConvoyError(
            f"{name}: per-pixel effects 'pixel' needs one terrain, and the training days have "
            f"{len(places)}; set auto"
        )
    return domains[0].place if params.per_pixel != "none" and len(places) == 1 else None


def _conserve(name: str, params: NetworkParams, domains: Sequence[Domain], target: str) -> dict[str, Any]:
    """The setting of `conserve`, the method used, the disagreement, and why `auto` is `none` where it is."""
    nests = whole_ratio(domains[0].coarse, domains[0].fine) is not None
    if params.conserve == "softmax" and not nests:
        raise ConvoyError(f"{name}: conserve 'softmax' needs grids that nest; choose additive, auto or none")
    differs = disagreement(domains, target)
    known = float(f"{differs:.3g}") if np.isfinite(differs) else None
    chosen, reason = params.conserve, None
    if chosen == "auto":
        spread = float(np.nanstd(np.concatenate([domain.inputs[target].ravel() for domain in domains])))
        reason = _against_conserving(nests, known, float(f"{AGREEMENT * spread:.3g}"), target)
        chosen = "none" if reason else "additive"
    return {"setting": params.conserve, "used": chosen, "disagreement": known, "reason": reason}


def _against_conserving(nests: bool, disagreement: float | None, limit: float, target: str) -> str | None:
    """Why the output is not made to keep the coarse values, or None."""
    if not nests:
        return "the grids do not nest"
    if disagreement is None:
        return "less than half of the truth is known"
    if disagreement > limit:
        means = f"area means of the truth differ from the coarse {target}"
        return f"{means} by {disagreement:g} (RMSE), more than {limit:g}"
    return None


def disagreement(domains: Sequence[Domain], target: str) -> float:
    """RMSE between the coarse input and the area means of the truth, over cells where both are known.

    Infinite where those are less than half of the area.
    """
    total, area, days = 0.0, 0.0, 0
    for domain in domains:
        assert domain.target is not None
        means = area_mean(domain.fine, domain.coarse)
        missing = np.isnan(domain.target)
        difference = means(np.where(missing, np.float32(0), domain.target)) - domain.inputs[target]
        # Matrices compute the means, so that a missing cell would spoil all of them.
        known = np.isfinite(difference) & (means(missing.astype(np.float32)) == 0)
        total += float((difference.astype(np.float64) ** 2 * domain.coarse.areas).sum(where=known))
        area += float(np.broadcast_to(domain.coarse.areas, known.shape).sum(where=known))
        days += len(domain.days)
    return float(np.sqrt(total / area)) if area > 0.5 * days else float("inf")
