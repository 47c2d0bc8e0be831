"""The gate of the images: classes, splits, repeated images, pixels and masks."""

import numpy as np
import pandas as pd
from pydantic import Field

from convoy.climate.events.data.io import SPLITS, TRAIN, Images
from convoy.core.params import Section
from convoy.quality.docs import render
from convoy.quality.expectations import Part, Rule, validate
from convoy.quality.verdict import Verdict

_AT_ONCE = 512


class GateParams(Section):
    """Section `climate.events.gate`. A share is out of all images."""

    min_per_class: int = Field(5, ge=1, le=1_000_000, description="training images that each class needs")
    max_constant_share: float = Field(0.01, ge=0, le=1, description="images of one value throughout")
    max_repeated_share: float = Field(0.1, ge=0, le=1, description="images that may repeat an earlier one")
    max_repaired_share: float = Field(
        1.0, ge=0, le=1, description="images with one kind of repair, such as grey to RGB"
    )
    max_imbalance: float = Field(
        100.0, ge=1, le=1e9, description="training images of the largest class over the smallest; a warning"
    )


def judge(images: Images, params: GateParams) -> tuple[Verdict, str]:
    """Return the verdict on images as `data.read` returns them, and the Data Docs as HTML."""
    parts = [_images_part(images, params), _classes_part(images, params), _whole_part(images, params)]
    if images.masks is not None:
        parts.append(_masks_part(images))
    answers = validate(parts)
    findings = [(answer.rule.warns, answer.finding) for answer in answers if answer.finding is not None]
    verdict = Verdict(
        subject="the images",
        items=len(images.labels),
        expectations=len(answers),
        failures=tuple(finding for warns, finding in findings if not warns),
        warnings=tuple(finding for warns, finding in findings if warns),
        facts={
            "splits": {name: len(images.rows(number)) for number, name in enumerate(SPLITS)},
            "classes": len(images.facts.classes),
            "repaired": dict(images.facts.repaired),
        },
        unit="images",
        heading="",
    )
    return verdict, render("Gate of the event images", verdict, answers)


def _images_part(images: Images, params: GateParams) -> Part:
    """One row per image: in how many splits and classes it is, its missing pixels, whether it is flat."""
    sums = images.sha256.to_pylist()
    names = pd.DataFrame({
        "id": images.ids.to_pylist(), "sha256": sums, "split": images.split, "label": images.labels,
    })  # fmt: skip
    by_image = names.groupby("sha256")
    missing, constant = _pixels(images)
    frame = names.assign(
        splits=by_image["split"].transform("nunique"), classes=by_image["label"].transform("nunique"),
        missing=missing, constant=constant,
    )  # fmt: skip
    varied, distinct = 1 - params.max_constant_share, 1 - params.max_repeated_share
    rules = [
        Rule("id_repeated", "ExpectColumnValuesToBeUnique", "No id is repeated", "id"),
        Rule(
            "image_in_two_splits", "ExpectColumnValuesToBeInSet",
            "No image is in two splits: a model would be tested on what it was fitted on", "splits",
            {"value_set": [1]}, shows="sha256",
        ),
        Rule(
            "image_in_two_classes", "ExpectColumnValuesToBeInSet", "No image is in two classes", "classes",
            {"value_set": [1]}, warns=True, shows="sha256",
        ),
        Rule(
            "pixels_missing", "ExpectColumnValuesToBeInSet", "No pixel is missing or infinite", "missing",
            {"value_set": [0]},
        ),
        Rule(
            "image_constant", "ExpectColumnValuesToBeInSet",
            f"At least {varied:.0%} of the images are not of one value throughout", "constant",
            {"value_set": [0], "mostly": varied},
        ),
        Rule(
            "images_repeated", "ExpectColumnProportionOfUniqueValuesToBeBetween",
            f"At least {distinct:.0%} of the images do not repeat an earlier one", "sha256",
            {"min_value": distinct},
        ),
    ]  # fmt: skip
    return Part("images", frame, rules, key="id")


