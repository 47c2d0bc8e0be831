"""The studies in words: one section of the page each, from their tables."""

from collections.abc import Mapping, Sequence

from convoy.report.page import Picture, Section, Table

Rows = Sequence[Mapping[str, str]]
NEAR = 0.03  # difference of two accuracies that counts as about the same
TIMES = (
    "Time per image depends on the machine and is in no output of the pipeline: `make bench "
    "ARGS=architectures` measures it, of separable and plain convolutions too."
)
COLUMNS = {
    "train_loss": "training loss, last epoch",
    "times_b0": "operations / B0",
    "gflops": "10^9 operations",
}


def depth_section(rows: Rows, png: bytes) -> Section:
    """Whether the deeper network of each kind ends with the higher training loss."""
    kinds = list(dict.fromkeys(row["network"] for row in rows))
    paragraphs = []
    for kind in kinds:
        shallow, deep = sorted(
            (row for row in rows if row["network"] == kind), key=lambda r: int(r["layers"])
        )
        first, last = float(shallow["train_loss"]), float(deep["train_loss"])
        paragraphs.append(
            f"{kind.capitalize()}: {deep['layers']} layers end with a training loss of {last:.3g}, "
            f"{'' if last > first else 'not '}higher than that of {shallow['layers']} layers, {first:.3g}. "
            f"With random weights the gradient of the first layer of {deep['layers']} has a norm of "
            f"{float(deep['first_gradient']):.3g}, that of the last one {float(deep['last_gradient']):.3g}."
        )
    alt = "Training losses over epochs, and gradient norms by layer, of networks of two depths"
    return _section("Depth", paragraphs, rows, png, alt)


def separable_section(rows: Rows, png: bytes) -> Section:
    """Parameters, operations and accuracy of separable relative to plain convolutions."""
    paragraphs = []
    for width in dict.fromkeys(row["width"] for row in rows):
        plain, split = (
            next(row for row in rows if (row["width"], row["convolution"]) == (width, kind))
            for kind in ("plain", "separable")
        )
        shares = [int(split[key]) / int(plain[key]) for key in ("parameters", "operations")]
        accuracies = [float(row["validation_accuracy"]) for row in (split, plain)]
        paragraphs.append(
            f"Width {width}: separable convolutions have {shares[0]:.0%} of the parameters and "
            f"{shares[1]:.0%} of the operations; validation accuracy {accuracies[0]:.1%} "
            f"compared with {accuracies[1]:.1%}."
        )
    return _section(
        "Separable convolutions", [*paragraphs, TIMES], rows, png, "Validation accuracies over epochs"
    )


def size_section(rows: Rows, png: bytes) -> Section:
    """Receptive fields, and the operations of EfficientNet compared with compound scaling."""
    by_field = sorted(rows, key=lambda row: int(row["receptive_field"]))
    wider = [row["name"] for row in rows if int(row["receptive_field"]) > int(row["pixels"])]
    largest = max((row for row in rows if row["times_b0"]), key=lambda row: float(row["times_b0"]))
    fields = (
        f"Receptive fields before global pooling are from {by_field[0]['receptive_field']} "
        f"({by_field[0]['name']}) to {by_field[-1]['receptive_field']} pixels ({by_field[-1]['name']}); "
        f"those of {len(wider)} of {len(rows)} networks are larger than the image."
    )
    scaling = (
        f"Compound scaling: {largest['name']} has {float(largest['times_b0']):.3g} times the operations of "
        f"B0; the rule with whole phi gives {float(largest['by_compound_scaling']):.3g}."
    )
    paragraphs = [fields, scaling]
    return _section("Sizes", paragraphs, rows, png, "Receptive fields of all networks")


def shift_section(rows: Rows, png: bytes) -> Section:
    """How far the features of an image shifted by one pixel are from the shifted features."""
    paragraphs = [
        f"{row['variant'].capitalize()}: after a shift of one pixel the features differ from the shifted "
        f"ones by {float(row['features']):.0%} of their variation, their means over all places by "
        f"{float(row['pooled']):.0%}."
        for row in rows
        if row["shift"] == "1"
    ]
    alt = "Relative differences of features and of their means over the shift of the image"
    return _section("Shifts", paragraphs, rows, png, alt)


def architecture_section(rows: Rows, png: bytes) -> Section:
    """Which network is the most accurate, and which needs the fewest operations for about as much."""

    def accuracy(row: Mapping[str, str]) -> float:
        return float(row["validation_accuracy"])

    highest = max(map(accuracy, rows))
    best = [row["network"] for row in rows if accuracy(row) == highest]
    near = [row for row in rows if accuracy(row) >= highest - NEAR]
    light = min(near, key=lambda row: int(row["operations"]))
    large = max(rows, key=lambda row: int(row["parameters"]))
    are = "are" if best[1:] else "is"
    text = (
        f"Trained alike for a few epochs, {' and '.join(best)} {are} the most accurate, {highest:.1%} of the "
        f"validation images. Of those within {100 * NEAR:.0f} percentage points {light['network']} has the "
        f"fewest operations, {readable(light['operations'])} an image. The most parameters, "
        f"{readable(large['parameters'])}, are those of {large['network']}, with an accuracy of "
        f"{accuracy(large):.1%}."
    )
    return _section("Architectures", [text, TIMES], rows, png, "Validation accuracies over epochs")


SECTIONS = {
    "architectures": architecture_section, "depth": depth_section, "separable": separable_section,
    "sizes": size_section, "shifts": shift_section,
}  # fmt: skip


def readable(value: str) -> str:
    """A number of a table for readers: whole ones with separators, others with three significant digits."""
    try:
        number = float(value)
    except ValueError:
        return value
    if value.lstrip("-").isdigit():
        return f"{int(value):,}"
    digits = f"{number:.3g}"
    return f"{number:,.0f}" if "e+" in digits else digits


def _section(heading: str, paragraphs: Sequence[str], rows: Rows, png: bytes, alt: str) -> Section:
    header = [COLUMNS.get(key, key.replace("_", " ")) for key in rows[0]]
    table = Table(header, [[readable(value) for value in row.values()] for row in rows])
    return Section(heading, paragraphs, [Picture(png, png, alt, wide=True)], [table])
