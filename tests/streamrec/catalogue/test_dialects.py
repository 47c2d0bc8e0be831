"""Text files as other programs write them: delimiters, quotes, encodings, compression, JSON arrays, names."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import zipfile
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue import source_io, text_io
from convoy.streamrec.catalogue.build import build
from convoy.streamrec.catalogue.params import CatalogueParams
from convoy.streamrec.catalogue.text_io import Dialect
from tests.conftest import ROOT

NAMES = ("item_id", "title", "synopsis", "category")
ROWS = [
    ("x1", "Ærø; a tale", 'said "hello, you"\nand left', "Drama|Crime"),
    ("x2", "", "C:\\tapes\\", "Crime"),
    ("x3", "N/A", "tab\there", "Drama"),
]
PLAIN = [("x1", "a", "b", "c"), ("x2", "d", "e", "f")]


def text(rows, **how):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", **how).writerows([NAMES, *rows])
    return out.getvalue()


def rows_of(path, columns=None, need_category=True, **dialect):
    table = source_io.read_source(path, columns or {}, need_category, Dialect(**dialect))
    return [tuple(row.values()) for row in table.to_pylist()]


def refusal(path, columns=None, **dialect):
    with pytest.raises(ConvoyError) as caught:
        rows_of(path, columns, **dialect)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.fixture(scope="module")
def cases() -> Path:
    """Small files of users, with what is right for each."""
    data = Path(os.environ.get("CONVOY_REAL_DATA", ROOT.parent / "shared" / "data"))
    folder = data.parent / "cases" / "catalogue"
    if not folder.is_dir():
        pytest.skip("no cases beside the real data")
    return folder


RIGHT = {
    "array.json": [("1", "A", "man", "x")],
    "backslash_quotes.csv": [("1", "A", 'he said "hello" to me', "x"), ("2", "B", "x", "y")],
    "header_blanks.csv": [("1", "A", "a man", "x"), ("2", "B", "a woman", "y")],
    "list_category.jsonl": [("1", "a", "man", "x"), ("2", "B", "x", "y")],
    "tabs.tsv": [("1", "A", "a man", "x"), ("2", "B", "a woman", "y"), ("3", "C", "a cop", "x")],
}


@pytest.mark.parametrize("name", RIGHT)
def test_cases_of_users_are_read(cases, name):
    assert rows_of(cases / name) == RIGHT[name]


def test_cases_of_users_that_need_a_word(cases):
    latin = cases / "semicolons_latin1.csv"
    expected = [("1", "Amélie", "Une fille à Paris", "drama"), ("2", "Été", "La mer, le soleil", "comedy")]
    assert rows_of(latin, encoding="latin-1") == rows_of(latin, encoding="windows-1252") == expected
    assert "not UTF-8: byte 36 is 0xe9" in refusal(latin)
    assert "set streamrec.catalogue.encoding, for example to windows-1252" in refusal(latin)
    assert refusal(cases / "quote_swallows_row.csv").startswith("row 1 has text after a closing quote")
    assert rows_of(cases / "one_word.csv", need_category=False) == [("1", "tavu", ""), ("2", "kebi", "")]


def test_titles_alone_are_a_catalogue(cases):
    path = cases / "title_and_genres.csv"
    columns = {"item_id": "movieId", "category": "genres"}
    table = source_io.read_source(path, columns, need_category=True)
    built, report = build(table, CatalogueParams(source=str(path), category_separator="|"))
    assert built["title"].to_pylist() == [
        "Harbour Lights (1995)", "Night Train (1996)", "(no genres listed) example"
    ]  # fmt: skip
    assert built["category"].to_pylist() == ["Drama", "Thriller", "(no genres listed)"]
    assert built["synopsis"].to_pylist() == ["", "", ""]
    assert report["empty_texts"] == 0
    assert [row[0] for row in rows_of(path, need_category=False)] == ["1", "2", "3"]
    ids, titles = source_io.notes(path, {})
    assert "column 'movieId' looks like ids: if so, map item_id to it" in ids
    assert titles == "no column 'synopsis' among movieId, title, genres: the texts are the titles alone"
    assert source_io.notes(path, columns)[1:] == []
    assert "no column 'synopsys' (synopsis)" in refusal(path, {**columns, "synopsis": "synopsys"})


@pytest.mark.parametrize(("content", "named"), [
    ("show_id,title,synopsis\na,x,y\nb,x,y\n", "show_id"),
    ("guid,ID ,title,synopsis\n1,a,x,y\n1,b,x,y\n", "ID "),
    ("userid,title,synopsis\n1,x,y\n1,x,y\n", None),
    ("paid,title,synopsis\n,x,y\n1,x,y\n", None),
    ("item_id,show_id,title,synopsis\n1,a,x,y\n", None),
])  # fmt: skip
def test_a_column_that_looks_like_ids_is_named(tmp_path, content, named):
    path = tmp_path / "a.csv"
    path.write_text(content)
    found = source_io.notes(path, {})
    assert [f"column '{named}' looks" in note for note in found] == ([True] if named else [])


def test_keys_that_appear_late_are_read(tmp_path):
    path = tmp_path / "a.jsonl"
    late = [{"title": "t", "category": "c"}] * 1500 + [{"title": "t", "synopsis": "s", "category": "c"}]
    path.write_text("\n".join(map(json.dumps, late)))
    assert rows_of(path)[-1] == ("1501", "t", "s", "c")
    path.write_text("\n".join(map(json.dumps, [*late, {**late[-1], "item_id": "mine"}])))
    assert refusal(path).startswith("column 'item_id': no id in rows 1, 2, 3,")
    some = [{**row, "item_id": f"i{number}"} for number, row in enumerate(late)]
    path.write_text("\n".join(map(json.dumps, some)))
    assert [row[0] for row in rows_of(path)] == [f"i{number}" for number in range(1501)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_header(tmp_path, delimiter):
    path = tmp_path / "a.csv"
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        path.write_text(text(ROWS, delimiter=delimiter, quoting=quoting), "utf-8")
        assert rows_of(path) == ROWS
    path.write_text("sep=" + delimiter + "\r\n" + text(ROWS, delimiter=delimiter), "utf-8-sig")
    assert rows_of(path) == ROWS


def test_any_delimiter_may_be_set(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(text(ROWS, delimiter="^"), "utf-8")
    assert "(delimiter: a semicolon" in refusal(path) or "(delimiter: a comma" in refusal(path)
    assert rows_of(path, delimiter="^") == ROWS
    path.write_text(text(ROWS, delimiter="\t"), "utf-8")
    assert rows_of(path, delimiter="tab") == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_found_by_their_marks(tmp_path, encoding):
    for name, content in (
        ("a.csv", text(ROWS)),
        ("a.json", json.dumps([dict(zip(NAMES, r, strict=True)) for r in ROWS])),
    ):
        (tmp_path / name).write_text(content, encoding)
        assert rows_of(tmp_path / name) == ROWS


def test_an_encoding_without_a_mark_is_set(tmp_path):
    path = tmp_path / "a.csv"
    for encoding in ("utf-16-le", "utf-16-be", "windows-1252", "cp037"):
        path.write_text(text(ROWS), encoding)
        assert rows_of(path, encoding=encoding) == ROWS
    path.write_bytes(b"item_id,title,synopsis,category\n1,a\x81,b,c\n")
    assert "not WINDOWS-1252: byte 35 is 0x81" in refusal(path, encoding="windows-1252")


def packed(kind: str, content: bytes) -> bytes:
    if kind == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/._a.csv", b"x")
            archive.writestr("folder/a.csv", content)
        return out.getvalue()
    if kind == "zst":
        return pa.Codec("zstd").compress(content, asbytes=True)
    return {"gz": gzip.compress, "xz": lzma.compress}[kind](content)


@pytest.mark.parametrize("kind", ["gz", "xz", "zst", "zip"])
def test_compressed_files_are_read_whatever_their_names(tmp_path, kind):
    content = packed(kind, text(ROWS).encode())
    for name in (f"a.csv.{kind}", "a.csv", f"A.CSV.{kind.upper()}"):
        (tmp_path / name).write_bytes(content)
        assert rows_of(tmp_path / name) == ROWS
    (tmp_path / "cut.csv").write_bytes(content[: len(content) // 2])
    assert "cannot be decompressed as " in refusal(tmp_path / "cut.csv")


def test_streams_in_a_row_and_zips_by_their_members(tmp_path):
    halves = text(ROWS).encode()[:40], text(ROWS).encode()[40:]
    for name, pack in (("a.csv.gz", gzip.compress), ("a.csv.xz", lzma.compress)):
        (tmp_path / name).write_bytes(b"".join(map(pack, halves)))
        assert rows_of(tmp_path / name) == ROWS
    (tmp_path / "a.zip").write_bytes(packed("zip", text(ROWS).encode()))
    assert rows_of(tmp_path / "a.zip") == ROWS
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        archive.writestr("a.csv", text(ROWS))
        archive.writestr("b.csv", text(ROWS))
    assert refusal(tmp_path / "two.csv.zip") == "expected a zip with one file; found 2 files"
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(text(ROWS).encode()))
    assert "unknown format '.bz2'" in refusal(tmp_path / "a.csv.bz2")


@pytest.mark.parametrize("kind", ["gz", "xz", "zst", "zip"])
def test_a_bomb_is_refused_before_it_is_read(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(text_io, "MOST_SMALL_BYTES", 1 << 20)
    path = tmp_path / f"a.csv.{kind}"
    path.write_bytes(packed(kind, text(PLAIN).encode() + b"\n" * (64 << 20)))
    assert "more than 200 times as large as its compressed file" in refusal(path)


def test_quotes_that_a_backslash_escapes(tmp_path):
    path = tmp_path / "a.csv"
    rows = [("x1", 'a "b" c', "d\\e", "f"), ("x2", '"all"', "two\nlines", 'g"')]
    how = {"escapechar": "\\", "doublequote": False}
    path.write_text(text(rows, quoting=csv.QUOTE_ALL, **how))
    assert rows_of(path) == rows_of(path, quotes="backslash") == rows
    path.write_text(text(rows, **how))
    assert rows_of(path) == rows_of(path, quotes="backslash") == rows
    # Without quotes round the field, `\"` may be text as well.
    path.write_text(text(rows[:1], **how).replace("d\\\\e", "d"))
    assert "has a backslash that is text or escapes" in refusal(path)
    path.write_text(text([("x1", "a\\\\b", "c", "d")]))
    assert refusal(path).startswith("row 1 has a backslash that is text or escapes what follows; set stream")
    assert rows_of(path, quotes="doubled") == [("x1", "a\\\\b", "c", "d")]
    assert rows_of(path, quotes="backslash") == [("x1", "a\\b", "c", "d")]


def test_quotes_that_are_text(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("\t".join(NAMES) + '\nx1\t"Rome" in Winter\t"\tc\nx2\ta\tb\td\n')
    assert "set streamrec.catalogue.quotes to none" in refusal(path)
    assert rows_of(path, quotes="none") == [("x1", '"Rome" in Winter', '"', "c"), ("x2", "a", "b", "d")]


def test_no_item_is_lost_where_one_quote_is_missing(tmp_path):
    rows = [(f"x{n}", f'a "{n}", b', "c\nd" if n % 2 else ", e", "f" if n % 3 else 'g "h') for n in range(9)]
    path = tmp_path / "a.csv"
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        whole = text(rows, quoting=quoting)
        places = [place for place, character in enumerate(whole) if character == '"']
        assert len(places) > 60
        for place in places:
            path.write_text(whole[:place] + whole[place + 1 :])
            assert refusal(path), place


def test_json_arrays(tmp_path, monkeypatch):
    from convoy.streamrec.catalogue import json_io

    path = tmp_path / "a.json"
    objects = [dict(zip(NAMES, row, strict=True)) for row in ROWS] * 50
    for block in (7, 1 << 20):
        monkeypatch.setattr(json_io, "_BLOCK", block)
        for indent in (None, 2):
            path.write_text("\n " + json.dumps(objects, indent=indent, ensure_ascii=False) + "\n", "utf-8")
            assert rows_of(path) == ROWS * 50


def test_the_first_label_of_a_list_counts(tmp_path):
    frame = pd.DataFrame({"item_id": ["1", "2", "3"], "title": "t", "synopsis": "s"})
    frame["category"] = [["", "Drama", "Crime"], [], None]
    frame.to_json(tmp_path / "a.json", orient="records")
    pl.DataFrame(frame.to_dict("list")).write_parquet(tmp_path / "a.parquet")
    frame.to_parquet(tmp_path / "b.parquet")
    for name in ("a.json", "a.parquet", "b.parquet"):
        assert [row[3] for row in rows_of(tmp_path / name)] == ["Drama", None, None]


def test_names_are_matched_without_blanks_and_case(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('ITEM_ID, Title, Synopsis ,  CATEGORY\nx1, "a, b", c, d\n')
    assert rows_of(path) == [("x1", "a, b", "c", "d")]
    path.write_text("show_ID,Name,synopsis,category\nx1,a,b,c\n")
    assert rows_of(path, {"item_id": "Show_id", "title": "name"}) == [("x1", "a", "b", "c")]
    path.write_text("item_id,title,Title,synopsis,category\nx1,a,b,c,d\n")
    assert rows_of(path) == [("x1", "a", "c", "d")]


@pytest.mark.parametrize("values", [
    {"delimiter": ",,"}, {"delimiter": "a"}, {"delimiter": '"'}, {"delimiter": ""},
    {"encoding": "utf-99"}, {"encoding": "rot13"}, {"encoding": "utf-7"}, {"encoding": "punycode"},
    {"quotes": "single"},
])  # fmt: skip
def test_params_of_a_dialect_are_checked(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        CatalogueParams(**values)
