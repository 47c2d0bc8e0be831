"""Figures that compare the errors of many models: by split, by season and height, and by wavelength."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from convoy.report.style import figure, labels, png, quiet_axes, styled
from convoy.report.themes import Theme

WIDTH_IN = 5.6
# Networks and baselines differ in marker and line style as well as in colour.
NETWORK_MARKER, BASELINE_MARKER = "D", "o"
DASHES = (4, 2.5)


@dataclass(frozen=True)
class Score:
    """A model's error on each split, with the ends of its interval where known.

    In place of an error there may be words on why there is none. `colours` index the theme's series, one per
    split.
    """

    name: str
    values: Sequence[float | str]
    intervals: Sequence[tuple[float, float] | None]
    colours: Sequence[int]
    network: bool


@dataclass(frozen=True)
class Line:
    """A named series of values; `colour` indexes the theme's series, None is the colour of text."""

    name: str
    values: Sequence[float]
    colour: int | None
    network: bool = False


def by_split(
    rows: Sequence[Score], splits: Sequence[str], noise_floor: float | None, units: str, theme: Theme
) -> bytes:
    """PNG: one panel per split with each model's error and its interval; the noise floor is a line."""
    with styled(theme):
        names = labels([row.name for row in rows])
        width_in = 0.075 * max(map(len, names)) + 1.75 * len(splits) + 0.6
        fig = figure(max(WIDTH_IN, width_in), 0.29 * len(rows) + 1.2)
        panels = fig.subplots(1, len(splits), squeeze=False, sharex=True, sharey=True)[0]
        for place, (axes, split) in enumerate(zip(panels, splits, strict=True)):
            for line, row in enumerate(rows):
                _score(axes, len(rows) - 1 - line, row, place, theme)
            if noise_floor is not None:
                axes.axvline(noise_floor, color=theme.ink, linewidth=1.1, dashes=DASHES)
            axes.set_title(split, color=theme.ink)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            quiet_axes(axes, "x")
        for axes, text in zip(
            panels, [f"RMSE, {units}" if units else "RMSE"] + [""] * len(splits), strict=False
        ):
            axes.set_xlabel(text, loc="left")
        if noise_floor is not None:
            panels[0].annotate(
                "noise floor", (noise_floor, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -2),
                textcoords="offset points", va="top", fontsize=8, color=theme.ink,
            )  # fmt: skip
        panels[0].set_yticks(range(len(rows)), names[::-1], color=theme.ink)
        panels[0].set(xlim=_span(rows, noise_floor), ylim=(-0.6, len(rows) - 0.2))
        return png(fig)


def _span(rows: Sequence[Score], noise_floor: float | None) -> tuple[float, float]:
    """From a little below the least to a little above the largest that is drawn."""
    known = [value for row in rows for value in row.values if not isinstance(value, str)]
    known += [end for row in rows for ends in row.intervals if ends is not None for end in ends]
    known += [] if noise_floor is None else [noise_floor]
    margin = 0.08 * (max(known) - min(known)) or 0.1
    return min(known) - margin, max(known) + margin


def _score(axes: Axes, height: int, row: Score, place: int, theme: Theme) -> None:
    value, interval = row.values[place], row.intervals[place]
    if isinstance(value, str):
        axes.annotate(
            value, (0.98, height), xycoords=("axes fraction", "data"), ha="right", va="center",
            fontsize=8, color=theme.muted, bbox={"facecolor": theme.paper, "linewidth": 0, "pad": 1.5},
        )  # fmt: skip
        return
    marker = NETWORK_MARKER if row.network else BASELINE_MARKER
    colour = theme.series[row.colours[place]]
    axes.plot(value, height, marker, color=colour, markersize=7.5, markeredgecolor=theme.paper)
    if interval is not None:
        # Drawn over the marker: most intervals are narrower than it.
        axes.plot(interval, (height, height), color=theme.ink, linewidth=1.4, solid_capstyle="butt", zorder=3)


