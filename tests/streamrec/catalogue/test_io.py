"""Sources of all three formats as one table, and refusals in one line."""

import contextlib
import gzip
import json
import lzma
import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.streamrec.catalogue import io as catalogues
from convoy.streamrec.catalogue import source_io as sources

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


def test_rows_longer_than_a_block_come_in_order_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CSV_BLOCK_BYTES", (256, 1 << 20))
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
        monkeypatch.setattr(sources, "CSV_BLOCK_BYTES", (size, 1 << 20))
        assert rows_of(tmp_path, "plain.csv", CSV.encode()) == ROWS
        assert "row 4 is never closed" in refusal(tmp_path, "open.csv", CSV.encode() + b'x4,a,b,"c'), size


def test_ten_megabytes_in_one_field(tmp_path):
    long = b"x" * 10_000_000
    assert len(rows_of(tmp_path, "long.csv", HEADER + b"1,a," + long + b",c\n")[0]["synopsis"]) == len(long)
    line = json_lines({**ROW, "synopsis": long.decode()})
    assert len(rows_of(tmp_path, "long.jsonl", line)[0]["synopsis"]) == len(long)


def test_rows_past_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CSV_BLOCK_BYTES", (64, 256))
    monkeypatch.setattr(sources, "MAX_ROW_BYTES", 256)
    long = "x" * 2000
    assert "a row of more than" in refusal(tmp_path, "long.csv", HEADER + f"1,a,{long},c\n".encode())
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
        ("table.tsv", b"a\tb\n", "unknown format '.tsv'; expected .csv, .jsonl"),
        ("table", b"a,b\n", "unknown format ''"),
        (
            "case.csv",
            b"Item_ID,Title,synopsis,category\n1,a,b,c\n",
            "no column 'title'; its columns are Item_ID,",
        ),
        ("semicolon.csv", b"item_id;title\n1;a\n", "its columns are item_id;title"),
        ("wide.csv", WIDE + b"\n" + WIDE + b"\n", "c19 and 49,980 more; name the right ones"),
        ("twice.csv", b"item_id,title,title,synopsis,category\n1,a,b,c,d\n", "2 columns are called 'title'"),
        ("twice.parquet", parquet(Title=["x", "y"])[:-9], "cannot be read as parquet"),
        ("short.csv", HEADER + b"1,a,b,c\n\n2,d\n", "row 2 has 2 fields, the header 4"),
        ("single.csv", HEADER + b"1\n", "row 1 has 1 field, the header 4; put quotes round fields"),
        ("excess.csv", HEADER + b"1,a,b,c,d\n", "row 1 has 5 fields, the header 4"),
        ("open.csv", HEADER + b'1,a,b,c\n2,d,e,"f\n3,g,h,i\n', "quote opened in row 2 is never closed"),
        ("open.csv", HEADER + b'1,a,b,"c', "quote opened in row 1 is never closed"),
        ("open.csv", HEADER + b'1,a,"b,c\n2,d,e,f\n', "row 1 has 3 fields"),
        ("head.csv", b'"item_id,title,synopsis,category\n1,a,b,c\n', "no column 'title'"),
        ("long.csv", b"x" * 200_000 + b"\n1\n", "no header in the first line"),
        ("latin.csv", HEADER + b"1,a,caf\xe9,c\n", "not UTF-8: byte 39 is 0xe9"),
        ("cut.csv", HEADER + b"1,a,b,caf\xc3", "not UTF-8: byte 41 is 0xc3 (unexpected end of data)"),
        ("latin.jsonl", b'{"item_id": "\xff"}', "not UTF-8: byte 13 is 0xff"),
        ("wide.csv", HEADER.decode().encode("utf-16"), "UTF-16, not UTF-8"),
        (
            "gz.csv",
            gzip.compress(HEADER, mtime=0),
            "compressed with gzip, by its first bytes; decompress it first",
        ),
        ("xz.jsonl", lzma.compress(json_lines(ROW)), "compressed with xz, by its first bytes"),
        ("zip.csv", b"PK\3\4" + HEADER, "compressed with zip, by its first bytes"),
        ("wide.csv", HEADER.decode().encode("utf-16-le"), "a NUL at byte 1,"),
        ("null.csv", HEADER + b"1,a\0,b,c\n", "a NUL at byte 35,"),
        ("cut.jsonl", json_lines(ROW) + b'\n{"item_id": "2", "ti', "line 2 is not JSON"),
        ("two.jsonl", json_lines(ROW) * 2, "line 1 is not JSON: Extra data"),
        ("array.json", json.dumps([ROW]).encode(), "line 1 holds a JSON array; expected one object a line"),
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
        (
            "lists.parquet",
            parquet(category=[["a"], ["b"]]),
            "column 'category': expected strings; found list",
        ),
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


