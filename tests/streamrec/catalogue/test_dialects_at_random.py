"""Files of mixed dialects by Python's csv module and by pandas: read back equal, or refused in one line.

CONVOY_FUZZ sets the number of files.
"""

import csv
import gzip
import io
import lzma
import os
import re
import zipfile

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue.source_io import read_source
from convoy.streamrec.catalogue.text_io import Dialect

NAMES = ("item_id", "title", "synopsis", "category")
CHARACTERS = [*"abc xyz", *"\"',;|\t\\\n\r", *"éß€", "日", "😀", "\x85", "\u2028"]
TEXT = st.text(st.sampled_from(CHARACTERS), max_size=12)
WORDS = st.sampled_from(
    ["Night Train", 'the "best"', "C:\\tapes\\", "a, b; c", '\\"', "\\N", "NA", "", "1e5"]
)
ROWS = st.lists(st.tuples(TEXT | WORDS, TEXT | WORDS, TEXT | WORDS), min_size=1, max_size=8)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "windows-1252", "utf-16-le")


@st.composite
def csv_dialects(draw):
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE]))
    doubled = draw(st.booleans())
    needs_escape = quoting == csv.QUOTE_NONE or not doubled
    return {
        "quoting": quoting,
        "doublequote": doubled,
        "escapechar": "\\" if needs_escape or draw(st.booleans()) else None,
        "lineterminator": draw(st.sampled_from(["\n", "\r\n", "\r"])),
    }


HEADERS = (NAMES, tuple(name.title() for name in NAMES), ("item_id", *(f" {name}" for name in NAMES[1:])))


def packed(ending, data):
    if ending == ".zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("a", data)
        return out.getvalue()
    if ending == ".zst":
        return pa.Codec("zstd").compress(data, asbytes=True)
    return {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[ending](data)


@st.composite
def files(draw):
    """Name, bytes, rows and the encoding to set, of a file as its writer made it."""
    rows = [(f"x{number}", *row) for number, row in enumerate(draw(ROWS))]
    kind = draw(st.sampled_from(["csv", "csv", "pandas csv", "pandas csv", "json", "jsonl"]))
    encoding = draw(st.sampled_from(ENCODINGS)) if "csv" in kind else "utf-8"
    set_encoding = encoding if draw(st.booleans()) or encoding == "utf-16-le" else "auto"
    names, ending = draw(st.sampled_from(HEADERS)), draw(st.sampled_from(["", ".gz", ".xz", ".zst", ".zip"]))
    delimiter, how = draw(st.sampled_from([",", ";", "\t", "|"])), draw(csv_dialects())
    out = io.StringIO(newline="")
    if kind == "csv":
        if draw(st.booleans()) and delimiter in ",;":
            out.write(f"sep={delimiter}{how['lineterminator']}")
        csv.writer(out, delimiter=delimiter, **how).writerows([names, *rows])
    frame = pd.DataFrame(rows, columns=names)
    if kind == "pandas csv":
        frame.to_csv(out, sep=delimiter, index=False, **how)
    elif kind.startswith("json"):
        frame.to_json(out, orient="records", lines=kind == "jsonl", force_ascii=draw(st.booleans()))
    suffix = draw(st.sampled_from([".csv", ".tsv"])) if "csv" in kind else f".{kind}"
    return kind, suffix, ending, out.getvalue(), rows, encoding, set_encoding, names[1].startswith(" ")


def read(path, dialect):
    """The rows, or the line that refuses them."""
    try:
        return read_source(path, {}, True, dialect).to_pylist(), ""
    except ConvoyError as error:
        return [], str(error).removeprefix(f"{path}: ")


@settings(
    max_examples=int(os.environ.get("CONVOY_FUZZ", "60")), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(files())
def test_read_back_equal_or_refused_in_one_line(tmp_path, file):
    kind, suffix, ending, content, rows, encoding, set_encoding, blanks = file
    try:
        data = content.encode(encoding)
    except UnicodeEncodeError:
        return
    path = tmp_path / f"a{suffix}{ending}"
    path.write_bytes(packed(ending, data))
    found, refusal = read(path, Dialect(encoding=set_encoding))
    event(f"{kind}: {re.sub('[0-9]+', 'N', refusal)[:50] or 'equal'}")
    assert "\n" not in refusal
    if refusal:
        return

    def known(value, last):
        # The csv module of Python 3.11 writes a CR at the end of a row without quotes, which is then a CRLF.
        value = value.removesuffix("\r") if last and "csv" in kind else value
        return value.lstrip(" ") if blanks and "csv" in kind else value

    expected = [[known(value, value is row[-1]) for value in row] for row in rows]
    got = [[known(value, value is row["category"]) for value in row.values()] for row in found]
    assert got == expected
