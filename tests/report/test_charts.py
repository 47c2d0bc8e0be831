import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from convoy.report import charts
from convoy.report.style import labels
from convoy.report.themes import DARK, LIGHT, THEMES
from tests.report.pictures import pixels, share

NAMES = ["Stand-Up Comedy & Talk Shows", "$x_{$ 100% <script>", "日本語", "a\nb", ""]
EPOCHS = {
    "epoch": [1.0, 2.0, 3.0],
    "train_loss": [2.0, 1.0, 0.5],
    "validation_loss": [2.1, 1.5, 1.4],
    "validation_accuracy": [0.2, 0.5, 0.6],
}


def rates(theme, **values):
    rows = [charts.Dot(name, value, value - 0.02, value + 0.02, 0) for name, value in values.items()]
    return charts.rates(rows, {"bayes": 0.9}, theme)


def calibration(theme, panels=1):
    points = {"confidence": [0.2, 0.9], "accuracy": [0.3, 1.0], "low": [0.1, 0.8], "high": [0.5, 1.0]}
    rows = [charts.Calibration(f"model {i}", **points, n=[10, 30], colour=i) for i in range(panels)]
    return charts.reliability(rows, theme)


def all_charts(theme):
    return {
        "rates": rates(theme, good=0.8, bad=0.1),
        "curves": charts.curves([charts.Curve("one", EPOCHS, 0), charts.Curve("two", EPOCHS, 1)], theme),
        "confusion": charts.confusion(np.arange(25).reshape(5, 5), NAMES, theme),
        "reliability": calibration(theme, panels=3),
    }


@pytest.fixture(scope="module")
def drawn():
    return {theme.name: all_charts(theme) for theme in THEMES}


def test_bytes_repeat_whatever_the_users_settings(drawn):
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.grid": True, "figure.dpi": 50}):
        assert all_charts(LIGHT) == drawn["light"]


@pytest.mark.parametrize("name", ["rates", "curves", "confusion", "reliability"])
def test_pictures_have_their_themes_paper_and_no_metadata(drawn, name):
    for theme in THEMES:
        png = drawn[theme.name][name]
        assert Image.open(io.BytesIO(png)).info == {}
        assert share(png, theme.paper) > (0.2 if name == "confusion" else 0.5)
        # Words reach the edge of the canvas only where they are cut off.
        edge = np.concatenate([side for image in [pixels(png)] for side in (image[0], image[-1])])
        assert (edge == edge[0]).all()


def test_a_bar_is_as_long_as_its_rate():
    ratio = share(rates(LIGHT, one=0.8), LIGHT.series[0]) / share(rates(LIGHT, one=0.4), LIGHT.series[0])
    assert ratio == pytest.approx(2.0, abs=0.06)


def test_a_perfect_confusion_matrix_is_a_diagonal():
    names = ["one", "two", "three"]
    right = charts.confusion(np.diag([5, 50, 500]), names, LIGHT)
    # Rows are scaled to their items: the picture does not change with how many there are.
    assert right == charts.confusion(np.eye(3, dtype=int), names, LIGHT)
    dark, blank = share(right, LIGHT.heat[-1]), share(right, LIGHT.heat[0])
    assert blank / dark == pytest.approx(2.0, rel=0.1)


def test_a_category_without_items_has_an_empty_row():
    counts = np.array([[1, 1], [0, 0]])
    shown = charts.confusion(counts, ["one", "two"], LIGHT)
    assert share(shown, LIGHT.heat[0]) > 0.05


@pytest.mark.parametrize("size", [20, 36])
def test_many_long_names_are_not_cut(size):
    names = [f"{number}: a category with a long name" for number in range(size)]
    png = charts.confusion(np.eye(size, dtype=int), names, DARK)
    image = pixels(png)
    for side in (image[0], image[-1], image[:, 0], image[:, -1]):
        assert (side == image[0, 0]).all()
    # Enough pixels for a line of type per category.
    assert image.shape[0] > 40 * size


def test_names_are_drawn_on_one_line_or_by_number():
    assert labels(NAMES) == [
        "Stand-Up Comedy & Talk Shows",
        "$x_{$ 100% <script>",
        "no. 3",
        "a b",
        "no. 5",
    ]
    assert labels(["x" * 31]) == ["x" * 29 + "…"]
    assert labels(["été Ωμέγα"]) == ["été Ωμέγα"]


def test_curves_of_another_figure_are_drawn_like_accuracies():
    renamed = {name.replace("accuracy", "rmse"): values for name, values in EPOCHS.items()}
    accuracy = charts.curves([charts.Curve("one", EPOCHS, 0)], LIGHT)
    rmse = charts.curves([charts.Curve("one", renamed, 0)], LIGHT, "Validation RMSE, K")
    assert accuracy != rmse
    assert share(rmse, LIGHT.series[0]) == pytest.approx(share(accuracy, LIGHT.series[0]), rel=0.05)
