"""An error's line is made of its fields, and a command may name its option in place of a param."""

import pytest

from convoy.core.errors import KEY, ConvoyError, Param

UNITS = Param("climate.grids.variables", ("psl", "units"), "...")
NAME = Param("climate.grids.variables", ("psl", "name"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ConvoyError("a sentence"), "a sentence"),
        (ConvoyError("no such file", path="a.csv", hint="name another"), "a.csv: no such file; name another"),
        (
            ConvoyError(path="p", key="key 'k'", expected="a number", found='"x"', hint="mend it"),
            "p: key 'k': expected a number; found \"x\"; mend it",
        ),
        (
            ConvoyError("broken", path="p", key="row 3", expected="E", found="F", hint="H"),
            "p: row 3: broken; expected E; found F; H",
        ),
        (ConvoyError(key=NAME, expected="E"), "climate.grids.variables.psl.name: expected E"),
        (
            ConvoyError("no units", path="a.nc", key=UNITS, hint=f"say so: {KEY}"),
            "a.nc: no units; say so: climate.grids.variables: {psl: {units: ...}}",
        ),
    ],
)
def test_the_line_has_one_form(error, line):
    assert str(error) == line


def test_a_key_can_be_replaced_or_left_out_where_it_stands():
    front, back = ConvoyError("no day", key=NAME), ConvoyError("no units", key=UNITS, hint=f"say so: {KEY}")
    front.key, back.key = "--variables psl", "--units psl=..."
    assert str(front) == "--variables psl: no day"
    assert str(back) == "no units; say so: --units psl=..."
    front.key = back.key = ""
    assert str(front) == "no day"
    assert str(back) == "no units"


def test_long_values_are_cut_and_paths_are_not():
    line = str(ConvoyError(path="p" * 300, key="k" * 300, found="token=s3cret&" + "f" * 300, hint="H"))
    assert line == f"{'p' * 300}: {'k' * 199}…: found token=***&{'f' * 189}…; H"
