"""Sources of all formats as one table, and refusals in one line."""

import contextlib
import gzip
import json
import lzma
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue import csv_io, json_io, plain_csv_io
from convoy.streamrec.catalogue import source_io as catalogues
from convoy.streamrec.catalogue.text_io import Source

HEADER = b"item_id,title,synopsis,category\n"
ROW = {"item_id": "1", "title": "a", "synopsis": "b", "category": "c"}
ROWS = [
    {"item_id": "x1", "title": "Ærø", "synopsis": 'two\nlines, and "quotes"', "category": "Drama"},
    {"item_id": "x2", "title": "", "synopsis": "日本語", "category": "Crime"},
    {"item_id": "x3", "title": "NA", "synopsis": "null", "category": "Drama"},
]
CSV = (
    "item_id,title,synopsis,category\n"
    'x1,Ærø,"two\nlines, and ""quotes""",Drama\n'
    "x2,,日本語,Crime\n"
    "\n"
    "x3,NA,null,Drama\n"
)


def json_lines(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def parquet(**columns):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({**{name: [value, value] for name, value in ROW.items()}, **columns}), sink)
    return sink.getvalue().to_pybytes()


def rows_of(folder, name, data, columns=None, need_category=True):
    (folder / name).write_bytes(data)
    return catalogues.read_source(folder / name, columns or {}, need_category).to_pylist()


def refusal(folder, name, data, columns=None, need_category=True):
    with pytest.raises(ConvoyError) as caught:
        rows_of(folder, name, data, columns, need_category)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}{os.sep}")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain.csv", CSV.encode()),
        ("mark.csv", CSV.encode("utf-8-sig")),
        ("unended.csv", CSV.rstrip().encode()),
        ("UPPER.CSV", CSV.encode()),
        ("plain.jsonl", json_lines(*ROWS)),
        ("mark.ndjson", b"\xef\xbb\xbf" + json_lines(*ROWS) + b"\r\n\r\n"),
        ("plain.parquet", parquet(**{name: [row[name] for row in ROWS] for name in ROW})),
        (
            "types.parquet",
            parquet(
                item_id=pa.array([row["item_id"] for row in ROWS], pa.large_string()),
                title=pa.array([row["title"].encode() for row in ROWS], pa.binary()),
                synopsis=pa.array([row["synopsis"] for row in ROWS], pa.string_view()),
                category=pa.array([row["category"] for row in ROWS]).dictionary_encode(),
            ),
        ),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path, name, data):
    assert rows_of(tmp_path, name, data) == ROWS


def test_crlf_and_cr_end_rows(tmp_path):
    plain = HEADER + b"1,a,b,c\n2,d,e,f\n"
    for ending in (b"\n", b"\r\n", b"\r"):
        assert len(rows_of(tmp_path, "ends.csv", plain.replace(b"\n", ending))) == 2
    quoted = rows_of(tmp_path, "quoted.csv", HEADER + b'1,a,"b\r\nc",d\r\n')
    assert quoted[0]["synopsis"] == "b\r\nc"


def test_columns_are_renamed_others_left_alone(tmp_path):
    data = b"show,\xc3\xa9,title,listed_in,synopsis\ns1,7,T,Drama,S\n"
    columns = {"item_id": "show", "category": "listed_in"}
    expected = [{"item_id": "s1", "title": "T", "synopsis": "S", "category": "Drama"}]
    assert rows_of(tmp_path, "named.csv", data, columns) == expected
    dotted = parquet(**{"a.b": ["x", "y"], "a": [{"b": "no"}, {"b": "no"}]})
    assert [row["title"] for row in rows_of(tmp_path, "dot.parquet", dotted, {"title": "a.b"})] == ["x", "y"]


