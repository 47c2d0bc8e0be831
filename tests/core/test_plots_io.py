import pytest

from convoy.core import plots_io as plots
from convoy.core.errors import ConvoyError

AWKWARD = [["a, b", 'say "c"', 1], ["", "two\nlines", 0.5]]


def test_tables_come_back_as_columns_of_text(tmp_path):
    text = plots.csv_text(["name", "words", "figure"], AWKWARD)
    plots.write_plots(tmp_path / "plots", {"table.csv": text, "picture.png": b"\x89PNG"})
    assert (tmp_path / "plots/picture.png").read_bytes() == b"\x89PNG"
    assert plots.read_plots(tmp_path / "plots") == {
        "table.csv": {"name": ["a, b", ""], "words": ['say "c"', "two\nlines"], "figure": ["1", "0.5"]}
    }


@pytest.mark.parametrize("text", ["=cmd()", "+1+1", "-x", "@SUM(A1)", "\t=1", "'=quoted", "''+twice"])
def test_a_text_is_no_formula_to_a_spreadsheet_and_comes_back_as_it_was(text):
    table = plots.csv_text(["name", "figure"], [[text, -1.5]])
    assert table.splitlines()[1] == f"'{text},-1.5"
    assert plots.columns(table, "table.csv") == {"name": [text], "figure": ["-1.5"]}
    for plain in ("'80s", "a = b", ""):
        assert plots.csv_text(["name", "n"], [[plain, 1]]) == f"name,n\n{plain},1\n"


def test_a_folder_that_is_not_whole_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no such folder of plots"):
        plots.read_plots(tmp_path / "plots")
    plots.write_plots(tmp_path / "plots", {"table.csv": "a\n1\n"})
    (tmp_path / "plots/table.csv").write_text("a\n2\n")
    with pytest.raises(ConvoyError, match=r"table.csv: sha256 differs"):
        plots.read_plots(tmp_path / "plots")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ConvoyError, match=r"bow.csv: row 3: expected 2 cells; found 1"):
        plots.columns("a,b\n1,2\n3\n", "bow.csv")
    assert plots.columns("", "empty.csv") == {}


def test_a_learning_curve_stands_beside_the_weights_or_not_at_all(tmp_path):
    assert plots.read_curve(tmp_path) is None
    (tmp_path / "curve.csv").write_text("epoch\n1\n")
    assert plots.read_curve(tmp_path) == "epoch\n1\n"