CLEAN = pa.table({**{name: [value] for name, value in ROW.items()}, "text_sha256": ["00"]})
FACTS = {"source": "a.csv", "source_sha256": None, "max_characters": 20}


def test_a_catalogue_comes_back_with_its_facts_and_is_a_source_itself(tmp_path):
    path = tmp_path / "catalogue.parquet"
    catalogues.write(path, CLEAN, FACTS)
    table, facts = catalogues.read(path)
    assert table.equals(CLEAN.cast(catalogues.CATALOGUE))
    assert facts == FACTS
    assert json.loads(pq.read_schema(path).metadata[b"convoy"]) == FACTS
    assert catalogues.read_source(path, {}, need_category=True).to_pylist() == [ROW]
    before = path.read_bytes()
    catalogues.write(path, CLEAN, FACTS)
    assert path.read_bytes() == before


def test_a_broken_catalogue_is_refused(tmp_path):
    path = tmp_path / "catalogue.parquet"
    with pytest.raises(ConvoyError, match="no such file"):
        catalogues.read(path)
    catalogues.write(path, CLEAN, FACTS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(ConvoyError, match="make it again"):
        catalogues.read(path)
    place = whole.index(b"\x28\xb5\x2f\xfd") + 10  # within the first zstd frame
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(ConvoyError, match="CRC checksum"):
        catalogues.read(path)
    pq.write_table(CLEAN.drop_columns("title"), path)
    with pytest.raises(ConvoyError, match="expected the columns item_id, title"):
        catalogues.read(path)
    pq.write_table(CLEAN.cast(catalogues.CATALOGUE), path)
    with pytest.raises(ConvoyError, match="no facts"):
        catalogues.read(path)


def test_truth_comes_back_and_has_no_rows_for_a_real_catalogue(tmp_path):
    path = tmp_path / "truth.parquet"
    catalogues.write_truth(path, None)
    assert catalogues.read_truth(path).equals(catalogues.TRUTH.empty_table())
    truth = pa.table({"item_id": ["1"], "order_blind": ["a"], "full": ["b"], "taste": [[0.5, 1.5]]})
    catalogues.write_truth(path, truth)
    assert catalogues.read_truth(path).to_pylist() == truth.to_pylist()


NO_SHA256: tuple[Any, ...] = ({"a": 1}, [], 1, "x", "A" * 64, "")
ODD: list[tuple[str, Any]] = [("source_sha256", value) for value in NO_SHA256]
ODD += [("max_characters", value) for value in (None, 0, "20", 1.5, True)]


@pytest.mark.parametrize("facts", [
    b"", b"{", b"null", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b"{}", b'{"source_sha256": null}',
    *(json.dumps({**FACTS, key: value}).encode() for key, value in ODD),
])  # fmt: skip
def test_odd_metadata_under_our_name_are_refused_in_one_line(tmp_path, facts):
    path = tmp_path / "catalogue.parquet"
    catalogues.write(path, CLEAN, FACTS)
    pq.write_table(pq.read_table(path).replace_schema_metadata({catalogues.FACTS: facts}), path)
    for reader in (lambda: catalogues.read(path), catalogues.Items(path, {}).sources):
        with pytest.raises(ConvoyError, match=r"^[^\n]*metadata 'convoy' are not the facts[^\n]*$"):
            reader()
