"""Points on a plane in the colours of their groups, and histograms side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from convoy.report.style import figure, labels, png, quiet_axes, styled
from convoy.report.themes import Theme

_COLOURS = 20  # that can be distinguished where the names are next to the points
_BINS = 40


@dataclass(frozen=True)
class Histogram:
    """Values of one or two named series over one axis."""

    title: str
    x: str
    series: Sequence[tuple[str, npt.NDArray[np.float64]]]


def cloud(points: npt.NDArray[np.float64], names: Sequence[str], theme: Theme) -> bytes:
    """PNG of points (n, 2), coloured by name, each name written at the median of its points.

    Only the 20 most frequent names have a colour; the other points are grey, as are those without a name.
    """
    groups = np.array(names)
    found, counts = np.unique(groups[groups != ""], return_counts=True)
    shown = found[np.argsort(-counts, kind="stable")[:_COLOURS]]
    colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    with styled(theme):
        fig = figure(6.6, 5.6)
        axes = fig.add_subplot()
        other = ~np.isin(groups, shown)
        axes.scatter(points[other, 0], points[other, 1], s=9, color=theme.muted, linewidths=0)
        for colour, name in zip(colours, shown, strict=False):
            x, y = points[groups == name].T
            axes.scatter(x, y, s=11, color=colour, linewidths=0, alpha=0.9)
        for name, label in zip(shown, labels(shown.tolist(), 18), strict=True):
            x, y = np.median(points[groups == name], axis=0)
            axes.annotate(
                label, (x, y), ha="center", va="center", fontsize=8.5, color=theme.ink,
                bbox={"facecolor": theme.paper, "alpha": 0.75, "linewidth": 0, "pad": 1.2},
            )  # fmt: skip
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return png(fig)


def histograms(panels: Sequence[Histogram], theme: Theme) -> bytes:
    """PNG of the panels side by side: shares of the values in 40 bins; the second series is an outline."""
    with styled(theme):
        fig = figure(3.7 * len(panels), 2.9)
        for axes, panel in zip(fig.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            values = np.concatenate([values for _, values in panel.series])
            edges = np.histogram_bin_edges(values, _BINS)
            for place, (name, of_series) in enumerate(panel.series):
                shares = np.histogram(of_series, edges)[0] / max(1, len(of_series))
                axes.stairs(
                    shares, edges, fill=place == 0, color=theme.series[place], linewidth=1.6, label=name,
                    alpha=0.8 if place == 0 else 1,
                )  # fmt: skip
            axes.set_title(panel.title, color=theme.ink)
            axes.set_xlabel(panel.x)
            axes.set_yticks([])
            quiet_axes(axes, "y")
            if len(panel.series) > 1:
                axes.legend(labelcolor=theme.ink)
        return png(fig)
