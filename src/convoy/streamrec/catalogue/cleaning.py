"""Cleaning of texts, counted by kind of mending; texts that are clean already take almost no time."""

import hashlib
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from html.entities import html5

import ftfy
import pyarrow as pa
import pyarrow.compute as pc

# Of an over-long text only the first 4 x max_characters are cleaned: tags and blanks may be removed from
# them, and a synopsis of 10 MB takes no longer than a long one.
LOOK_AT = 4
PASSES = 8  # one pass may reveal something (`&lt;b&gt;` becomes a tag) that the next one mends


def _mojibake() -> re.Pattern[str]:
    """Pattern that matches every text that was UTF-8 and was read in one of the encodings that ftfy knows.

    It matches the first and second byte of a character in that encoding, or Â and Ã before a byte that was
    lost. ftfy's own test takes some 70 µs per text, so it is applied only to texts that match.
    """

    def spelt(encoding: str, first: int, last: int) -> str:
        return "".join(re.escape(bytes([byte]).decode(encoding)) for byte in range(first, last + 1))

    encodings = ftfy.chardata.CHARMAP_ENCODINGS
    pairs = {(spelt(encoding, 0xC2, 0xF4), spelt(encoding, 0x80, 0xBF)) for encoding in encodings}
    pairs.add(("ÂÃ", " ?"))
    anyhow = "".join(sorted(first for first, _ in pairs))
    return re.compile(f"(?=[{anyhow}])(?:" + "|".join(f"[{a}][{b}]" for a, b in sorted(pairs)) + ")")


MOJIBAKE = _mojibake()
C1_CONTROL = re.compile(r"[\x80-\x9f]")
# White space among the control characters (\t \n \v \f \r \x1c-\x1f \x85) is handled with other white space.
# Zero-width joiners are kept: Persian, Indic scripts and emoji need them.
CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
    "\ufff9-\ufffb\ufffe\uffff]"
)
# Matches every ASCII text that the steps below may change.
SUSPICIOUS_ASCII = r"[\x00-\x1f\x7f]|<[!/A-Za-z]|&[#A-Za-z]|  |^ | $"

# A tag has a known name and valid attributes: `a < b`, `I <3 you`, `<Narrator>` are text.
_ATTRIBUTE = (
    r"\s++(?:[A-Za-z_:][\w:.-]*+\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>`]++)"
    r"|async|autoplay|checked|controls|defer|disabled|hidden|loop|muted|nowrap|open|required|selected)"
)


def _tags(names: str) -> re.Pattern[str]:
    return re.compile(rf"</?(?:{names})\b(?:{_ATTRIBUTE})*+\s*+/?>", re.IGNORECASE)