def _pixels(images: Images) -> tuple[list[int], list[int]]:
    """Of each image: its pixels that are not finite, and 1 where every channel is of one value."""
    missing: list[int] = []
    constant: list[int] = []
    for start in range(0, len(images.values), _AT_ONCE):
        part = images.values[start : start + _AT_ONCE]
        flat = part.reshape(*part.shape[:2], -1)
        missing += (~np.isfinite(flat)).sum((1, 2)).tolist()
        constant += (flat == flat[:, :, :1]).all((1, 2)).astype(int).tolist()
    return missing, constant


def _classes_part(images: Images, params: GateParams) -> Part:
    """One row per class and its images by split."""
    classes = len(images.facts.classes)
    counts = {
        name: np.bincount(images.labels[images.rows(number)], minlength=classes)
        for number, name in enumerate(SPLITS)
    }
    frame = pd.DataFrame({"class": images.facts.classes, **counts})
    rules = [
        Rule(
            "class_unlearnt", "ExpectColumnValuesToBeBetween",
            f"Each class has at least {params.min_per_class} training images", SPLITS[TRAIN],
            {"min_value": params.min_per_class},
        ),
        Rule(
            "class_untested", "ExpectColumnValuesToBeBetween", "Each class has a test image", "test",
            {"min_value": 1}, warns=True,
        ),
    ]  # fmt: skip
    return Part("classes", frame, rules, key="class", numbered=False, quoted=False)


def _whole_part(images: Images, params: GateParams) -> Part:
    """One row about all images."""
    counts = np.bincount(images.labels[images.rows(TRAIN)], minlength=len(images.facts.classes))
    most = max(images.facts.repaired.values(), default=0)
    frame = pd.DataFrame({
        "images": ["all"],
        "classes": [len(images.facts.classes)],
        "smallest split": [min(len(images.rows(number)) for number in range(len(SPLITS)))],
        "imbalance": [float(counts.max() / max(counts.min(), 1))],
        "repaired": [most / len(images.labels)],
    })  # fmt: skip
    rules = [
        Rule(
            "class_single", "ExpectColumnMinToBeBetween", "There are at least two classes", "classes",
            {"min_value": 2},
        ),
        Rule(
            "split_empty", "ExpectColumnMinToBeBetween", "Every split has at least two images",
            "smallest split", {"min_value": 2},
        ),
        Rule(
            "classes_unbalanced", "ExpectColumnMaxToBeBetween",
            f"The largest class has at most {params.max_imbalance:g} times the images of the smallest",
            "imbalance", {"max_value": params.max_imbalance}, warns=True,
        ),
        Rule(
            "repaired_many", "ExpectColumnMaxToBeBetween",
            f"No kind of repair was made to more than {params.max_repaired_share:.0%} of the images",
            "repaired", {"max_value": params.max_repaired_share},
        ),
    ]  # fmt: skip
    return Part("all images", frame, rules, key="images", numbered=False, quoted=False)


def _masks_part(images: Images) -> Part:
    """One row per class: the smallest and largest share of a map that its masks cover."""
    assert images.masks is not None
    share = images.masks.mean((1, 2))
    rows = [share[images.labels == label] for label in range(len(images.facts.classes))]
    frame = pd.DataFrame({
        "class": images.facts.classes,
        "largest mask": [float(part.max(initial=0)) for part in rows],
        "all or none": [int(len(part) == 0 or (part > 0).all() or not part.any()) for part in rows],
    })  # fmt: skip
    rules = [
        Rule(
            "mask_large", "ExpectColumnValuesToBeBetween", "No mask covers more than half of a map",
            "largest mask", {"max_value": 0.5},
        ),
        Rule(
            "mask_missing", "ExpectColumnValuesToBeInSet",
            "Either all maps of a class have a mask, or none has", "all or none", {"value_set": [1]},
        ),
    ]  # fmt: skip
    return Part("masks", frame, rules, key="class", numbered=False, quoted=False)
