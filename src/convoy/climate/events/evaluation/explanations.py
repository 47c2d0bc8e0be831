"""Explanations of a network by Grad-CAM, and their scores compared with trivial maps and other weights."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convoy.climate.events.data.io import Images
from convoy.climate.events.evaluation import scores
from convoy.climate.events.networks.fit import built, network_of, standard_of
from convoy.core.statistics import wilson
from convoy.nn.gradcam import GradCAM, input_gradient
from convoy.training.image_batches import standardised
from convoy.training.loop import seeded

Config: TypeAlias = Mapping[str, Any]
Tensors: TypeAlias = Mapping[str, npt.NDArray[Any]]
Maps: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.int64]

_AT_ONCE = 128
_NEW_WEIGHTS = 3
"""Networks with randomised weights, whose scores are averaged: one alone may point anywhere."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Images for the report: values (k, C, H, W), importance (k, H, W), masks, indices of classes (k,)."""

    values: npt.NDArray[Any]
    importance: Maps
    masks: npt.NDArray[np.bool_]
    labels: Rows
    predicted: Rows


def importance_of(config: Config, tensors: Tensors, values: npt.NDArray[Any], classes: Rows) -> Maps:
    """Grad-CAM (n, H, W) in [0, 1] of images (n, C, H, W) for one class each, at the config's layer."""
    return _gradcam(network_of(config, tensors), config, values, classes)


def explain(
    config: Config, tensors: Tensors, images: Images, rows: Rows, predicted: Rows, seed: int
) -> dict[str, Any]:
    """Scores on the correctly classified images with an event among `rows`; null where there is none.

    predicted (n,) are the classes that the model predicts for the rows. Other than Grad-CAM: `random` maps, a
    `center` map, the `anomaly_size` of each cell, the plain `gradient`, and Grad-CAM of the network with
    `randomised_weights` (see `_sanity`). `off_centre`: Grad-CAM on events off the centre; `classes`: by class
    of event.
    """
    assert images.masks is not None
    correct = rows[predicted == images.labels[rows]]
    rows = correct[images.masks[correct].any((1, 2))]
    if len(rows) == 0:
        return {"n": 0}
    masks, labels, values = images.masks[rows], images.labels[rows], images.values[rows]
    n, height, width = masks.shape
    network = network_of(config, tensors)
    own = _gradcam(network, config, values, labels)
    others = {
        "random": scores.random_maps(n, height, width, seed),
        "center": scores.centre_map(n, height, width),
        "anomaly_size": scores.anomaly_size(values, standard_of(config).mean, standard_of(config).std),
        "gradient": _batched(values, labels, config, lambda x, y: input_gradient(network, x, y)),
    }
    far = scores.off_centre(masks)
    found: dict[str, Any] = {"n": n, "correct": len(correct), **_scored(own, masks)}
    found |= {name: _scored(maps, masks) for name, maps in others.items()}
    found["randomised_weights"] = _sanity(config, network, own, (values, labels, masks), seed)
    if far.any():
        centre = _scored(others["center"][far], masks[far])
        found["off_centre"] = {"n": int(far.sum()), **_scored(own[far], masks[far]), "center": centre}
    found["classes"] = {
        images.facts.classes[label]: {"n": int((labels == label).sum())}
        | _scored(own[labels == label], masks[labels == label])
        for label in np.unique(labels)
    }
    return found


def examples(
    config: Config, tensors: Tensors, images: Images, rows: Rows, predicted: Rows, per_class: int
) -> Examples:
    """The first correctly classified images of each class with events; those misclassified where none is.

    Of images without masks, every class counts, and the masks are empty.
    """
    masks = images.masks
    if masks is None:
        masks = np.zeros((len(images.labels), *images.facts.edges), bool)
    shown = np.ones(len(rows), bool) if images.masks is None else masks[rows].any((1, 2))
    chosen: list[int] = []
    for label in range(len(images.facts.classes)):
        of_class = np.flatnonzero((images.labels[rows] == label) & shown)
        correct = of_class[predicted[of_class] == label]
        chosen += (correct if len(correct) else of_class)[:per_class].tolist()
    picked = np.array(chosen, np.int64)
    values = images.values[rows[picked]]
    return Examples(
        values, importance_of(config, tensors, values, predicted[picked]), masks[rows[picked]],
        images.labels[rows[picked]], predicted[picked],
    )  # fmt: skip


