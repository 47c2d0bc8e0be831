"""Maps side by side: fields of a few days and their errors; bias and RMSE at each cell."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from convoy.report.style import figure, labels, png, styled
from convoy.report.themes import Theme

Field: TypeAlias = npt.NDArray[Any]
PANEL_IN = 1.75
COLOURS = 48  # looks continuous, and is few enough for a small PNG
# A panel has about 280 pixels: finer fields are averaged before they are drawn.
LONGEST = 160
# Rare extremes must not stretch the scale; values beyond it have its last colour.
SHOWN = 99.5


@dataclass(frozen=True, eq=False)
class Surface:
    """Where fields (H, W) lie: cell centres in degrees, ascending, and elevation (H, W) in metres."""

    lat: Field
    lon: Field
    elevation: Field


@dataclass(frozen=True, eq=False)
class Day:
    """One day: the truth (H, W) and each model's field; `scores`: the titles of the maps of errors."""

    title: str
    truth: Field
    models: Mapping[str, Field]
    scores: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class PixelErrors:
    """Bias and RMSE of a model at each cell over all days, each (H, W)."""

    name: str
    bias: Field
    rmse: Field


def days(rows: Sequence[Day], surface: Surface, units: str, theme: Theme) -> bytes:
    """PNG: a row per day with truth and models on one scale, then the models' errors on another.

    The line is the coast, the contour of zero elevation: see `has_coast`.
    """
    names = list(rows[0].models)
    with styled(theme):
        columns = 1 + 2 * len(names)
        fig, panels = _grid(len(rows), columns, surface)
        for number, (axes, row) in enumerate(zip(panels, rows, strict=True)):
            fields = [row.truth, *row.models.values()]
            errors = [field - row.truth for field in row.models.values()]
            low, high = _range(fields)
            widest = _widest(errors)
            for place, (ax, field) in enumerate(zip(axes, [*fields, *errors], strict=True)):
                is_error = place > len(names)
                limits = (-widest, widest) if is_error else (low, high)
                colours = theme.diverging if is_error else theme.field
                mesh = _map(ax, field, surface, colours, limits, theme)
                if place in (len(names), columns - 1):
                    shown = axes[len(names) + 1 :] if is_error else axes[: len(names) + 1]
                    _bar(fig, mesh, shown, units, theme, pointed="both")
            drawn = [textwrap.fill(name, 19) for name in labels(names)]
            titles = ["Truth", *drawn, *(f"Error of\n{name}" for name in drawn)]
            for ax, title in zip(axes, titles if number == 0 else (), strict=number == 0):
                ax.set_title(title, color=theme.ink, fontsize=9.5)
            for ax, name in zip(axes[len(names) + 1 :], names, strict=True):
                ax.set_xlabel(row.scores[name], fontsize=8.5)
            axes[0].set_ylabel(row.title, color=theme.ink, fontsize=9.5)
        return png(fig)


def per_pixel(rows: Sequence[PixelErrors], surface: Surface, units: str, theme: Theme) -> bytes:
    """PNG: maps of the bias, and below them of the RMSE, one column per model, one scale per row."""
    with styled(theme):
        fig, panels = _grid(2, len(rows), surface, panel_in=2.2)
        widest = _widest([row.bias for row in rows])
        highest = _highest([row.rmse for row in rows])
        for column, row in enumerate(rows):
            bias = _map(panels[0, column], row.bias, surface, theme.diverging, (-widest, widest), theme)
            rmse = _map(panels[1, column], row.rmse, surface, theme.heat, (0, highest), theme)
            panels[0, column].set_title(labels([row.name])[0], color=theme.ink)
        _bar(fig, bias, panels[0], units, theme, pointed="both")
        _bar(fig, rmse, panels[1], units, theme, pointed="max")
        for axes, name in zip(panels[:, 0], ("Bias", "RMSE"), strict=True):
            axes.set_ylabel(name, color=theme.ink)
        return png(fig)


def has_coast(surface: Surface) -> bool:
    """Whether there is a coast to draw: terrain both above zero and not."""
    height = np.ma.masked_invalid(_thinned(surface.elevation))
    return bool(height.count() and height.min() <= 0 < height.max())


