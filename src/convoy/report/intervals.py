"""Values with their intervals as dots on lines, panels side by side with shared names."""

from collections.abc import Sequence
from dataclasses import dataclass

from convoy.report.style import figure, labels, png, quiet_axes, styled
from convoy.report.themes import Theme


@dataclass(frozen=True)
class Dot:
    """A named value with its interval, in the unit of its axis; `colour` indexes the theme's series."""

    name: str
    value: float
    low: float
    high: float
    colour: int


@dataclass(frozen=True)
class DotPanel:
    """Dots of one quantity, the first on top."""

    title: str
    dots: Sequence[Dot]


def dot_panels(panels: Sequence[DotPanel], theme: Theme) -> bytes:
    """PNG: the panels side by side, a row per name, empty in a panel without a dot of that name."""
    names = list(dict.fromkeys(dot.name for panel in panels for dot in panel.dots))
    with styled(theme):
        fig = figure(1.6 + 2.6 * len(panels), 0.34 * len(names) + 0.8)
        for place, (axes, panel) in enumerate(
            zip(fig.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True)
        ):
            for dot in panel.dots:
                row, colour = names.index(dot.name), theme.series[dot.colour]
                axes.plot([dot.low, dot.high], [row, row], color=colour, linewidth=2.2)
                axes.plot(dot.value, row, "o", color=colour, markersize=6)
            axes.set_title(panel.title, color=theme.ink)
            if place == 0:
                axes.set_yticks(range(len(names)), labels(names), color=theme.ink, fontsize=10)
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.margins(x=0.08)
            quiet_axes(axes, "x")
        return png(fig)
