import base64
import re
from html.parser import HTMLParser

import pytest

from convoy.report.page import Picture, Section, Table, picture, render
from convoy.report.style import figure, png
from convoy.report.themes import DARK, LIGHT

HOSTILE = "<script>alert('1')</script> & \"co\""


class Reader(HTMLParser):
    """Tags with their attributes, open tags that were never closed, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "source"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def html():
    shown = Picture(b"light png", b"dark png", alt=HOSTILE, caption=HOSTILE, wide=True)
    tables = [Table([HOSTILE, "n"], [[HOSTILE, "1\n0 to 2"], ["b", "–"]])]
    return render(
        HOSTILE,
        [HOSTILE, "Second."],
        [Section(HOSTILE, [HOSTILE], [shown], tables), Section("Folded", ["Hidden"], folded=True)],
    )


def test_every_text_is_escaped_and_shown(html):
    reader = Reader(html)
    assert reader.open == []
    assert "script" not in {tag for tag, _ in reader.tags}
    # Title twice, a sentence, a heading, a paragraph, a caption, a header and a cell.
    assert "".join(reader.words).count(HOSTILE) == 8
    assert reader.named("img")[0]["alt"] == HOSTILE


def test_the_page_stands_alone(html):
    reader = Reader(html)
    addresses = [
        value for _, attrs in reader.tags for key, value in attrs.items() if key in {"src", "srcset", "href"}
    ]
    assert len(addresses) == 2
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert not re.search(r"https?:|url\(|@import|<link", html)


def test_pictures_follow_the_theme(html):
    reader = Reader(html)
    (source,), (img,) = reader.named("source"), reader.named("img")
    assert source["media"] == "(prefers-color-scheme: dark)"
    assert base64.b64decode(source["srcset"].split(",")[1]) == b"dark png"
    assert base64.b64decode(img["src"].split(",")[1]) == b"light png"
    assert f"--paper: {LIGHT.paper};" in html
    assert f"--paper: {DARK.paper};" in html


def test_a_page_fits_phones_and_folds(html):
    reader = Reader(html)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in reader.named("meta")
    assert len(reader.named("details")) == len(reader.named("summary")) == 1
    assert [div["class"] for div in reader.named("div")] == ["lead", "scroll wide", "scroll"]
    assert [cell.get("class") for cell in reader.named("td")] == ["words", None, "words", None]


def test_words_come_first(html):
    words = [word.strip() for word in Reader(html).words if word.strip()]
    body = words[words.index(HOSTILE, 1) + 1 :]
    assert body[:2] == [HOSTILE, "Second."]


def test_a_picture_is_drawn_once_for_each_theme():
    shown = picture(lambda theme: theme.name.encode(), "words", wide=True)
    assert (shown.light, shown.dark, shown.alt, shown.wide) == (b"light", b"dark", "words", True)


def test_a_wide_picture_has_half_its_pixels_on_screen():
    fig = figure(9.0, 2.0)
    assert Picture(png(fig), b"", alt="").width_px == 9 * 160 // 2
    html = render("t", [], [Section("s", pictures=[Picture(png(fig), png(fig), alt="", wide=True)])])
    assert Reader(html).named("div")[1] == {"class": "scroll wide", "style": "--width: 720px"}