def test_without_ids_the_row_number_is_the_id(tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_bytes(json_lines(*[{"title": "t", "synopsis": "s"}] * 40))
    batches = list(catalogues.iter_source(path, {}, need_category=False, batch_rows=16))
    assert [len(batch) for batch in batches] == [16, 16, 8]
    ids = [value for batch in batches for value in batch["item_id"].to_pylist()]
    assert ids == [str(number) for number in range(1, 41)]


def test_nulls_and_numbers(tmp_path):
    line = {"item_id": 12345678901234567890123, "title": None, "category": 7}
    text = json_lines({**ROW, **line}).replace(b'"b"', b"1.50")
    expected = [{"item_id": "12345678901234567890123", "title": None, "synopsis": "1.50", "category": "7"}]
    assert rows_of(tmp_path, "numbers.jsonl", text) == expected
    data = parquet(item_id=[1.0, 2.0], title=pa.nulls(2), category=[5, None])
    first, second = rows_of(tmp_path, "numbers.parquet", data)
    assert first == {"item_id": "1", "title": None, "synopsis": "b", "category": "5"}
    assert (second["item_id"], second["category"]) == ("2", None)


def test_a_key_left_out_is_null_and_half_a_surrogate_pair_is_replaced(tmp_path):
    data = json_lines(ROW, {"item_id": "2"}) + b'\n{"item_id": "3", "title": "a\\ud83db"}'
    _, second, third = rows_of(tmp_path, "gaps.jsonl", data)
    assert second == {"item_id": "2", "title": None, "synopsis": None, "category": None}
    assert third["title"] == "a\ufffdb"


def test_without_need_the_category_is_not_read(tmp_path):
    data = parquet(category=[["no"], ["strings"]])
    assert set(rows_of(tmp_path, "list.parquet", data, need_category=False)[0]) == set(ROW) - {"category"}
    assert "no column 'category'" in refusal(tmp_path, "none.csv", b"item_id,title,synopsis\n1,a,b\n")


def test_long_rows_come_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_io, "BATCH_CHARACTERS", 1000)
    monkeypatch.setattr(plain_csv_io, "_BLOCK", 256)
    ids = [str(number) for number in range(200)]
    lines = [f"{number},t,{'y' * (5000 if number == '150' else 20)},c\n" for number in ids]
    (tmp_path / "long.csv").write_bytes(HEADER + "".join(lines).encode())
    batches = list(catalogues.iter_source(tmp_path / "long.csv", {}, True, batch_rows=7))
    assert [value for batch in batches for value in batch["item_id"].to_pylist()] == ids
    assert max(len(batch) for batch in batches) == 7
    wrong = HEADER + "".join(lines).encode() + b"no,more\n"
    assert "row 201 has 2 fields, the header 4" in refusal(tmp_path, "wrong.csv", wrong)


def test_blocks_may_end_anywhere(tmp_path, monkeypatch):
    for size in range(20, 200, 3):
        monkeypatch.setattr(plain_csv_io, "_BLOCK", size)
        assert rows_of(tmp_path, "plain.csv", CSV.encode()) == ROWS
        assert "row 4 is never closed" in refusal(tmp_path, "open.csv", CSV.encode() + b'x4,a,b,"c'), size
        (tmp_path / "odd.csv").write_bytes(CSV.encode() + b'x4,a "b" c,d,e\n')
        assert plain_csv_io.is_plain(Source(tmp_path / "plain.csv"), ",")
        assert not plain_csv_io.is_plain(Source(tmp_path / "odd.csv"), ",")


