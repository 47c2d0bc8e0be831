"""YAML of strangers is bounded before it is built."""

import time

import pytest

from convoy.core.errors import ConvoyError
from convoy.core.yaml_io import read_yaml


def refusal(path) -> str:
    began = time.monotonic()
    with pytest.raises(ConvoyError) as caught:
        read_yaml(path)
    assert time.monotonic() - began < 60  # an expanded bomb never ends
    assert len(str(caught.value)) < 500 + len(str(path))
    return str(caught.value).removeprefix(f"{path}: ")


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (bomb(9), "more than 100,000 values when its aliases are expanded"),
        (f"columns: {{synopsis: {'[' * 60}{']' * 60}}}", "nested more than 50 levels deep"),
        ("[" * 100_000, "nested more than 50 levels deep"),
        ("a: &a [*a]", "an alias refers to a value that contains it"),
        ("a: " + "x" * 1_000_001, "larger than 1,000,000 bytes"),
        ("a: !!python/object/apply:os.system [ls]", "not valid YAML: could not determine a constructor"),
        ("a: [1", "not valid YAML: "),
    ],
)
def test_what_is_no_short_plain_yaml_is_refused_in_one_line(tmp_path, text, expected):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert refusal(path).startswith(expected)


def test_plain_values_come_back(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {b: [1, 2.5, 4e-3, on, true, null, 'x']}\nc: *a\n")
    values = {"b": [1, 2.5, 0.004, "on", True, None, "x"]}
    assert read_yaml(path) == {"a": values, "c": values}
    path.write_text("")
    assert read_yaml(path) is None


def test_a_word_that_begins_like_a_number_or_a_truth_value_stays_a_word(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: 1e8ebb1288cc\nb: trueish\nc: 1e-3\nd: true\ne: falsetto\n")
    assert read_yaml(path) == {"a": "1e8ebb1288cc", "b": "trueish", "c": 1e-3, "d": True, "e": "falsetto"}