def _gradcam(network: nn.Module, config: Config, values: npt.NDArray[Any], classes: Rows) -> Maps:
    with GradCAM(network, network.get_submodule(config["layer"])) as gradcam:
        return _batched(values, classes, config, gradcam.generate)


def _batched(values: npt.NDArray[Any], classes: Rows, config: Config, method: Any) -> Maps:
    standard = standard_of(config)
    parts = []
    for start in range(0, len(values), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        x = standardised(torch.from_numpy(np.ascontiguousarray(values[part])), standard)
        parts.append(method(x, torch.from_numpy(classes[part])).numpy())
    return np.concatenate(parts)


def _sanity(
    config: Config, network: nn.Module, own: Maps, on: tuple[npt.NDArray[Any], Rows, scores.Masks], seed: int
) -> dict[str, Any]:
    """Grad-CAM with randomised weights, which must not resemble the maps `own` (Adebayo et al. 2018).

    Scores are means over several networks with new weights. `rank_correlation`: of their maps with `own`, the
    mean over images, 0 where they have nothing in common. `other_masks`: with the mask of the next image in
    place of its own, what maps reach that do not depend on where the event is. Randomised layers pass on
    where an image has structure, so that on its own mask a map may score above that; `anomaly_size` is what
    the image alone reaches. `cascade`: with weights randomised from the output on, one part of the network
    after the other, for the first images.
    """
    values, labels, masks = on
    scored, elsewhere, alike = [], [], []
    for number in range(_NEW_WEIGHTS):
        maps = _gradcam(_randomised(config, seed + number), config, values, labels)
        scored.append(_scored(maps, masks))
        elsewhere.append(_scored(maps, np.roll(masks, 1, axis=0)))
        alike.append(float(scores.rank_correlation(own, maps).mean()))
    few = slice(0, _AT_ONCE)
    return {
        **_mean_of(scored), "rank_correlation": float(np.mean(alike)), "other_masks": _mean_of(elsewhere),
        "cascade": _cascade(config, network, own[few], (values[few], labels[few], masks[few]), seed),
    }  # fmt: skip


def _cascade(
    config: Config, network: nn.Module, own: Maps, on: tuple[npt.NDArray[Any], Rows, scores.Masks], seed: int
) -> list[dict[str, Any]]:
    """Rank correlation with `own` and pointing, after each part of the network from the output on."""
    values, labels, masks = on
    changed, fresh = copy.deepcopy(network), _randomised(config, seed)
    found = []
    for name in reversed(_parts(network)):
        changed.get_submodule(name).load_state_dict(fresh.get_submodule(name).state_dict())
        maps = _gradcam(changed, config, values, labels)
        found.append(
            {
                "from": name,
                "n": len(own),
                "rank_correlation": float(scores.rank_correlation(own, maps).mean()),
                "pointing": float(scores.pointing(maps, masks).mean()),
            }
        )
    return found


def _parts(network: nn.Module) -> list[str]:
    """Names of the parts with weights from the input on: children, and children of children in a row."""
    names = []
    for name, child in network.named_children():
        inner = [f"{name}.{part}" for part, _ in child.named_children()]
        names += inner if isinstance(child, nn.Sequential | nn.ModuleList) and inner else [name]
    return [name for name in names if any(True for _ in network.get_submodule(name).parameters())]


def _randomised(config: Config, seed: int) -> nn.Module:
    with seeded(seed):
        return built(config["network"])


def _scored(importance: scores.Importance, masks: scores.Masks) -> dict[str, float]:
    hits = scores.pointing(importance, masks)
    low, high = wilson(float(hits.sum()), len(hits))
    return {
        "pointing": float(hits.mean()), "pointing_low": low, "pointing_high": high,
        "energy_inside": float(scores.energy_inside(importance, masks).mean()),
        "iou": float(scores.iou(importance, masks).mean()),
    }  # fmt: skip


def _mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