def test_both_readers_of_csv_agree(tmp_path, monkeypatch):
    content = HEADER + CSV.encode().partition(b"\n")[2] * 40
    for wild in (b"", b'z,"","",\r\n', b'z,"""","\n",","\n\n'):
        path = tmp_path / "a.csv"
        path.write_bytes(b"\n" * len(wild) + content + wild)
        assert plain_csv_io.is_plain(Source(path), ",")
        found = [catalogues.read_source(path, {}, True).to_pylist()]
        with monkeypatch.context() as patched:
            patched.setattr(csv_io, "is_plain", lambda *_: False)
            found.append(catalogues.read_source(path, {}, True).to_pylist())
        assert found[0] == found[1]
        assert len(found[0]) == 120 + bool(wild)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blocks_end_between_rows_alone(tmp_path, monkeypatch, end):
    """Without the other reader, which would take over where a block of half a row is refused."""
    content = HEADER.decode().rstrip("\n") + end + f'x,"a{end}b","{end}"",{end}",c{end}' * 30 + 'y,t,s,"d"'
    (tmp_path / "plain.csv").write_text(content, newline="")
    names = ["item_id", "title", "synopsis", "category"]
    chosen = {name: name for name in names}
    rows = [("x", f"a{end}b", f'{end}",{end}', "c")] * 30 + [("y", "t", "s", "d")]
    for size in range(40, 200, 3):
        monkeypatch.setattr(plain_csv_io, "_BLOCK", size)
        source = Source(tmp_path / "plain.csv")
        batches = plain_csv_io.plain_batches(source, names, chosen, ",", 0)
        assert [tuple(row[name] for name in names) for batch in batches for row in batch.to_pylist()] == rows


def test_blocks_keep_a_mark_that_begins_a_row(tmp_path, monkeypatch):
    rows = [
        {"item_id": f"\ufeff{number}", "title": "t", "synopsis": "s", "category": "c"} for number in range(9)
    ]
    lines = "".join(
        ",".join(row[name] for name in ("item_id", "title", "synopsis", "category")) + "\n" for row in rows
    )
    monkeypatch.setattr(plain_csv_io, "_BLOCK", 64)
    assert rows_of(tmp_path, "marks.csv", b"\xef\xbb\xbf" + HEADER + lines.encode()) == rows


def test_arrow_reads_memory_of_its_own(tmp_path):
    """Its threads hang or abort a process that exits while they free a Python object, as embed did."""
    (tmp_path / "plain.csv").write_bytes(CSV.encode())
    blocks = list(plain_csv_io._whole_rows(Source(tmp_path / "plain.csv")))
    assert b"".join(block.to_pybytes() for block in blocks) == CSV.encode()
    assert all(block.is_mutable for block in blocks), "Arrow may write its own memory, not that of bytes"


def test_ten_megabytes_in_one_field(tmp_path):
    long = b"x" * 10_000_000
    assert len(rows_of(tmp_path, "long.csv", HEADER + b"1,a," + long + b",c\n")[0]["synopsis"]) == len(long)
    line = json_lines({**ROW, "synopsis": long.decode()})
    assert len(rows_of(tmp_path, "long.jsonl", line)[0]["synopsis"]) == len(long)


def test_rows_past_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_csv_io, "_BLOCK", 256)
    monkeypatch.setattr(csv_io, "MAX_ROW_CHARACTERS", 256)
    monkeypatch.setattr(json_io, "MAX_ROW_CHARACTERS", 256)
    long = "x" * 2000
    assert "a row of more than" in refusal(tmp_path, "long.csv", HEADER + f"1,a,{long},c\n".encode())
    quoted = '"' + "x\n" * 1000 + '"'
    assert "a row of more than" in refusal(tmp_path, "long.csv", HEADER + f"1,a,{quoted},c\n".encode())
    assert "line 2 is longer than" in refusal(
        tmp_path, "long.jsonl", json_lines(ROW, {**ROW, "synopsis": long})
    )


