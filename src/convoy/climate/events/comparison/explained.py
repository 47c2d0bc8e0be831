"""What the report has on explanations: sentences and sections on Grad-CAM, the confounder and the sizes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy.typing as npt

from convoy.climate.events.data.io import Facts
from convoy.climate.events.evaluation.overlays import OVERLAYS
from convoy.climate.events.evaluation.overlays import picture as overlay_picture
from convoy.climate.events.models.specs import MODELS
from convoy.report.numbers import fixed, percent, points
from convoy.report.page import Section, Table, picture
from convoy.report.themes import LIGHT

Metrics: TypeAlias = Mapping[str, Mapping[str, Any]]
Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

_ROWS = (
    ("Grad-CAM", None), ("plain gradient", "gradient"),
    ("Grad-CAM, randomised weights", "randomised_weights"),
    ("size of the anomalies, no network", "anomaly_size"),
    ("map of the centre", "center"), ("random map", "random"),
)  # fmt: skip
_HOW = (
    "Pointing: the most important cell is inside the event's mask. Energy: the share of all importance "
    "inside the mask. IoU: overlap of the mask with the cells of at least half the largest importance. "
    "Second lines are 95% confidence intervals (Wilson). An explanation that shows what was learnt does not "
    "resemble those of networks with randomised weights (Adebayo et al. 2018)."
)


_ALIKE = 0.2
"""Rank correlation from which on maps of two networks are called alike."""
_NOT_SCORED = (
    "Where the objects are is not known of these images, so that explanations are shown and not scored."
)


def sentences(metrics: Metrics) -> list[str]:
    """The findings on explanations and on the confounder; none for images without masks."""
    found = []
    for model, of_model in metrics.items():
        gradcam = of_model.get("gradcam")
        if gradcam is None or MODELS[model].with_mark:
            continue
        if not gradcam["n"]:
            found.append(
                f"{MODELS[model].label} classifies no image with an event correctly: no explanation."
            )
            continue
        found.append(_on_gradcam(MODELS[model].label, gradcam))
    marked = _confounded(metrics)
    return [*found, _on_confounder(metrics, *marked)] if marked else found


def overlays(examples: Mapping[str, Arrays | None], facts: Facts) -> dict[str, bytes]:
    """A picture by its file name: the overlays of the first network that has examples; else none."""
    first = next((own for own in examples.values() if own is not None), None)
    return {} if first is None else {OVERLAYS: overlay_picture(first, facts, LIGHT)}


def sections(metrics: Metrics, examples: Mapping[str, Arrays | None], facts: Facts) -> list[Section]:
    """Scores and overlays of each explained network, the confounded variant, and sizes."""
    found = [
        _explanations(model, of_model["gradcam"], examples.get(model), facts)
        for model, of_model in metrics.items()
        if of_model.get("gradcam", {}).get("n") and not MODELS[model].with_mark
    ]
    for model, own in examples.items():
        if own is not None and "gradcam" not in metrics[model]:
            label = MODELS[model].label
            found.append(Section(f"Where {label} looks", [_NOT_SCORED], _pictures(label, own, facts)))
    marked = _confounded(metrics)
    if marked:
        found.append(_confounder(metrics, *marked, examples.get(marked[1]), facts))
    return [*found, _sizes(metrics)]


def _confounded(metrics: Metrics) -> tuple[str, str] | None:
    """The names of a network and its twin that was fitted with the mark, where both are explained."""
    explained = [model for model, found in metrics.items() if found.get("gradcam", {}).get("n")]
    clean = next((model for model in explained if not MODELS[model].with_mark), None)
    twin = next((model for model in explained if MODELS[model].with_mark), None)
    return None if clean is None or twin is None else (clean, twin)


def _on_gradcam(label: str, gradcam: Mapping[str, Any]) -> str:
    weights, size = gradcam["randomised_weights"], gradcam["anomaly_size"]
    blind = max(gradcam[name]["pointing_high"] for name in ("random", "center", "anomaly_size"))
    far = gradcam.get("off_centre")
    off = (
        f" Off the centre it is {percent(far['pointing'])}, a map of the centre "
        f"{percent(far['center']['pointing'])}."
        if far
        else ""
    )
    return (
        f"Grad-CAM of {label} points into the event on {percent(gradcam['pointing'])} of {gradcam['n']:,} "
        f"correctly classified maps with an event; the energy inside the masks is "
        f"{percent(gradcam['energy_inside'])}.{off} With randomised weights its maps have a rank correlation "
        f"of {fixed(weights['rank_correlation'], 2)} with those of the trained network. They point into "
        f"{percent(weights['pointing'])} of the events and, which is chance, into "
        f"{percent(weights['other_masks']['pointing'])} of the masks of other maps; maps without any network "
        f"point into {percent(gradcam['random']['pointing'])} (random), "
        f"{percent(gradcam['center']['pointing'])} (the centre) and {percent(size['pointing'])} (where the "
        "anomalies are largest)"
        + (
            ": what is not learnt explains no more than the input does."
            if weights["pointing_low"] <= blind and weights["rank_correlation"] <= _ALIKE
            else ", so that part of the explanation is not learnt."
        )
    )


def _on_confounder(metrics: Metrics, clean: str, twin: str) -> str:
    in_variant, in_clean = metrics[twin]["marked"]["test"]["accuracy"], metrics[twin]["test"]["accuracy"]
    before, after = (1 - metrics[model]["gradcam"]["energy_inside"] for model in (clean, twin))
    return (
        f"Fitted where a mark goes with one class, the same network classifies {percent(in_variant)} of the "
        f"test maps with the mark correctly and {percent(in_clean)} of the clean ones, "
        f"{points(in_variant - in_clean)} percentage points fewer. The energy outside the masks shows why: "
        f"{percent(after)} compared with {percent(before)} without the mark"
        + (", and on the marked class " + _class_energies(metrics, clean, twin) + ".")
    )


def _class_energies(metrics: Metrics, clean: str, twin: str) -> str:
    name = _marked_class(metrics, twin)
    after, before = (
        1 - metrics[model]["gradcam"]["classes"][name]["energy_inside"] for model in (twin, clean)
    )
    return f"{percent(after)} compared with {percent(before)}"


def _marked_class(metrics: Metrics, twin: str) -> str:
    return str(metrics[twin]["marked"]["class"])


def _explanations(model: str, gradcam: Mapping[str, Any], examples: Arrays | None, facts: Facts) -> Section:
    label = MODELS[model].label
    rows = [[name, *_cells(gradcam if key is None else gradcam[key])] for name, key in _ROWS]
    if "off_centre" in gradcam:
        far = gradcam["off_centre"]
        rows.append([f"Grad-CAM, {far['n']:,} events off the centre", *_cells(far)])
        rows.append(["map of the centre, the same events", *_cells(far["center"])])
    elsewhere = gradcam["randomised_weights"]["other_masks"]
    rows.append(["randomised weights, masks of other maps", *_cells(elsewhere)])
    by_class = [
        [name.replace("_", " "), f"{row['n']:,}", *_cells(row)] for name, row in gradcam["classes"].items()
    ]
    text = (
        f"Of the {gradcam['correct']:,} test maps that {label} classifies correctly, {gradcam['n']:,} "
        "have an event; explanations are scored on these alone."
    )
    return Section(
        f"Where {label} looks",
        [text, _HOW],
        _pictures(label, examples, facts),
        [
            Table(["map of importance", "pointing", "energy inside", "IoU"], rows),
            Table(["class", "maps", "pointing", "energy inside", "IoU"], by_class),
            Table(
                [
                    "weights randomised from the output to",
                    "maps",
                    "rank correlation",
                    "pointing",
                ],
                [
                    [
                        row["from"],
                        f"{row['n']:,}",
                        fixed(row["rank_correlation"], 2),
                        percent(row["pointing"]),
                    ]
                    for row in gradcam["randomised_weights"]["cascade"]
                ],
            ),
        ],
    )


def _confounder(metrics: Metrics, clean: str, twin: str, examples: Arrays | None, facts: Facts) -> Section:
    name, label = _marked_class(metrics, twin), MODELS[twin].label
    text = (
        f"A square near a corner goes with the class {name.replace('_', ' ')} in the training and validation "
        "maps. The network reads the square in place of the event: in the variant with squares its accuracy "
        "is high, on clean maps it is lost. Its explanation reveals it, as the importance leaves the mask: "
        f"{percent(metrics[twin]['gradcam']['on_mark'] or 0)} of it is on or next to the square."
    )
    rows = []
    for model in (clean, twin):
        found = metrics[model]
        variant = found.get("marked", {}).get("test")
        of_class = found["gradcam"]["classes"].get(name)
        rows.append(
            [
                MODELS[model].label,
                "–" if variant is None else percent(variant["accuracy"]),
                percent(found["test"]["accuracy"]),
                percent(1 - found["gradcam"]["energy_inside"]),
                "–" if of_class is None else percent(1 - of_class["energy_inside"]),
            ]
        )
    header = [
        "model", "accuracy with the mark", "accuracy, clean", "energy outside the masks",
        "on the marked class",
    ]  # fmt: skip
    return Section(
        "A confounder, found by its explanation",
        [text],
        _pictures(label, examples, facts),
        [Table(header, rows)],
    )


def _pictures(label: str, examples: Arrays | None, facts: Facts) -> list[Any]:
    if examples is None or not len(examples["labels"]):
        return []
    alt = f"Test maps and where {label} looks in them; lines are the outlines of the events"
    return [picture(partial(overlay_picture, examples, facts), alt, caption=alt, wide=True)]


def _sizes(metrics: Metrics) -> Section:
    rows = [
        [MODELS[model].label, f"{found['parameters']:,}",
         "–" if found["flops"] is None else f"{found['flops'] / 1e6:,.1f} M"]
        for model, found in metrics.items()
    ]  # fmt: skip
    text = "FLOPs: floating-point operations of a forward pass for one image, counted by torch."
    return Section("Sizes", [text], tables=[Table(["model", "parameters", "FLOPs"], rows)])


def _cells(found: Mapping[str, Any]) -> Sequence[str]:
    pointing = percent(found["pointing"])
    if "pointing_low" in found:
        pointing += f"\n{100 * found['pointing_low']:.1f} to {100 * found['pointing_high']:.1f}"
    return [pointing, percent(found["energy_inside"]), f"{found['iou']:.2f}"]
