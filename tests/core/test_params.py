"""One section of params.yaml becomes one strict object, or one line that says what to mend."""

from pathlib import Path
from typing import Literal, Self

import pytest
import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from convoy.core.errors import ConvoyError
from convoy.core.params import Section, load, load_names, parse
from convoy.core.yaml_io import Loader
from tests.contracts.stage_modules import ROOT


class Inner(Section):
    rate: float = Field(0.5, ge=0, le=1)


class Outer(Section):
    count: int = Field(3, ge=1, le=5)
    kind: Literal["word", "bpe"] = "word"
    inner: Inner = Inner()
    other: Inner | None = None
    sizes: tuple[int, ...] = Field((1,), min_length=1)
    scale: float = 1.0
    path: Path = Path("data")

    @field_validator("path")
    @classmethod
    def _relative(cls, path: Path) -> Path:
        if path.is_absolute():
            raise ValueError("expected a relative path")
        return path

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.kind == "bpe" and self.count > 2:
            raise ValueError(f"kind 'bpe' needs count of at most 2, found {self.count}")
        return self


class Needy(Section):
    seed: int


@pytest.fixture
def params(tmp_path, monkeypatch):
    """Writes `text` as params.yaml of a fresh working folder."""
    monkeypatch.chdir(tmp_path)
    return lambda text: Path("params.yaml").write_text(text, encoding="utf-8")


def line_for(section="a.b", model=Outer) -> str:
    with pytest.raises(ConvoyError) as caught:
        load(section, model)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_section_becomes_a_frozen_object_with_defaults(params):
    params("a:\n  b:\n    count: 2\n    sizes: [3, 4]\n    inner: {rate: 1}\n    path: x/y\n")
    loaded = load("a.b", Outer)
    assert loaded == Outer(count=2, sizes=(3, 4), inner=Inner(rate=1.0), path=Path("x/y"))
    with pytest.raises(ValidationError, match="frozen"):
        loaded.count = 3


def test_an_empty_section_means_its_defaults(params):
    params("a:\n  b:\n")
    assert load("a.b", Outer) == Outer()


@pytest.mark.parametrize("spelling", ["4e-3", "4E-3", "+4e-3", ".4e-2", "0.4e-2", "4.e-3", "0.004"])
def test_numbers_are_read_as_dvc_reads_them(params, spelling):
    params(f"a: {{b: {{scale: {spelling}}}}}")
    assert load("a.b", Outer).scale == 0.004


def test_no_file(params):
    assert line_for() == "params.yaml: no such file; run from the root of the checkout"


def test_another_file_is_named(tmp_path):
    with pytest.raises(ConvoyError, match=r"other\.yaml: no such file"):
        load("a", Outer, tmp_path / "other.yaml")


@pytest.mark.parametrize("text", ["a: [1", "a:\n\tb: 1", "a: {b: 'x}"])
def test_broken_yaml(params, text):
    params(text)
    assert line_for().startswith("params.yaml: not valid YAML: ")