WIDE = ",".join(f"c{number}" for number in range(50_000)).encode()
WHOLE = parquet()


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("empty.csv", b"", "empty.csv: an empty file (0 bytes)"),
        ("empty.parquet", b"", "0 bytes"),
        ("header.csv", HEADER, "no rows"),
        ("header.csv", HEADER.rstrip(), "no rows"),
        ("blanks.csv", HEADER + b"\n\r\n\n", "no rows"),
        ("nothing.csv", b"\n\n", "its columns are none"),
        ("blanks.jsonl", b"\n  \n", "no rows"),
        ("none.parquet", parquet(**{name: pa.array([], pa.string()) for name in ROW}), "no rows"),
        ("table.tsv", b"a\tb\n", "its columns are a, b (delimiter: a tab, encoding: UTF-8)"),
        ("table.xls", b"a\tb\n", "unknown format '.xls'; expected .csv, .tsv, .json"),
        ("table.gz", gzip.compress(HEADER, mtime=0), "unknown format '.gz'"),
        ("table.parquet.gz", gzip.compress(WHOLE, mtime=0), "compressed Parquet; decompress it"),
        ("table", b"a,b\n", "unknown format ''"),
        ("case.csv", b"Title,TITLE,category\n1,a,b\n", "2 columns are called 'title': Title, TITLE"),
        ("semicolon.csv", b"item_id;titel\n1;a\n", "its columns are item_id, titel (delimiter: a semi"),
        ("wide.csv", WIDE + b"\n" + WIDE + b"\n", "c19 and 49,980 more (delimiter: a comma, "),
        ("twice.csv", b"item_id,title,title,synopsis,category\n1,a,b,c,d\n", "2 columns are called 'title'"),
        ("twice.parquet", parquet(Title=["x", "y"])[:-9], "cannot be read as parquet"),
        ("short.csv", HEADER + b"1,a,b,c\n\n2,d\n", "row 2 has 2 fields, the header 4"),
        ("single.csv", HEADER + b"1\n", "row 1 has 1 field, the header 4; put quotes round fields"),
        ("excess.csv", HEADER + b"1,a,b,c,d\n", "row 1 has 5 fields, the header 4"),
        ("open.csv", HEADER + b'1,a,b,c\n2,d,e,"f\n3,g,h,i\n', "quote opened in row 2 is never closed"),
        ("open.csv", HEADER + b'1,a,b,"c', "quote opened in row 1 is never closed"),
        ("open.csv", HEADER + b'1,a,"b,c\n2,d,e,f\n', "quote opened in row 1 is never closed"),
        ("head.csv", b'"item_id,title,synopsis,category\n1,a,b,c\n', "a quote opened in the header is never"),
        ("long.csv", b"x" * 200_000 + b"\n1\n", "its columns are xxxxxxxxxx"),
        ("after.csv", HEADER + b'1,a,b,c\n2,"d"e,f,g\n', "row 2 has text after a closing quote"),
        ("ends.csv", HEADER + b"1,a,b,c\n2,a,b,c\r3,a,b,c\n", "row 2 ends in CR, those before in LF"),
        ("latin.csv", HEADER + b"1,a,caf\xe9,c\n", "not UTF-8: byte 39 is 0xe9"),
        ("cut.csv", HEADER + b"1,a,b,caf\xc3", "not UTF-8: byte 41 is 0xc3 (unexpected end of data)"),
        ("latin.jsonl", b'{"item_id": "\xff"}', "not UTF-8: byte 13 is 0xff"),
        ("wide.csv", HEADER.decode().encode("utf-16"), "no rows"),
        (
            "wide.csv",
            HEADER.decode().encode("utf-16")[:-1],
            "not UTF-16: byte 64 is 0x0a (truncated data); save it as",
        ),
        ("gz.csv", gzip.compress(HEADER, mtime=0)[:-9], "cannot be decompressed as gzip"),
        ("xz.jsonl", lzma.compress(json_lines(ROW))[:-9], "cannot be decompressed as xz: it ends before"),
        ("zip.csv", b"PK\3\4" + HEADER, "cannot be decompressed as zip"),
        ("wide.csv", HEADER.decode().encode("utf-16-le"), "a NUL at byte 1,"),
        ("null.csv", HEADER + b"1,a\0,b,c\n", "a NUL at byte 35,"),
        ("cut.jsonl", json_lines(ROW) + b'\n{"item_id": "2", "ti', "line 2 is not JSON"),
        ("two.jsonl", json_lines(ROW) * 2, "line 1 is not JSON: Extra data"),
        ("array.json", json.dumps([ROW, 7]).encode(), "item 2 holds a JSON single value"),
        ("array.json", json.dumps([ROW]).encode()[:-1], "the array is not closed after item 1"),
        ("array.json", json.dumps([ROW]).encode()[:-3], "item 1 is not JSON"),
        ("array.json", json.dumps([ROW]).encode() + b"x", "text after the array"),
        ("array.json", json.dumps([ROW]).encode()[:-1] + b";", "';' follows item 1"),
        ("array.json", b"[]", "no rows"),
        ("single.jsonl", b"7\n", "line 1 holds a JSON single value"),
        ("deep.jsonl", b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "line 1 is nested too deeply"),
        ("list.jsonl", json_lines(ROW, {**ROW, "title": ["x"]}), "line 2, column 'title': expected a string"),
        ("empty.jsonl", b"{}\n", "its columns are none"),
        ("noid.csv", HEADER + b"1,a,b,c\n ,a,b,c\n,a,b,c\n", "column 'item_id': no id in rows 2, 3"),
        ("noid.parquet", parquet(item_id=["x", None]), "column 'item_id': no id in row 2"),
        ("cut.parquet", WHOLE[:-20], "cannot be read as parquet"),
        ("cut.parquet", WHOLE[:40] + WHOLE[60:], "cannot be read as parquet"),
        ("text.parquet", HEADER, "cannot be read as parquet"),
        ("half.parquet", parquet(item_id=[1.5, 2.0]), "column 'item_id', rows 1 to 2: Float value 1.5"),
        ("bytes.parquet", parquet(title=[b"a", b"\xff"]), "column 'title', rows 1 to 2: Invalid UTF8"),
        ("flags.parquet", parquet(title=[True, False]), "column 'title': expected strings; found bool"),
        ("lists.parquet", parquet(title=[["a"], ["b"]]), "column 'title': expected strings; found list"),
        ("pairs.parquet", parquet(category=[[1], [2]]), "column 'category': expected strings; found list"),
    ],
)
def test_refused_in_one_line(tmp_path, name, data, expected):
    message = refusal(tmp_path, name, data)
    assert message.startswith(f"{name}: ")
    assert expected in message


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"item_id": "show_id"}, "no column 'show_id' (item_id); its columns are item_id, title"),
        ({"synopsis": "text", "title": "name"}, "no column 'name' (title), 'text' (synopsis)"),
        ({"title": "synopsis"}, "column 'synopsis' is mapped to both title and synopsis"),
        ({"titel": "title"}, "unknown key 'titel'"),
    ],
)
def test_wrong_columns_are_refused(tmp_path, columns, expected):
    assert expected in refusal(tmp_path, "good.csv", HEADER + b"1,a,b,c\n", columns)


def test_strings_that_are_not_utf8_within_parquet(tmp_path):
    offsets, broken = pa.py_buffer(b"\0\0\0\0\1\0\0\0\3\0\0\0"), pa.py_buffer(b"a\xff\xfe")
    data = parquet(category=pa.StringArray.from_buffers(2, offsets, broken))
    assert "column 'category', rows 1 to 2: Invalid UTF8" in refusal(tmp_path, "broken.parquet", data)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, expected in {
        "folder.csv": "a folder; name a file",
        "pipe.csv": "not a regular file",
        "missing.csv": "no such file",
        "n" * 300 + ".csv": "name too long",
    }.items():
        with pytest.raises(ConvoyError, match=expected):
            catalogues.iter_source(tmp_path / name, {}, need_category=True)


def test_every_flipped_byte_of_a_parquet_is_read_or_refused(tmp_path):
    for place in range(0, len(WHOLE), 5):
        flipped = bytearray(WHOLE)
        flipped[place] ^= 0xFF
        # Page checksums are optional, so some flips go unseen; what matters is that nothing else is raised.
        with contextlib.suppress(ConvoyError):
            rows_of(tmp_path, "flipped.parquet", bytes(flipped))