def _grid(rows: int, columns: int, surface: Surface, panel_in: float = PANEL_IN) -> tuple[Figure, Any]:
    """Panels (rows, columns) in the shape of the terrain, with degrees only at the outer sides."""
    height_in = panel_in * min(2.0, max(0.4, _shape(surface)))
    fig = figure(panel_in * columns + 2.0, height_in * rows + 0.34 * rows + 0.5)
    panels = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    return fig, panels


def _shape(surface: Surface) -> float:
    """Height of the terrain over its width, both in kilometres."""
    height, width = (edges[-1] - edges[0] for edges in (_edges(surface.lat), _edges(surface.lon)))
    return float(height / (width * _shrink(surface)))


def _shrink(surface: Surface) -> float:
    """Length of a degree of longitude over that of latitude, in the middle of the terrain."""
    return float(max(0.1, np.cos(np.radians(surface.lat.mean()))))


def _map(
    axes: Axes, field: Field, surface: Surface, colours: Sequence[str], limits: tuple[float, float],
    theme: Theme,
) -> QuadMesh:  # fmt: skip
    """One field; missing cells have the colour of grid lines."""
    low, high = limits
    axes.set_facecolor(theme.grid)
    cells, lat, lon = _thinned(field), _edges(_thinned(surface.lat)), _edges(_thinned(surface.lon))
    scale = LinearSegmentedColormap.from_list("map", list(colours), N=COLOURS)
    mesh = axes.pcolormesh(lon, lat, np.ma.masked_invalid(cells), cmap=scale, vmin=low, vmax=high)
    _coast(axes, surface, theme)
    axes.set_aspect(1 / _shrink(surface))
    for axis, ends in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 4, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _, ends=ends: _degrees(value, ends)))
    axes.tick_params(length=2, labelsize=8, color=theme.muted)
    axes.spines[:].set_visible(False)
    return mesh


def _coast(axes: Axes, surface: Surface, theme: Theme) -> None:
    if has_coast(surface):
        height = np.ma.masked_invalid(_thinned(surface.elevation))
        lat, lon = _thinned(surface.lat), _thinned(surface.lon)
        # The sea's elevation is often exactly zero, so the contour is drawn half a metre above.
        for colour, width, alpha in ((theme.paper, 2.0, 0.6), (theme.ink, 0.7, 1.0)):
            axes.contour(lon, lat, height, levels=[0.5], colors=[colour], linewidths=width, alpha=alpha)


def _bar(fig: Figure, mesh: QuadMesh, panels: Any, units: str, theme: Theme, pointed: str) -> None:
    bar = fig.colorbar(mesh, ax=list(panels), extend=pointed, fraction=0.06, aspect=16, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(5))
    bar.ax.set_title(units, color=theme.muted, fontsize=8, loc="left", pad=5)


def _thinned(values: Field) -> Field:
    """Means over blocks of cells, so that no side is longer than `LONGEST`."""
    for axis, size in enumerate(values.shape):
        step = -(-size // LONGEST)
        if step == 1:
            continue
        starts = np.arange(0, size, step)
        present = np.isfinite(values)
        total = np.add.reduceat(np.where(present, values, 0), starts, axis=axis)
        count = np.add.reduceat(present.astype(np.int64), starts, axis=axis)
        values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return values


def _edges(centres: Field) -> Field:
    """Edges of cells, (n + 1,), from their centres (n,), which may be spaced unevenly."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _degrees(value: float, ends: str) -> str:
    return f"{abs(value):g}°{ends[int(value < 0)] if value else ''}"


def _range(fields: Sequence[Field]) -> tuple[float, float]:
    """The common scale of fields that are compared; (0, 1) where all values are missing."""
    known = np.concatenate([field[np.isfinite(field)] for field in fields])
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, [100 - SHOWN, SHOWN])
    return float(low), float(max(high, low + 1e-9))


def _widest(errors: Sequence[Field]) -> float:
    return _highest([np.abs(error) for error in errors])


def _highest(fields: Sequence[Field]) -> float:
    known = np.concatenate([field[np.isfinite(field)] for field in fields])
    return max(float(np.percentile(known, SHOWN)) if len(known) else 1.0, 1e-9)