def categories(
    panels: Sequence[tuple[str, Sequence[str], Sequence[Line]]], units: str, theme: Theme
) -> bytes:
    """PNG: a panel each of (title, names of the categories, errors of every model in them)."""
    with styled(theme):
        counts = [len(names) for _, names, _ in panels]
        fig = figure(WIDTH_IN * 1.25, 3.1)
        drawn = fig.subplots(1, len(panels), squeeze=False, sharey=True, width_ratios=counts)[0]
        for axes, (title, names, lines) in zip(drawn, panels, strict=True):
            for line in lines:
                _line(axes, np.arange(len(names)), line, theme)
            axes.set_title(title, color=theme.ink)
            axes.set_xticks(range(len(names)), list(names))
            axes.set(xlim=(-0.4, len(names) - 0.6))
            quiet_axes(axes, "y")
        # Markers at the top must not be cut in half.
        drawn[0].set_ylim(0, 1.05 * drawn[0].get_ylim()[1])
        drawn[0].set_ylabel(f"RMSE, {units}" if units else "RMSE")
        handles, labels = drawn[0].get_legend_handles_labels()
        fig.legend(
            handles, labels, loc="outside lower center", ncols=min(3, len(handles)), labelcolor=theme.ink
        )
        return png(fig)


def spectra(
    wavenumber: Sequence[float], truth: Line, lines: Sequence[Line], nyquist: float | None, units: str,
    theme: Theme,
) -> bytes:  # fmt: skip
    """PNG: power by wavenumber on logarithmic axes, and its ratio to the truth's for each model.

    wavenumber: cycles per degree, ascending; nyquist: the largest wavenumber that the coarse grid resolves,
    None where it is not known.
    """
    with styled(theme):
        fig = figure(WIDTH_IN * 1.25, 3.4)
        power, ratio = fig.subplots(1, 2)
        known = np.asarray(truth.values) > 0
        x = np.asarray(wavenumber)
        for line in (truth, *lines):
            values = np.where(np.asarray(line.values) > 0, line.values, np.nan)
            _curve(power, x, values, line, theme)
            share = np.divide(values, truth.values, out=np.full(len(x), np.nan), where=known)
            _curve(ratio, x, share, line, theme)
        power.set_yscale("log")
        power.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        power.yaxis.set_minor_locator(NullLocator())
        power.set_title(f"Power, {units}²" if units else "Power", color=theme.ink)
        ratio.set_title("Power relative to the truth", color=theme.ink)
        ratio.set_ylim(0, None)
        for axes in (power, ratio):
            axes.set_xscale("log")
            if nyquist is not None:
                axes.axvline(nyquist, color=theme.muted, linewidth=1.0, dashes=DASHES)
            _wavelengths(axes, x)
            quiet_axes(axes, "y")
        if nyquist is not None:
            ratio.annotate(
                "not resolved by\nthe coarse grid →", (nyquist, 0), xycoords="data", xytext=(-4, 5),
                textcoords="offset points", ha="right", fontsize=8, color=theme.muted,
            )  # fmt: skip
        handles, labels = power.get_legend_handles_labels()
        fig.legend(handles, labels, loc="outside lower center", ncols=3, labelcolor=theme.ink)
        return png(fig)


def _wavelengths(axes: Axes, wavenumber: np.ndarray) -> None:
    """Ticks in degrees of wavelength, each half of the one before."""
    longest = int(np.floor(np.log2(1 / wavenumber[0])))
    shortest = int(np.ceil(np.log2(1 / wavenumber[-1])))
    axes.xaxis.set_major_locator(FixedLocator([2.0**-power for power in range(longest, shortest - 1, -1)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{1 / value:.2g}°"))
    axes.set_xlabel("wavelength")


def _curve(axes: Axes, x: np.ndarray, values: np.ndarray, line: Line, theme: Theme) -> None:
    colour = theme.ink if line.colour is None else theme.series[line.colour]
    axes.plot(x, values, color=colour, linewidth=1.3 if line.colour is None else 1.8, label=line.name)


def _line(axes: Axes, x: np.ndarray, line: Line, theme: Theme) -> None:
    colour = theme.ink if line.colour is None else theme.series[line.colour]
    axes.plot(
        x, line.values, color=colour, linewidth=1.5, label=line.name, markersize=6,
        marker=NETWORK_MARKER if line.network else BASELINE_MARKER, markeredgecolor=theme.paper,
    )  # fmt: skip
