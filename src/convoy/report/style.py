"""The style of all figures, light and dark, and reproducible PNGs."""

import contextlib
import io
import math
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from PIL import Image

from convoy.report.themes import Theme

DPI = 160  # twice a screen's, so that pictures stay sharp there
FONT = "DejaVu Sans"  # ships with matplotlib, so that a picture is the same on every machine


@contextlib.contextmanager
def styled(theme: Theme) -> Iterator[None]:
    """Draw inside with matplotlib's own defaults and this theme; the user's matplotlibrc is ignored."""
    own: dict[str, Any] = {
        "font.family": [FONT],
        "font.size": 10.0,
        # A category may be called "$x_$" or "100%": names are never parsed as formulas.
        "text.parse_math": False,
        "text.color": theme.ink,
        "axes.labelcolor": theme.muted,
        "axes.edgecolor": theme.grid,
        "axes.facecolor": theme.paper,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.titlepad": 9.0,
        "axes.axisbelow": True,
        "figure.facecolor": theme.paper,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "xtick.color": theme.grid,
        "ytick.color": theme.grid,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "xtick.labelsize": 9.0,
        "ytick.labelsize": 9.0,
        "legend.frameon": False,
        "legend.fontsize": 9.0,
    }
    defaults: dict[str, Any] = {
        key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")
    }
    with mpl.rc_context(defaults | own):  # type: ignore[arg-type]
        yield


def figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of about that size in inches, outside pyplot's global state."""
    # A whole number of pixels: a last row of half a pixel would be half transparent.
    size = (math.ceil(32 * width_in) / 32, math.ceil(32 * height_in) / 32)
    fig = Figure(figsize=size, layout="constrained")
    fig.get_layout_engine().set(w_pad=0.1, h_pad=0.1, wspace=0.04)  # type: ignore[union-attr, call-arg]
    FigureCanvasAgg(fig)
    return fig


def png(fig: Figure) -> bytes:
    """The figure as PNG bytes, with neither date nor software in them."""
    fig.set_dpi(DPI)
    # Not `savefig`, which draws twice: its first time only serves to fit the paper to what is drawn.
    canvas = cast(FigureCanvasAgg, fig.canvas)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    # A palette of 256 colours makes it a third in size, with no visible difference.
    palette = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    palette.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def quiet_axes(axes: Axes, grid: str) -> None:
    """Leave only the grid lines of one direction ("x" or "y") and no ticks."""
    axes.grid(True, axis=grid)  # type: ignore[arg-type]
    axes.tick_params(length=0)
    axes.spines["bottom" if grid == "x" else "left"].set_visible(False)


def labels(names: Sequence[str], longest: int = 30) -> list[str]:
    """Names on one line, cut to `longest` characters; "no. 3" where the font lacks glyphs.

    Fonts installed on a machine may have more scripts, but then pictures would differ between machines.
    """
    drawn = []
    for number, name in enumerate(names, start=1):
        line = " ".join("".join(c if unicodedata.category(c)[0] != "C" else " " for c in name).split())
        if not line or any(ord(character) not in _glyphs() for character in line):
            line = f"no. {number}"
        drawn.append(line if len(line) <= longest else line[: longest - 1].rstrip() + "…")
    return drawn


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(FT2Font(findfont(FontProperties(family=FONT))).get_charmap())
