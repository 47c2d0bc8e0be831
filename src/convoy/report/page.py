"""One self-contained HTML page: text, then pictures and tables, in light and dark."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from convoy.report.template import PAGE
from convoy.report.themes import DARK, LIGHT, Theme


@dataclass(frozen=True)
class Picture:
    """A PNG for each theme; `alt` describes it in words. A wide one is never shrunk to the column."""

    light: bytes
    dark: bytes
    alt: str
    caption: str = ""
    wide: bool = False

    @property
    def width_px(self) -> int:
        """Width on a screen, half the pixels that the PNG's header states."""
        return int.from_bytes(self.light[16:20]) // 2


@dataclass(frozen=True)
class Table:
    """Rows of cells: text in the first `words` columns, then figures, some of several lines."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, then pictures and tables; a folded one opens on demand."""

    heading: str
    paragraphs: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    folded: bool = False


def picture(draw: Callable[[Theme], bytes], alt: str, caption: str = "", wide: bool = False) -> Picture:
    """Draw once for each theme."""
    return Picture(light=draw(LIGHT), dark=draw(DARK), alt=alt, caption=caption, wide=wide)


def render(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """The page as HTML: every text escaped, pictures embedded, neither scripts nor external resources."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["data_uri"] = _data_uri
    template = environment.from_string(PAGE)
    return template.render(title=title, lead=lead, sections=sections, light=LIGHT, dark=DARK) + "\n"


def _data_uri(png: bytes) -> Markup:
    # Base64 has no character that needs escaping in HTML; escaping megabytes of it is slow.
    return Markup("data:image/png;base64," + base64.b64encode(png).decode("ascii"))  # noqa: S704
