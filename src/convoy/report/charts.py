"""The figures of a comparison, from plain tables: values with intervals, curves, confusion, calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator, PercentFormatter

from convoy.report.numbers import percent
from convoy.report.style import figure, labels, png, quiet_axes, styled
from convoy.report.themes import Theme

WIDTH_IN = 5.6
VALIDATION_LOSS = "validation_loss"


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


@dataclass(frozen=True)
class Curve:
    """A learning curve: `values` per epoch by column name; `colour` indexes the theme's series."""

    name: str
    values: Mapping[str, Sequence[float]]
    colour: int


@dataclass(frozen=True)
class Calibration:
    """Per occupied bin: mean confidence, accuracy, its interval and the number of items."""

    name: str
    confidence: Sequence[float]
    accuracy: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    n: Sequence[int]
    colour: int


def rates(rows: Sequence[Dot], marks: Mapping[str, float], theme: Theme) -> bytes:
    """Bars with intervals, the best on top; vertical lines at `marks` (Bayes accuracies or a baseline)."""
    with styled(theme):
        fig = figure(WIDTH_IN, 0.46 * len(rows) + 0.7 + 0.22 * len(marks))
        axes = fig.add_subplot()
        ordered = sorted(rows, key=lambda row: -row.value)[::-1]
        for place, row in enumerate(ordered):
            colour = theme.series[row.colour]
            axes.barh(place, row.value, height=0.56, color=colour, linewidth=0)
            error = [[max(0.0, row.value - row.low)], [max(0.0, row.high - row.value)]]
            axes.errorbar(row.value, place, xerr=error, color=theme.ink, capsize=3, linewidth=1.3)
            axes.annotate(
                percent(row.value),
                (1.0, place),
                xycoords=("axes fraction", "data"),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                fontweight="bold",
                color=theme.ink,
            )
        _marks(axes, marks, len(rows), theme)
        axes.set_yticks(range(len(rows)), labels([row.name for row in ordered]), color=theme.ink, fontsize=10)
        axes.set(xlim=(0, 1.0), ylim=(-0.5, len(rows) - 0.5 + 0.5 * len(marks)))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        quiet_axes(axes, "x")
        return png(fig)


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


def _marks(axes: Axes, marks: Mapping[str, float], rows: int, theme: Theme) -> None:
    """Dashed lines, each with its label on a line of its own above the bars."""
    for step, (name, value) in enumerate(sorted(marks.items(), key=lambda mark: mark[1])):
        height = rows - 0.25 + 0.5 * step
        axes.plot([value, value], [-0.5, height + 0.15], color=theme.ink, linewidth=1.1, dashes=(4, 2.5))
        right = value > 0.5
        axes.annotate(
            f"{name} {percent(value)}",
            (value, height),
            xytext=(-5 if right else 5, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=9,
            color=theme.ink,
        )


def curves(rows: Sequence[Curve], theme: Theme, title: str = "Validation accuracy") -> bytes:
    """Two panels over epochs: loss of the training and validation splits, and the validation figure.

    The figure is the column other than the losses, such as validation_accuracy; `title` describes it.
    """
    column = next(
        name for name in rows[0].values if name.startswith("validation_") and name != VALIDATION_LOSS
    )
    with styled(theme):
        fig = figure(WIDTH_IN, 2.7)
        loss, figure_axes = fig.subplots(1, 2)
        for row in rows:
            colour = theme.series[row.colour]
            epoch = row.values["epoch"]
            loss.plot(epoch, row.values["train_loss"], color=colour, linewidth=1.2, dashes=(3, 2))
            loss.plot(epoch, row.values[VALIDATION_LOSS], color=colour, linewidth=1.9)
            figure_axes.plot(epoch, row.values[column], color=colour, linewidth=1.9, label=row.name)
            for axes, shown in ((loss, VALIDATION_LOSS), (figure_axes, column)):
                axes.plot(epoch[-1], row.values[shown][-1], "o", color=colour, markersize=4.5)
        loss.set_title("Loss (dashed: training)", color=theme.ink)
        figure_axes.set_title(title, color=theme.ink)
        if column == "validation_accuracy":
            figure_axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        for axes in (loss, figure_axes):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            quiet_axes(axes, "y")
        if len(rows) > 1:
            figure_axes.legend(loc="best", labelcolor=theme.ink)
        return png(fig)


def confusion(counts: np.ndarray, names: Sequence[str], theme: Theme) -> bytes:
    """Confusion matrix: rows are true categories, as shares of their items; columns are predicted ones."""
    size = len(names)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    drawn = labels(names)
    with styled(theme):
        cell = min(0.8, 4.4 / size) if size <= 12 else 0.36 if size <= 24 else 0.28
        margin = 0.075 * max(map(len, drawn)) + 0.5
        fig = figure(max(WIDTH_IN * 0.92, cell * size + margin), cell * size + margin + 0.4)
        axes = fig.add_subplot()
        colours = LinearSegmentedColormap.from_list("shares", theme.heat)
        # Errors are small shares off the diagonal: the square root makes them distinguishable.
        axes.imshow(np.sqrt(shares), cmap=colours, vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(size), drawn, rotation=90, fontsize=8.5, color=theme.ink)
        axes.set_yticks(range(size), drawn, fontsize=8.5, color=theme.ink)
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=theme.paper, linewidth=1.0)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        fig.suptitle(
            "Items of each row's true category predicted as the column, per cent",
            x=0.02, ha="left", fontsize=9.5, color=theme.muted,
        )  # fmt: skip
        _cell_figures(axes, shares, theme, fontsize=7.0 if size <= 24 else 5.6)
        return png(fig)