INLINE_TAG = _tags(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike"
    "|strong|sub|sup|time|tt|u|var|wbr"
)
BLOCK_TAG = _tags(
    "address|applet|area|article|aside|audio|base|basefont|blockquote|body|br|button|canvas|caption|center"
    "|col|colgroup|dd|details|dialog|dir|div|dl|dt|embed|fieldset|figcaption|figure|footer|form|frame"
    "|frameset|h[1-6]|head|header|hr|html|iframe|img|input|label|legend|li|link|main|map|menu|meta|nav"
    "|noframes|noscript|object|ol|optgroup|option|output|p|param|picture|pre|progress|rp|rt|ruby|script"
    "|section|select|source|style|summary|svg|table|tbody|td|template|textarea|tfoot|th|thead|title|tr"
    "|track|ul|video"
)
DECLARATION = re.compile(r"<!doctype\b[^<>]*>|<!\[CDATA\[|\]\]>", re.IGNORECASE)
HIDDEN_SPANS = tuple(
    (re.compile(opening, re.IGNORECASE), re.compile(closing, re.IGNORECASE))
    for opening, closing in (
        ("<!--", "-->"),
        (r"<script\b[^<>]*>", r"</script\s*>"),
        (r"<style\b[^<>]*>", r"</style\s*>"),
    )
)
AMPERSANDS = re.compile("&(?:amp;)++")
ENTITY = re.compile(r"&(#[0-9]{1,8}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def fix_encoding(text: str) -> str:
    """Mend UTF-8 that was read as a one-byte encoding ("cafÃ©") and Windows quotes read as Latin-1 (ftfy)."""
    if MOJIBAKE.search(text):
        text = ftfy.fix_encoding(text)
    return ftfy.fixes.fix_c1_controls(text) if C1_CONTROL.search(text) else text


def unescape(text: str) -> str:
    """Resolve HTML entities that end in a semicolon; `Tom & Jerry` and `?a=1&copy=2` stay as they are."""
    if "&" not in text:
        return text
    text = ENTITY.sub(_character, AMPERSANDS.sub("&", text))  # escaped once or many times over
    return ftfy.fixes.fix_surrogates(text)


def strip_html(text: str) -> str:
    """Remove comments, scripts, styles and tags, then resolve entities. Block tags become a blank."""
    if "<" in text:
        for opening, closing in HIDDEN_SPANS:
            text = _without_spans(text, opening, closing)
        text = BLOCK_TAG.sub(" ", INLINE_TAG.sub("", text))
        text = DECLARATION.sub("", text) if "<!" in text else text
    return unescape(text)


def remove_controls(text: str) -> str:
    """Remove terminal escapes, control characters and invisible marks (soft hyphen, byte order)."""
    if "\x1b" in text:
        text = ftfy.fixes.remove_terminal_escapes(text)
    return CONTROL.sub("", text)


def compose(text: str) -> str:
    """Unicode normal form NFC."""
    return unicodedata.normalize("NFC", text)


def squeeze_blanks(text: str) -> str:
    """Replace white space of any kind between words by one blank, and remove it at the ends."""
    return " ".join(text.split())


STEPS: dict[str, Callable[[str], str]] = {
    "encoding": fix_encoding,
    "html": strip_html,
    "control_characters": remove_controls,
    "not_nfc": compose,
    "white_space": squeeze_blanks,
}
KINDS = (*STEPS, "cut", "lost_characters")


def clean_text(text: str, max_characters: int) -> str:
    """Clean one text: encoding, HTML, control characters, NFC, white space, at most `max_characters`.

    Cleaning is idempotent, so a text keeps its hash when it is cleaned again.
    """
    return mend(text, max_characters)[0]


def mend(text: str, max_characters: int) -> tuple[str, set[str]]:
    """`clean_text`, and the kinds of mending (of `KINDS`) that changed the text."""
    kinds = set()
    if len(text) > LOOK_AT * max_characters:
        text = text[: LOOK_AT * max_characters]
        kinds.add("cut")
    for _ in range(PASSES):
        before = text
        for kind, step in STEPS.items():
            mended = step(text)
            if mended != text:
                kinds.add(kind)
                text = mended
        if len(text) > max_characters:
            text = text[:max_characters].rstrip()
            kinds.add("cut")
        if text == before:
            break
    if "\ufffd" in text:
        kinds.add("lost_characters")
    return text, kinds


def clean_column(array: pa.Array | pa.ChunkedArray, max_characters: int) -> tuple[pa.Array, dict[str, int]]:
    """Clean a string column and count the rows mended, by kind (the keys of `KINDS`); nulls become "".

    `lost_characters` counts rows that contain U+FFFD afterwards, where a character was lost. Only rows that
    may change are processed in Python; Arrow finds clean ASCII rows.
    """
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    array = array.cast(pa.string())
    # Given a Python value or list, Arrow imports pandas, 0.2 s, to look for a Series, so few are passed.
    array = array.fill_null("") if array.null_count else array
    suspicious = pc.or_(
        pc.invert(pc.string_is_ascii(array)), pc.match_substring_regex(array, SUSPICIOUS_ASCII)
    )
    if (pc.max(pc.binary_length(array)).as_py() or 0) > max_characters:
        suspicious = pc.or_(suspicious, pc.greater(pc.binary_length(array), max_characters))
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    cleaned = []
    for text in array.filter(suspicious).to_pylist():
        text, kinds = mend(text, max_characters)
        cleaned.append(text)
        counts.update(kinds)
    if cleaned:
        builder = pa.lib.StringBuilder()
        builder.append_values(cleaned)
        array = pc.replace_with_mask(array, suspicious, builder.finish())
    return array, dict(counts)


def text_of(title: str, synopsis: str) -> str:
    """The text of an item: its cleaned title and synopsis with a blank between; "" where both are empty."""
    return f"{title} {synopsis}".strip()


def texts_and_hashes(
    titles: pa.Array | Iterable[str], synopses: pa.Array | Iterable[str]
) -> tuple[list[str], list[str]]:
    """The texts of items and the hex SHA-256 of each text's UTF-8 bytes."""
    texts = [text_of(*pair) for pair in zip(_strings(titles), _strings(synopses), strict=True)]
    sha256 = hashlib.sha256
    return texts, [sha256(text.encode()).hexdigest() for text in texts]


def _strings(texts: pa.Array | Iterable[str]) -> Iterable[str]:
    return texts.to_pylist() if isinstance(texts, (pa.Array, pa.ChunkedArray)) else texts


def _without_spans(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """`text` without the spans from `opening` to `closing`; an opening that is never closed is text."""
    parts, position = [], 0
    while (start := opening.search(text, position)) and (end := closing.search(text, start.end())):
        parts += [text[position : start.start()], " "]
        position = end.end()
    return "".join([*parts, text[position:]])


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    if name[0] != "#":
        return html5.get(f"{name};", entity[0])
    number = int(f"0{name[1:]}", 0) if name[1] in "xX" else int(name[1:])
    # Some exports write an emoji as the two numbers of its UTF-16 form.
    return chr(number) if 0xD800 <= number <= 0xDFFF else html.unescape(entity[0])
