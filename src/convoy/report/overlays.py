"""Images with what a network looks at: the channels of an image, and the importance of each cell over it."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from convoy.report.style import figure, labels, png, styled
from convoy.report.themes import Theme

Field: TypeAlias = npt.NDArray[Any]
PANEL_IN = 1.35
# Values beyond this quantile have the last colour, so that a few do not stretch the scale.
_SHOWN = 0.995
_MOST_OPAQUE = 0.75


@dataclass(frozen=True, eq=False)
class Explained:
    """One image (C, H, W) with a title, the importance (H, W) in [0, 1] of its cells, and an event's mask.

    mask: None where it is not known. Three channels of bytes are a picture in red, green and blue; others are
    drawn apart, each around its own zero.
    """

    title: str
    values: Field
    importance: Field
    mask: Field | None = None


def overlays(rows: Sequence[Explained], channels: Sequence[str], theme: Theme) -> bytes:
    """PNG: a row per image, its channels and then the importance over it; the line is the event's outline."""
    picture = _is_picture(rows[0])
    names = ["Image"] if picture else labels(list(channels))
    columns = len(names) + 1
    with styled(theme):
        fig = figure(PANEL_IN * columns + 1.4, (PANEL_IN + 0.1) * len(rows) + 0.3)
        panels = fig.subplots(len(rows), columns, squeeze=False)
        for axes, row in zip(panels, rows, strict=True):
            fields = [row.values] if picture else list(row.values)
            for ax, field in zip(axes, fields, strict=False):
                _field(ax, field, theme)
            _field(axes[-1], _grey(row), theme, grey=True)
            _importance(axes[-1], row.importance, theme)
            for ax in axes:
                _outline(ax, row.mask, theme)
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
            axes[0].set_ylabel(
                "\n".join(textwrap.wrap(row.title, 20)), color=theme.ink, fontsize=8.5, rotation=0,
                ha="right", va="center",
            )  # fmt: skip
        for ax, name in zip(panels[0], [*names, "Grad-CAM"], strict=True):
            ax.set_title(name, color=theme.ink, fontsize=9)
        return png(fig)


def _is_picture(row: Explained) -> bool:
    return row.values.dtype == np.uint8 and len(row.values) == 3


def _field(axes: Axes, field: Field, theme: Theme, grey: bool = False) -> None:
    if field.ndim == 3:
        axes.imshow(field.transpose(1, 2, 0))
        return
    colours = (theme.paper, theme.muted) if grey else theme.diverging
    scale = LinearSegmentedColormap.from_list("field", list(colours), N=48)
    widest = max(float(np.quantile(np.abs(field), _SHOWN)), 1e-9)
    axes.imshow(field, cmap=scale, vmin=0 if grey else -widest, vmax=widest)


def _grey(row: Explained) -> Field:
    """Size of the anomalies over all channels, (H, W), each by its own deviation; darkness of a picture."""
    values = row.values.astype(np.float64)
    if _is_picture(row):
        return 255 - values.mean(axis=0)
    deviation = values.std(axis=(1, 2), keepdims=True)
    scaled = values / np.where(deviation > 0, deviation, 1)
    return np.asarray(np.sqrt(np.square(scaled).mean(axis=0)))


def _importance(axes: Axes, importance: Field, theme: Theme) -> None:
    """Colours from low to high, the more opaque the more important."""
    scale = LinearSegmentedColormap.from_list("importance", list(theme.field), N=48)
    coloured = scale(importance)
    coloured[..., 3] = _MOST_OPAQUE * importance
    axes.imshow(coloured)


def _outline(axes: Axes, mask: Field | None, theme: Theme) -> None:
    if mask is None or not mask.any() or mask.all():
        return
    for colour, width in ((theme.paper, 2.2), (theme.ink, 1.0)):
        axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=width)