def _cell_figures(axes: Axes, shares: np.ndarray, theme: Theme, fontsize: float) -> None:
    """Whole per cent in every cell of at least half of one."""
    for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
        share = float(shares[row, column])
        colour = theme.paper if np.sqrt(share) > 0.58 else theme.ink
        # In a cell, so that the layout need not measure it: that took a fifth of the time.
        axes.text(
            column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=fontsize,
            in_layout=False,
        )  # fmt: skip


def reliability(rows: Sequence[Calibration], theme: Theme) -> bytes:
    """Accuracy over confidence with Wilson intervals, one panel each; the diagonal is perfect calibration.

    Bars below are a histogram of the items.
    """
    with styled(theme):
        columns = min(2, len(rows))
        lines = -(-len(rows) // columns)
        fig = figure(WIDTH_IN if columns == 2 else WIDTH_IN * 0.62, 2.85 * lines + 0.1)
        panels = fig.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes in panels[len(rows) :]:
            axes.set_visible(False)
        for place, (axes, row) in enumerate(zip(panels, rows, strict=False)):
            _calibration(axes, row, theme)
            if place >= len(rows) - columns:
                axes.set_xlabel("confidence")
                axes.tick_params(labelbottom=True)
            if place % columns == 0:
                axes.set_ylabel("accuracy")
        return png(fig)


def _calibration(axes: Axes, row: Calibration, theme: Theme) -> None:
    colour = theme.series[row.colour]
    confidence, accuracy = np.array(row.confidence), np.array(row.accuracy)
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1.0, dashes=(4, 2.5))
    share = np.array(row.n) / max(1, sum(row.n))
    axes.bar(confidence, 0.35 * share, width=0.05, color=colour, alpha=0.28, linewidth=0)
    error = np.maximum(0, [accuracy - np.array(row.low), np.array(row.high) - accuracy])
    axes.errorbar(
        confidence,
        accuracy,
        yerr=error,
        color=colour,
        linewidth=1.1,
        capsize=2,
        fmt="o",
        markersize=4,
        clip_on=False,
    )
    axes.set_title(row.name, color=theme.ink)
    axes.set(xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
        axis.set_major_locator(MaxNLocator(5))
    quiet_axes(axes, "y")
