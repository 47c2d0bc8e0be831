"""The figure of the sweep over synthetic catalogues: what word order is worth, and which model gains it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from convoy.report.style import figure, png, quiet_axes, styled
from convoy.report.themes import Theme

MARKERS = ("s", "o", "v", "D", "^", "P")


@dataclass(frozen=True)
class Series:
    """A model in the figure: its column in the rows, its label, its index into a theme's series."""

    column: str
    label: str
    colour: int


# By verdict, as in the sweep's rows: the index of its colour in the series, and its label in lines.
VERDICTS = {
    "order carries nothing": (3, "order carries\nnothing"),
    "memorised pairs do": (2, "memorised\npairs do"),
    "room for learned order": (1, "room for\nlearned order"),
}
EXPLANATION = (
    "phrase fidelity: probability that a phrase has its category's own order of words\n"
    "word fidelity: probability that a signature word is one of its category's own\n"
    "synonyms: words that can fill each slot of a phrase\n"
)
SHADE = 0.26


def sweep_picture(rows: Sequence[Mapping[str, Any]], models: Sequence[Series], theme: Theme) -> bytes:
    """PNG: a row of panels per word fidelity, a column per number of synonyms, phrase fidelity as x axis.

    Every row holds synonyms, word_fidelity, phrase_fidelity, items, the Bayes accuracies order_blind and
    full, an accuracy in [0, 1] for each of at most six `models`, and a verdict, one of VERDICTS.
    """
    columns = sorted({row["synonyms"] for row in rows})
    lines = sorted({row["word_fidelity"] for row in rows}, reverse=True)
    width_in = max(4.0, 1.15 * len({row["phrase_fidelity"] for row in rows})) * max(2, len(columns))
    with styled(theme):
        fig = figure(width_in, 2.8 * len(lines) + 2.6)
        panels = fig.subplots(len(lines), len(columns), squeeze=False, sharex=True, sharey=True)
        for (line, column), axes in np.ndenumerate(panels):
            inside = (columns[column], lines[line])
            cells = [row for row in rows if (row["synonyms"], row["word_fidelity"]) == inside]
            _panel(axes, sorted(cells, key=lambda cell: cell["phrase_fidelity"]), models, theme)
        for axes in panels[-1]:
            axes.set_xlabel("phrase fidelity")
        _words(fig, models, f"{rows[0]['items']:,}", theme)
        return png(fig)


def _panel(axes: Axes, cells: Sequence[Mapping[str, Any]], models: Sequence[Series], theme: Theme) -> None:
    column = {key: np.array([cell[key] for cell in cells]) for key in cells[0]}
    x = np.arange(len(cells))
    _worth(axes, x, column, theme)
    axes.plot(x, column["full"], color=theme.ink, linewidth=1.7)
    axes.plot(x, column["order_blind"], color=theme.ink, linewidth=1.3, dashes=(4, 2.5))
    for model, marker in zip(models, MARKERS, strict=False):
        axes.plot(x, column[model.column], **_mark(model, marker, theme))
    for place, verdict in enumerate(column["verdict"]):
        series, words = VERDICTS[verdict]
        axes.text(
            place, -0.115, words, ha="center", va="center", fontsize=8, linespacing=1.15,
            fontweight="bold", color=theme.series[series],
        )  # fmt: skip
    synonyms, fidelity = cells[0]["synonyms"], cells[0]["word_fidelity"]
    spelling = "no synonyms" if synonyms == 1 else f"{synonyms} synonyms"
    axes.set_title(f"{spelling}, word fidelity {fidelity:g}", color=theme.ink)
    axes.set_xticks(x, [f"{value:g}" for value in column["phrase_fidelity"]])
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlim=(-0.45, len(cells) - 0.55), ylim=(-0.23, 1.03))
    quiet_axes(axes, "y")


def _worth(axes: Axes, x: np.ndarray, column: Mapping[str, np.ndarray], theme: Theme) -> None:
    """Area between both Bayes accuracies, in the colour of the nearest cell's verdict."""
    bounds = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    for left, right, verdict in zip(bounds[:-1], bounds[1:], column["verdict"], strict=True):
        fine = np.linspace(left, right, 3)
        low, high = (np.interp(fine, x, column[bayes]) for bayes in ("order_blind", "full"))
        axes.fill_between(fine, low, high, color=theme.series[VERDICTS[verdict][0]], alpha=SHADE, linewidth=0)


def _mark(model: Series, marker: str, theme: Theme) -> dict[str, Any]:
    return {
        "color": theme.series[model.colour],
        "marker": marker,
        "markersize": 6,
        "markeredgecolor": theme.paper,
        "linewidth": 1.3,
    }


def _words(fig: Figure, models: Sequence[Series], items: str, theme: Theme) -> None:
    fig.suptitle(
        "What word order is worth, by catalogue and model", fontsize=14, fontweight="bold", x=0.012, ha="left"
    )
    fig.supylabel(f"accuracy on the test split; catalogues of {items} items", fontsize=10, color=theme.muted)
    handles = [
        Line2D([], [], color=theme.ink, linewidth=1.7, label="Bayes accuracy, full (exact)"),
        Line2D(
            [],
            [],
            color=theme.ink,
            dashes=(4, 2.5),
            linewidth=1.3,
            label="Bayes accuracy, order-blind (exact)",
        ),
        *(
            Patch(facecolor=theme.series[series], alpha=SHADE, label=f"worth of order: {verdict}")
            for verdict, (series, _) in VERDICTS.items()
            if verdict != "order carries nothing"
        ),
        *(
            Line2D([], [], label=model.label, **_mark(model, marker, theme))
            for model, marker in zip(models, MARKERS, strict=False)
        ),
    ]
    legend = fig.legend(
        handles=handles, loc="outside lower center", ncols=3, labelcolor=theme.ink, title=EXPLANATION,
        title_fontsize=9, alignment="left", borderaxespad=1.2,
    )  # fmt: skip
    legend.get_title().set(color=theme.muted, linespacing=1.45)
