"""Pictures of explanations: examples of each class with events, and what the network looks at in them."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from convoy.climate.events.data.io import Facts
from convoy.report.overlays import Explained, overlays
from convoy.report.themes import LIGHT, Theme

OVERLAYS = "overlays.png"


def with_overlays(
    files: Mapping[str, str | bytes], examples: Mapping[str, npt.NDArray[Any]] | None, facts: Facts
) -> dict[str, str | bytes]:
    """The files of an evaluation, and the overlays where there are examples."""
    return dict(files) if examples is None else {**files, OVERLAYS: picture(examples, facts, LIGHT)}


def picture(examples: Mapping[str, npt.NDArray[Any]], facts: Facts, theme: Theme) -> bytes:
    """PNG of all examples: arrays as in `explanations.Examples`."""
    rows = []
    for number, (label, named) in enumerate(zip(examples["labels"], examples["predicted"], strict=True)):
        title = readable(facts.classes[label])
        if named != label:
            title += f", predicted {readable(facts.classes[named])}"
        values, importance, mask = (examples[name][number] for name in ("values", "importance", "masks"))
        rows.append(Explained(title, values, importance, mask))
    return overlays(rows, facts.channels, theme)


def readable(name: str) -> str:
    """The name of a class in words."""
    return name.replace("_", " ")
