"""Word vectors in every format, and files that are broken, of another dimension or too large."""

import gzip
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from convoy.core.errors import ConvoyError
from convoy.streamrec.classification.models.params import BowParams, TextCNNParams
from convoy.streamrec.classification.networks import vectors_io
from convoy.streamrec.classification.networks.vectors_io import pretrained, read
from tests.streamrec.classification.networks.word_vectors import FORMATS, WORDS, write

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "the": 2, "caf\u00e9": 3, "absent": 4, "paris": 5, "road": 6}
FOUND = ["the", "caf\u00e9", "paris", "road"]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_same_vectors(tmp_path, form):
    found = read(write(tmp_path, form), VOCABULARY, 3)
    assert found.ids.tolist() == [VOCABULARY[word] for word in FOUND]
    assert found.rows.dtype == np.float32
    expected = [WORDS["Paris" if word == "paris" else word] for word in FOUND]
    np.testing.assert_array_equal(found.rows, np.float32(expected))


def test_the_word_itself_counts_before_its_lower_cased_form_and_the_first_of_equal_ones(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("THE 1 1\nThe 2 2\nthe 3 3\nthe 4 4\nROAD 5 5\nRoad 6 6\n[UNK] 7 7\n")
    found = read(path, VOCABULARY, 2)
    assert found.ids.tolist() == [2, 6]
    assert found.rows.tolist() == [[3, 3], [5, 5]]


def test_words_with_blanks_and_bytes_that_are_no_text_are_passed_over(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_bytes(b"the 1 2\n. . . 3 4\nat a@b.c 1 1\n\xff\xfe 5 6\nroad 7 8 \r\n")
    assert read(path, VOCABULARY, 2).rows.tolist() == [[1, 2], [7, 8]]


BROKEN = {
    "few numbers": ("the 1 2\nroad 1\n", "line 2: expected a word and 2 numbers; found 2 fields"),
    "many numbers": ("the 1 2\nroad 1 2 3\n", "line 2: expected a word and 2 numbers; found 4 fields"),
    "no number": ("the 1 2\nroad 1 x\n", r"line 2: expected numbers; found could not convert .*'x'"),
    "not finite": ("the 1 nan\n", r"line 1: expected numbers from -1e\+10 to 1e\+10"),
    "too large": ("the 1 1e30\n", r"line 1: expected numbers from -1e\+10 to 1e\+10"),
    "blank line": ("the 1 2\n\nroad 1 2\n", "line 2: expected a word and 2 numbers; found 0 fields"),
    "blank line first": ("\nthe 1 2\n", "line 1: expected vectors of 2 numbers; found 0$"),
    "cut": ("3 2\nthe 1 2\nroad 1 2\n", "line 3: expected 3 words, as line 1 states; found 2"),
    "header alone": ("3 2\n", "line 1: expected 3 words, as line 1 states; found 0"),
    "other dimension, header": (
        "1 3\nthe 1 2 3\n",
        r"line 1: expected vectors of 2 numbers; found 3; set streamrec\.models\.textcnn\.embedding_dim",
    ),
    "other dimension": ("the 1 2 3\n", "line 1: expected vectors of 2 numbers; found 3; set streamrec"),
    "none of the words": ("zebra 1 2\n", "has none of the 5 words of the vocabulary"),
    "empty": ("", "an empty file; expected word vectors as text"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("packed", [False, True])
def test_broken_files_are_refused_in_one_line_with_its_number(tmp_path, text, message, packed):
    path = tmp_path / ("vectors.txt.gz" if packed else "vectors.txt")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    with pytest.raises(ConvoyError, match=rf"^[^\n]*vectors\.txt[^\n]*{message}[^\n]*$"):
        read(path, VOCABULARY, 2)


def test_word2vec_in_binary_is_refused(tmp_path):
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"1 3\nthe " + np.ones(3, np.float32).tobytes())
    with pytest.raises(
        ConvoyError, match=r"line 2: expected a word and 3 numbers; .*only text formats are read"
    ):
        read(path, VOCABULARY, 3)


def test_a_cut_or_false_gz_is_refused(tmp_path):
    whole = gzip.compress("".join(f"word{n} {n} 2\n" for n in range(5000)).encode())
    for data in (whole[:-2000], b"the 1 2\n"):
        (tmp_path / "vectors.txt.gz").write_bytes(data)
        with pytest.raises(ConvoyError, match=r"line \d+: a \.gz file that is cut or broken"):
            read(tmp_path / "vectors.txt.gz", VOCABULARY, 2)


def test_a_gz_that_expands_without_end_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "vectors.txt.gz"
    path.write_bytes(gzip.compress(b"the 1 2 " + b"0" * 10_000_000))
    with pytest.raises(ConvoyError, match="line 1: longer than 262,144 bytes"):
        read(path, VOCABULARY, 2)
    path.write_bytes(gzip.compress(b"zebra 1 2\n" * 200_000))
    monkeypatch.setattr(vectors_io, "_FREE_BYTES", 1000)
    with pytest.raises(ConvoyError, match=r"line \d+: the file expands to more than 100 times its size"):
        read(path, VOCABULARY, 2)


def test_folders_that_are_not_whole_are_refused(tmp_path):
    folder = write(tmp_path, "safetensors")
    file, words = folder / "vectors.safetensors", folder / "vocabulary.txt"

    def refused(message, dimension=3):
        with pytest.raises(ConvoyError, match=rf"^[^\n]*{message}[^\n]*$"):
            read(folder, VOCABULARY, dimension)

    refused(
        r"tensor 'vectors': expected \(words, 4\) of F16, F32 or F64; found \[5, 3\] of F32; set", dimension=4
    )
    text = words.read_text(encoding="utf-8")
    words.write_text(text + "more\n", encoding="utf-8")
    refused(r"vocabulary\.txt: expected 5 lines, one for each row of vectors\.safetensors; found 6")
    words.write_text(text, encoding="utf-8")
    rows = np.float32(list(WORDS.values()))
    save_file({"one": rows, "two": rows}, file)
    refused("expected one tensor; found 2")
    save_file({"one": rows.astype(np.int32)}, file)
    refused(r"of F16, F32 or F64; found \[5, 3\] of I32")
    save_file({"one": np.where(rows == rows[0], np.nan, rows)}, file)
    refused("row 1: expected numbers from")
    file.write_bytes(file.read_bytes()[:-5])
    refused(r"not a whole \.safetensors file")
    file.unlink()
    refused(r"expected a folder with one \.safetensors file and vocabulary\.txt; found 0 and one")


def test_half_precision_is_read(tmp_path):
    folder = write(tmp_path, "safetensors")
    save_file({"vectors": np.float16(list(WORDS.values()))}, folder / "vectors.safetensors")
    assert np.array_equal(
        read(folder, VOCABULARY, 3).rows,
        np.float16([WORDS[w] for w in ("the", "caf\u00e9", "Paris", "road")]),
    )


def test_no_such_file_names_the_param(tmp_path):
    with pytest.raises(
        ConvoyError, match=r"nowhere: cannot be read: No such .*set streamrec\.models\.textcnn\.embedding"
    ):
        read(tmp_path / "nowhere", VOCABULARY, 3)


def test_params_that_name_no_vectors_read_none(tmp_path):
    tokenizer = json.dumps({"not": "read"})
    assert pretrained(TextCNNParams(), tokenizer) is None
    assert pretrained(BowParams(), tokenizer) is None
