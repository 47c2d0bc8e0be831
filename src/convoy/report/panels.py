"""Lines in panels side by side, and horizontal bars: the figures of studies."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from convoy.report.style import figure, labels, png, quiet_axes, styled
from convoy.report.themes import Theme


@dataclass(frozen=True)
class Line:
    """A named line; `colour` indexes the theme's series; a dashed one belongs to another of its colour."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines over one x axis; `log`: a logarithmic y axis."""

    title: str
    x: str
    lines: Sequence[Line]
    log: bool = False


def line_panels(panels: Sequence[Panel], theme: Theme) -> bytes:
    """PNG: the panels side by side, and one legend below for the names, which the panels share."""
    with styled(theme):
        fig = figure(4.4 * len(panels), 3.6)
        for axes, panel in zip(fig.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for line in panel.lines:
                axes.plot(
                    line.x, line.y, color=theme.series[line.colour], linewidth=1.7,
                    dashes=(3, 2) if line.dashed else (None, None), label=line.name,
                )  # fmt: skip
            axes.set_title(panel.title, color=theme.ink)
            axes.set_xlabel(panel.x)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if panel.log:
                axes.set_yscale("log")
                _plain_numbers(axes.yaxis)
            quiet_axes(axes, "y")
        handles = {line.get_label(): line for axes in fig.axes for line in axes.get_lines()}
        fig.legend(
            handles=list(handles.values()),
            loc="outside lower center",
            ncols=3 if len(panels) > 1 else 1,
            labelcolor=theme.ink,
        )
        return png(fig)


def bars(names: Sequence[str], values: Sequence[float], title: str, theme: Theme) -> bytes:
    """PNG: one horizontal bar a name on a logarithmic axis, the first on top, with its value."""
    with styled(theme):
        fig = figure(6.4, 0.27 * len(names) + 0.9)
        axes = fig.add_subplot()
        axes.barh(range(len(names)), values, height=0.62, color=theme.series[0], linewidth=0)
        for place, value in enumerate(values):
            axes.annotate(
                f"{value:,.4g}", (value, place), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=8.5, color=theme.ink,
            )  # fmt: skip
        axes.set_yticks(range(len(names)), labels(names), color=theme.ink)
        axes.set(xscale="log", ylim=(len(names) - 0.4, -0.6), xlim=(min(values) / 1.6, max(values) * 2.2))
        _plain_numbers(axes.xaxis)
        axes.set_title(title, color=theme.ink)
        quiet_axes(axes, "x")
        return png(fig)


def _plain_numbers(axis: Axis) -> None:
    """Powers of ten as numbers: names are never parsed as formulas, and matplotlib writes them so."""
    axis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())
