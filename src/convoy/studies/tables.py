"""The table and the picture of each study, from its results."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convoy.core.plots_io import csv_text
from convoy.report.panels import Line, Panel, bars, line_panels
from convoy.report.themes import LIGHT

if TYPE_CHECKING:  # so that a change of one study reruns no other
    from convoy.studies.architectures import Architecture
    from convoy.studies.depth import Trained
    from convoy.studies.separable import Compared
    from convoy.studies.shifts import Shifted
    from convoy.studies.sizes import Size

Files = dict[str, str | bytes]


def depth_files(networks: "Sequence[Trained]") -> Files:
    """depth.csv: final training loss and validation accuracy; gradients.csv: norms by layer; depth.png."""
    kinds = list(dict.fromkeys(each.name for each in networks))
    shallow = min(each.depth for each in networks)
    rows = [
        [
            each.name, each.depth, _text(each.final_loss), _text(each.fitted.curve[-1].validation_figure),
            _text(each.gradient_norms[0]), _text(each.gradient_norms[-1]),
        ]
        for each in networks
    ]  # fmt: skip
    header = ["network", "layers", "train_loss", "validation_accuracy", "first_gradient", "last_gradient"]
    norms = [
        [each.name, each.depth, number, _text(norm)]
        for each in networks
        for number, norm in enumerate(each.gradient_norms, start=1)
    ]

    def line(each: "Trained", x: Sequence[float], y: Sequence[float]) -> Line:
        name = f"{each.name}, {each.depth} layers"
        return Line(name, x, y, kinds.index(each.name), dashed=each.depth == shallow)

    curves = [
        line(each, [row.epoch for row in each.fitted.curve], [row.train_loss for row in each.fitted.curve])
        for each in networks
    ]
    by_layer = [
        line(each, list(range(1, len(each.gradient_norms) + 1)), each.gradient_norms) for each in networks
    ]
    panels = [
        Panel("Training loss", "epoch", curves, log=True),
        Panel("Gradient norm, random weights", "3x3 layer, from the input", by_layer, log=True),
    ]
    return {
        "depth.csv": csv_text(header, rows),
        "gradients.csv": csv_text(["network", "layers", "layer", "gradient_norm"], norms),
        "depth.png": line_panels(panels, LIGHT),
    }


def separable_files(networks: "Sequence[Compared]") -> Files:
    """separable.csv and separable.png: validation accuracy over epochs."""
    widths = sorted({each.width for each in networks})
    best = [_text(each.fitted.best.validation_figure) for each in networks]
    rows = [
        [each.kind, each.width, each.parameters, each.operations, accuracy]
        for each, accuracy in zip(networks, best, strict=True)
    ]
    lines = [
        Line(
            f"{each.kind}, width {each.width}: {each.parameters:,} parameters",
            [row.epoch for row in each.fitted.curve],
            [row.validation_figure for row in each.fitted.curve],
            widths.index(each.width) % 6, dashed=each.kind == "separable",
        )
        for each in networks
    ]  # fmt: skip
    header = ["convolution", "width", "parameters", "operations", "validation_accuracy"]
    panel = Panel("Validation accuracy", "epoch", lines)
    return {"separable.csv": csv_text(header, rows), "separable.png": line_panels([panel], LIGHT)}


def architecture_files(networks: "Sequence[Architecture]") -> Files:
    """architectures.csv and architectures.png: validation accuracy over epochs."""
    rows = [
        [
            each.name, each.parameters, each.operations, _text(each.fitted.curve[-1].train_loss),
            _text(each.fitted.best.validation_figure),
        ]
        for each in networks
    ]  # fmt: skip
    lines = [
        Line(
            each.name,
            [row.epoch for row in each.fitted.curve],
            [row.validation_figure for row in each.fitted.curve],
            place % 6, dashed=place >= 6,
        )
        for place, each in enumerate(networks)
    ]  # fmt: skip
    header = ["network", "parameters", "operations", "train_loss", "validation_accuracy"]
    panel = Panel("Validation accuracy", "epoch", lines)
    return {"architectures.csv": csv_text(header, rows), "architectures.png": line_panels([panel], LIGHT)}


def size_files(networks: "Sequence[Size]") -> Files:
    """sizes.csv of all networks, and sizes.png: their receptive fields."""
    header = list(networks[0].__dataclass_fields__)
    rows = [["" if value is None else _text(value) for value in vars(each).values()] for each in networks]
    ordered = sorted(networks, key=lambda each: each.receptive_field)
    picture = bars(
        [each.name for each in ordered], [each.receptive_field for each in ordered],
        "Receptive field before global pooling, pixels", LIGHT,
    )  # fmt: skip
    return {"sizes.csv": csv_text(header, rows), "sizes.png": picture}


def shift_files(found: "Sequence[Shifted]") -> Files:
    """shifts.csv and shifts.png: how far features, and their means, differ from the shifted ones."""
    variants = list(dict.fromkeys(each.variant for each in found))
    rows = [[each.variant, each.shift, _text(each.features), _text(each.pooled)] for each in found]

    def lines(column: str) -> list[Line]:
        return [
            Line(
                variant, [each.shift for each in found if each.variant == variant],
                [getattr(each, column) for each in found if each.variant == variant], place,
            )
            for place, variant in enumerate(variants)
        ]  # fmt: skip

    panels = [
        Panel("Features: relative difference", "shift, pixels", lines("features")),
        Panel("Means over all places: relative difference", "shift, pixels", lines("pooled")),
    ]
    header = ["variant", "shift", "features", "pooled"]
    return {"shifts.csv": csv_text(header, rows), "shifts.png": line_panels(panels, LIGHT)}


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
