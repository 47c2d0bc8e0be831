"""What strangers write into ids, names and errors is printed in one line that does nothing to a terminal."""

import pytest

from convoy.core.printable import LONGEST, cut, escape, mask, one_line, reason

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at http://me:s3cret@host:5000/x", "at http://***@host:5000/x"),
        ("https://dapi123@host/api failed", "https://***@host/api failed"),
        ("postgresql+psycopg://me:p%40ss@host/runs?sslmode=require", "postgresql+psycopg://***@host/runs?sslmode=require"),
        ("http://host/?token=abc&page=2", "http://host/?token=***&page=2"),
        ("http://host/?password=abc", "http://host/?password=***"),
        ("mysql://host/db?user=me&passwd=abc;", "mysql://host/db?user=me&passwd=***;"),
        ("X-Amz-Signature=0a1b2c url", "X-Amz-Signature=*** url"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+", "AWS_SECRET_ACCESS_KEY=***"),
        ("Authorization: Basic bWU6c2VjcmV0", "Authorization: Basic ***"),
        ("header Bearer eyJhbGciOi.abc-def", "header Bearer ***"),
        ("somebody@example.org wrote http://host/runs#/a@b", "somebody@example.org wrote http://host/runs#/a@b"),
        ("data/streamrec: 5 tokens = 7", "data/streamrec: 5 tokens = 7"),
    ],
)  # fmt: skip
def test_secrets_are_masked_and_nothing_else_is(text, expected):
    assert mask(text) == expected


def test_secrets_of_the_environment_are_masked_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "open sesame")
    assert mask("said 'open sesame' twice: open sesame") == "said '***' twice: ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, Ä 七 😀", "plain, Ä 七 😀"),
        (f"{RED}red", "\\x1b[31mred"),
        ("two\nlines\r\tand", "two\\nlines\\r\\tand"),
        ("bell\x07 C1 \x9b31m", "bell\\x07 C1 \\x9b31m"),
        ("right-to-left \u202e, half \ud83d", "right-to-left \\u202e, half \\ud83d"),
        ("nul \0", "nul \\x00"),
    ],
)
def test_what_does_not_print_is_escaped(text, expected):
    assert escape(text) == expected
    assert one_line(text) == expected
    assert one_line(text).encode("utf-8").isascii() == expected.isascii()


def test_a_line_is_masked_before_it_is_cut_and_keeps_its_ends():
    text = f"in.csv: {'x' * (LONGEST // 2 - 30)}http://me:s3cret@host/{'y' * LONGEST}; name another file"
    line = one_line(text)
    assert len(line) <= LONGEST
    assert line.startswith("in.csv: xxx")
    assert line.endswith("yyy; name another file")
    assert "s3cret" not in line
    assert "//***@" in line


def test_a_reason_is_one_line_without_secrets():
    error = ValueError("first\n  second at http://me:s3cret@host " + "z" * 400)
    assert reason(error).startswith("first second at http://***@host zzz")
    assert len(reason(error)) == 300
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"