def test_bytes_that_are_no_text(params):
    Path("params.yaml").write_bytes(b"a: \xff\xfe")
    assert line_for().startswith("params.yaml: not valid YAML: 'utf-8' codec can't decode byte 0xff")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "params.yaml: section 'a.b': no key 'a' in the top level"),
        ("c: 1", "params.yaml: section 'a.b': no key 'a' in the top level"),
        ("a: {c: 1}", "params.yaml: section 'a.b': no key 'b' in a"),
        ("a: 1", "params.yaml: section 'a.b': no key 'b' in a"),
    ],
)
def test_no_such_section(params, text, expected):
    params(text)
    assert line_for() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("count: 9", "key 'count': expected a value of at most 5; found 9"),
        ("count: '3'", "key 'count': expected a whole number; found \"3\""),
        ("count: 3.0", "key 'count': expected a whole number; found 3.0"),
        ("count: true", "key 'count': expected a whole number; found true"),
        ("count: null", "key 'count': expected a whole number; found null"),
        ("kind: char", "key 'kind': expected 'word' or 'bpe'; found \"char\""),
        ("scale: .inf", "key 'scale': expected a finite number; found Infinity"),
        ("scale: .nan", "key 'scale': expected a finite number; found NaN"),
        ("sizes: [1, x]", "key 'sizes.1': expected a whole number; found \"x\""),
        ("sizes: []", "key 'sizes': expected a list of at least 1, not 0; found []"),
        ("inner: {rate: -1}", "key 'inner.rate': expected a value of at least 0; found -1"),
        ("inner: 3", "key 'inner': expected keys and values; found 3"),
        ("path: /etc", "key 'path': expected a relative path; found \"/etc\""),
        ("inner: {rat: 1}", "unknown key 'inner.rat' (did you mean 'rate'?); known: rate"),
        ("other: {rat: 1}", "unknown key 'other.rat' (did you mean 'rate'?); known: rate"),
        (
            "cuont: 1",
            (
                "unknown key 'cuont' (did you mean 'count'?); known: count, kind, inner, other, sizes, "
                "scale, path"
            ),
        ),
        ("kind: bpe", "kind 'bpe' needs count of at most 2, found 3"),
        ("count: 0, kind: 1", "key 'count': expected a value of at least 1; found 0; "),
        (f"count: [{'1, ' * 99}]", f"key 'count': expected a whole number; found [{'1, ' * 26}…"),
        ("2024-01-01: 1", "keys must be str"),
    ],
)
def test_a_bad_value_is_told_with_section_key_expected_and_found(params, values, expected):
    params(f"a: {{b: {{{values}}}}}")
    assert line_for().startswith(f"params.yaml: section 'a.b': {expected}")


def test_a_list_that_lacks_what_is_wrong_in_it_is_no_second_mistake(params):
    params("a: {b: {sizes: [x]}}")
    assert line_for() == "params.yaml: section 'a.b': key 'sizes.0': expected a whole number; found \"x\""


def test_a_section_that_is_no_mapping(params):
    params("a: {b: [1, 2]}")
    assert line_for() == "params.yaml: section 'a.b': expected keys and values; found [1, 2]"


def test_a_key_without_default_is_missing(params):
    params("a: {b: {}}")
    assert line_for(model=Needy) == "params.yaml: section 'a.b': key 'seed' is missing"


def test_parse_names_where_the_values_came_from():
    assert parse({"seed": 4}, Needy, where="config.json") == Needy(seed=4)
    with pytest.raises(ConvoyError, match=r"^config.json: key 'seed': expected a whole number; found 4.5$"):
        parse({"seed": 4.5}, Needy, where="config.json")


def test_params_yaml_reads_the_same_in_yaml_1_1_and_1_2():
    # DVC hashes what YAML 1.2 reads; a word like `on`, `12:30` or `010` means other things in 1.1.
    from ruamel.yaml import YAML

    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert yaml.load(text, Loader) == YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "streamrec: {corpus: {}, model: {bow: {dropout: 0.1}}}",
            "unknown section 'streamrec.model' (did you mean 'streamrec.models'?); known: ",
        ),
        (
            "streamrec: {corpus: {}, embeds: {normalise: l2}}",
            "unknown section 'streamrec.embeds' (did you mean ",
        ),
        (
            "streamrec: {corpus: {}}\nclimte: {}",
            "unknown section 'climte' (did you mean 'climate'?); known: ",
        ),
        (
            "streamrec: {corpus: {}}\nclimate: {zzz: 1}",
            "unknown section 'climate.zzz'; known: climate.grids, ",
        ),
    ],
)
def test_an_unknown_section_anywhere_stops_every_stage(params, text, expected):
    params(text)
    assert line_for("streamrec.corpus").startswith(f"params.yaml: {expected}")


def test_a_list_of_names(params):
    params("a: {b: [ridge, unet]}")
    assert load_names("a.b") == ("ridge", "unet")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: {b: ridge}", 'expected a list of names; found "ridge"'),
        ("a: {b: {ridge: {}}}", 'expected a list of names; found {"ridge": {}}'),
        ("a: {b: [ridge, 3]}", 'expected a list of names; found ["ridge", 3]'),
        ("a: {b: [unet, ridge, unet]}", "named more than once: unet"),
        ("a: {c: [ridge]}", "no key 'b' in a"),
    ],
)
def test_what_is_no_list_of_names_is_refused_in_one_line(params, text, problem):
    params(text)
    with pytest.raises(ConvoyError) as caught:
        load_names("a.b")
    assert str(caught.value) == f"params.yaml: section 'a.b': {problem}"
