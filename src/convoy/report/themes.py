"""Colours of pages and figures, light and dark."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours of a page and its figures, as hex strings; those of `series` suit colour-blind readers.

    heat: colour map from zero to high; diverging: from negative over zero to positive; field: from low to
    high.
    """

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    series: tuple[str, ...]
    heat: tuple[str, ...]
    diverging: tuple[str, ...]
    field: tuple[str, ...]


# Dark to bright as in matplotlib's inferno, without its blackest and palest ends.
_FIELD = ("#1b0c42", "#4b0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#f6f0a0")


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1c2430",
    muted="#5d6776",
    grid="#e3e7ec",
    series=("#1f6fb5", "#d8741a", "#3f8f6e", "#8b93a1", "#a8518f", "#c2a21d"),
    heat=("#f6f8fa", "#cfe0f0", "#86b3dc", "#3d82c0", "#14528d"),
    diverging=("#14528d", "#6ea6d6", "#f6f8fa", "#e6a15f", "#99470a"),
    field=_FIELD,
)
DARK = Theme(
    name="dark",
    paper="#171b21",
    ink="#e7eaee",
    muted="#9aa5b3",
    grid="#2b323c",
    series=("#64a8e8", "#f0a050", "#72c2a0", "#939cab", "#d58fc0", "#dcc45a"),
    heat=("#1c2129", "#1d3a57", "#23629a", "#4d96d3", "#b5daf8"),
    diverging=("#a5d3f7", "#2f75b3", "#1c2129", "#b0661f", "#f8c58c"),
    field=_FIELD,
)
THEMES = (LIGHT, DARK)
