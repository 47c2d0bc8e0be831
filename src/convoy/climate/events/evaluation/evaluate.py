"""Metrics of one model on the test images: accuracy and calibration, size, and scores of explanations."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from convoy.classifiers.evaluation.evaluate import Cases, Evaluation
from convoy.classifiers.evaluation.evaluate import EvaluateParams as ClassifierParams
from convoy.classifiers.evaluation.evaluate import evaluate as evaluate_classifier
from convoy.climate.events.data.io import TEST, TRAIN, Images
from convoy.climate.events.data.synthetic import MARK, marked
from convoy.climate.events.models.specs import MODELS, probabilities
from convoy.core.artifact import StoredModel
from convoy.core.augmentation_params import View
from convoy.core.errors import ConvoyError
from convoy.core.statistics import rounded


class EvaluateParams(ClassifierParams):
    """Params of the confidence intervals, the calibration error and the scores of explanations."""

    min_accuracy: float = Field(
        0.8, ge=0, le=1, description="explanations are scored only for a model of at least this test accuracy"
    )
    views: tuple[View, ...] = Field(
        (), max_length=3,
        description="of networks, test-time augmentation: mean probabilities of the image and of these "
        "changes of it (crop, flip_left_right, flip_up_down); none: the image alone",
    )  # fmt: skip
    examples: int = Field(2, ge=1, le=20, description="overlays per class of event in the report")


@dataclass(frozen=True, eq=False)
class Scored:
    """The evaluation of a model on the test images, its figures, and examples with explanations."""

    evaluation: Evaluation
    metrics: dict[str, Any]
    examples: "dict[str, npt.NDArray[Any]] | None"


def cases_of(images: Images) -> Cases:
    """The test images as cases; ConvoyError where there are none."""
    rows = images.rows(TEST)
    if len(rows) == 0:
        raise ConvoyError("the test split holds no image: about 1 in 10 goes there; add images")
    frequencies = np.bincount(images.labels[images.rows(TRAIN)], minlength=len(images.facts.classes))
    return Cases(
        ids=images.ids.take(pa.array(rows)), labels=images.labels[rows], categories=images.facts.classes,
        majority=int(frequencies.argmax()),
    )  # fmt: skip


def check_belongs(model: str, stored: StoredModel, images: Images) -> None:
    """Raise ConvoyError where a model was trained on images of another kind."""
    facts = images.facts
    for what, own, other in (
        ("classes", tuple(stored.config["classes"]), facts.classes),
        ("channels", tuple(stored.config["channels"]), facts.channels),
        ("sizes", tuple(stored.config["edges"]), facts.edges),
    ):
        if own != other:
            raise ConvoyError(
                f"{model}: trained on other {what} than the images have; run `dvc repro` to train it again"
            )


def score(model: str, stored: StoredModel, images: Images, params: EvaluateParams) -> Scored:
    """Evaluate a stored model on the test images; a network's explanations where the masks are known.

    A model that was fitted with the mark is evaluated in the confounded variant of the test images as well,
    as `marked`. Its explanations are those of the variant that it was fitted on.
    """
    check_belongs(model, stored, images)
    rows, cases = images.rows(TEST), cases_of(images)
    predicted = probabilities(stored, images.values[rows], params.views)
    evaluation = evaluate_classifier(model, predicted, cases, params)
    metrics = {**evaluation.metrics, **_size(model, stored)}
    if not MODELS[model].is_network:
        return Scored(evaluation, rounded(metrics), None)
    if params.views:
        metrics["views"] = list(params.views)
    shown, accuracy = images, evaluation.metrics["test"]["accuracy"]
    first = next(iter(predicted.values()))
    if MODELS[model].with_mark:
        shown = _with_mark(images)
        in_variant = probabilities(stored, shown.values[rows], params.views)
        figures = evaluate_classifier(model, in_variant, cases, params).metrics
        assert images.facts.marked is not None
        name = images.facts.classes[images.facts.marked]
        metrics["marked"] = {"class": name, "test": figures["test"], "categories": figures["categories"]}
        first, accuracy = next(iter(in_variant.values())), figures["test"]["accuracy"]
    examples = None
    if accuracy >= params.min_accuracy:
        from convoy.climate.events.evaluation import explanations

        config, tensors = stored.config, stored.tensors
        named = first.argmax(axis=1)
        if images.masks is not None:
            metrics["gradcam"] = explanations.explain(config, tensors, shown, rows, named, params.seed)
            if MODELS[model].with_mark:
                metrics["gradcam"]["on_mark"] = _on_mark(stored, shown, rows, named)
        examples = vars(explanations.examples(config, tensors, shown, rows, named, params.examples))
    return Scored(evaluation, rounded(metrics), examples)


def _with_mark(images: Images) -> Images:
    """The confounded variant: the mark goes with its class."""
    assert images.facts.marked is not None
    return replace(images, values=marked(images.values, images.labels, images.facts.marked))


def _on_mark(
    stored: StoredModel, images: Images, rows: npt.NDArray[np.int64], named: npt.NDArray[np.int64]
) -> float | None:
    """The share of importance on the mark, and as far as a coarse map smears it, of its images."""
    from convoy.climate.events.evaluation.explanations import importance_of

    label = images.facts.marked
    of_class = rows[(images.labels[rows] == label) & (named == label)]
    if len(of_class) == 0:
        return None
    maps = importance_of(stored.config, stored.tensors, images.values[of_class], images.labels[of_class])
    near = slice(0, MARK.stop + MARK.start)
    total = maps.sum((1, 2))
    return float((maps[:, near, near].sum((1, 2)) / np.where(total > 0, total, 1)).mean())


def _size(model: str, stored: StoredModel) -> dict[str, Any]:
    """Numbers of parameters and, of a network, of floating-point operations for one image."""
    if not MODELS[model].is_network:
        counted = ("coef", "intercept", "frequencies")
        weights = sum(stored.tensors[name].size for name in counted if name in stored.tensors)
        return {"parameters": weights, "flops": None}
    from convoy.climate.events.networks.fit import flops, network_of

    config = stored.config
    network = network_of(config, stored.tensors)
    count = sum(weights.numel() for weights in network.parameters())
    return {"parameters": count, "flops": flops(network, (len(config["channels"]), *config["edges"]))}
