import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.data.domains import Days
from convoy.climate.downscaling.comparison import names, pictures
from convoy.climate.downscaling.comparison.compare import compare
from convoy.climate.downscaling.comparison.findings import findings, headline, limits
from convoy.climate.downscaling.comparison.report import _method, _subject, comparison_pictures, page
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.evaluation.evaluate import evaluate
from convoy.report.style import figure, png
from tests.support import rated
from tests.support.rated import FACTS, PARAMS, Rated, always, at_home, in_turns

POINT = png(figure(0.1, 0.1))
HOSTILE = "<script>alert(1)</script>"
CURVE = {
    "epoch": ["1", "2"], "train_loss": ["2", "1"], "validation_loss": ["2.1", "1.5"],
    "validation_rmse": ["1.4", "1.2"], "learning_rate": ["0.1", "0"],
}  # fmt: skip
ERRORS = {
    "ridge": at_home(0.5), "bicubic": always(0.9), "residual": in_turns(0.2, 0.4), "srcnn": always(1.2),
}  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    return rated.splits(90)


def arguments(parts, noise_floor=0.2, chosen=None, curves=None, facts=FACTS, errors=ERRORS):
    found = Rated(errors, parts, noise_floor, chosen)
    comparison = compare(found.metrics, found.daily, facts, PARAMS)
    dates = Days("noleap", next(iter(found.maps.values()))["ordinal"]).labels
    return comparison, found.metrics, found.maps, found.daily, dates, curves or {}


def written(comparison, metrics, maps, daily, dates, curves):
    """The page with its pictures."""
    drawings = comparison_pictures(comparison, metrics, maps, daily, dates)
    return page(comparison, metrics, maps, drawings, dates, curves)


def without_pictures(comparison, metrics, maps, daily, dates, curves):
    """The page for tests of its words: in place of each picture, which takes a second, one of a point."""
    drawings = dict.fromkeys(comparison_pictures(comparison, metrics, maps, daily, dates), lambda _: POINT)
    return page(comparison, metrics, maps, drawings, dates, curves)


@pytest.fixture(scope="module")
def whole(parts):
    """What the page was made of, and the page."""
    facts = FACTS | {"source": HOSTILE}
    given = arguments(parts, curves={"residual": CURVE, "srcnn": CURVE}, facts=facts)
    return given, written(*given)


def words(html):
    return re.sub(r"<[^>]+>", " ", html.split("</style>")[1]).replace("\u00a0", " ").replace("&#39;", "'")


def test_the_page_is_safe_stands_alone_and_begins_with_the_findings(whole):
    given, html = whole
    said = [headline(given[0]), *findings(given[0]), "The error of every model", *limits(given[0])]
    places = [words(html).index(sentence) for sentence in said]
    assert places == sorted(places)
    assert words(html).index(said[1]) < words(html).index("RMSE, K")
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert not re.search(r"https?:", html)
    found = re.findall(r'"data:image/png;base64,([^"]+)"', html)
    # Light and dark: splits, days, per-pixel effects, parts, spectra and learning curves.
    assert len(found) == 12
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in found)
    assert len(html) < 2_000_000


def test_every_model_and_split_has_its_cell(whole):
    _, html = whole
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    errors = next(row for row in cells if row and row[0] == "Bicubic")
    assert errors == ["Bicubic", *["0.900\n0.900 to 0.900"] * 4]
    # What is bound to its terrain says so.
    ridge = [row for row in cells if row and row[0] == "Ridge"]
    assert ridge[0] == ["Ridge", "0.500\n0.500 to 0.500", "not applicable", *["0.500\n0.500 to 0.500"] * 2]
    # The second table: skill, which is 0 for the best baseline itself.
    assert ridge[1] == ["Ridge", "0", "not applicable", "0", "0"]
    assert ["Noise floor (irreducible RMSE)", *["0.200"] * 4] in cells
    srcnn = [row for row in cells if row and row[0] == "SRCNN (network)"]
    # 0.5 - 1.2 over 0.5 - 0.2 on the way to the noise floor, and 0.9 - 1.2 over 0.9 - 0.2 on unseen terrain.
    assert srcnn[2][1].split("\n")[0] == "−233.3"
    assert srcnn[2][2].split("\n")[0] == "−42.9"


def cells_of(html, label):
    """The cells of the rows of a model or measure, in the order of the tables."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [row[1:] for row in cells if row and row[0] == label]


def test_why_there_is_no_figure_is_told_apart(parts):
    """Ridge is bound to its terrain; quantile mapping, the best of the warmer climate, was not chosen."""
    best_there = lambda domain: 0.1 if domain.name == "warmer_4k" else 0.8  # noqa: E731
    errors = {**ERRORS, "lapse_daily": best_there}
    html = without_pictures(*arguments(parts, chosen=["ridge", "bicubic", "residual"], errors=errors))
    ridge, other = (cells_of(html, label)[0] for label in ("Ridge", "Bicubic + daily lapse"))
    assert [cell.split("\n")[0] for cell in ridge] == ["0.500", "not applicable", "0.500", "0.500"]
    # On unseen terrain it is the best as well, of those that can go there.
    assert [cell.split("\n")[0] for cell in other] == ["not chosen", "0.800", "not chosen", "0.100"]
    assert names.STATES in words(html)
    # No model has a standard deviation, and ten days have no power spectrum of a year's extremes.
    few = {"test": [parts["test"][0].at(range(10))]}
    html = without_pictures(*arguments(few, noise_floor=None, chosen=["residual", "bicubic"]))
    assert names.STATES not in words(html)
    assert "–" not in [cell for label in ("Bicubic", "Residual network") for cell in cells_of(html, label)[0]]


def test_the_page_names_inputs_that_were_interpolated(parts):
    grid = "5 x 7 cells at lat 40 to 45, lon 0 to 7"
    facts = FACTS | {"coarse_grid": "tasmax", "interpolated": {"psl": grid}}
    html = without_pictures(*arguments({"test": parts["test"]}, facts=facts))
    assert f"Interpolated bilinearly to the coarse grid of tasmax: psl (from {grid})." in words(html)


def test_the_page_names_the_downscaled_variable(whole):
    (comparison, _, maps, *_), html = whole
    subject = "Downscaled: daily maximum near-surface air temperature (tasmax), to cells of 0.25° from"
    said = words(html)
    assert said.index(findings(comparison)[-1]) < said.index(subject) < said.index("RMSE, K")
    other = comparison | {"target": "snow", "source": "stations", "factor": None}
    assert _subject(other, maps) == "Downscaled: snow, to cells of 0.25°. Grids: stations."


def test_the_page_says_how_often_networks_were_trained(parts):
    few = {"test": parts["test"]}
    for residual, unet, told in (
        (1, 1, "each network was trained once, with one seed"),
        (2, 2, "differ in their seed: 2 of the residual network and 2 of the U-Net. Figures are means"),
        (3, 1, "differ in their seed: 3 of the residual network and 1 of the U-Net. Figures are means"),
    ):
        errors = {"residual": residual * [always(0.3)], "unet": unet * [always(0.4)]}
        found = Rated({"bicubic": always(0.9), **errors}, few)
        said = " ".join(_method(compare(found.metrics, found.daily, FACTS, PARAMS)).paragraphs)
        assert told in said
        assert ("with one seed" in said) == (residual == 1)


@pytest.mark.parametrize(
    ("chosen", "drawn"),
    [
        (["bicubic", "ridge"], ["ridge"]),
        (["bicubic"], ["bicubic"]),
        (["srcnn", "residual"], ["residual"]),
        (["srcnn", "bicubic"], ["bicubic", "srcnn"]),
    ],
)
def test_the_best_that_were_chosen_are_drawn(parts, chosen, drawn):
    comparison, metrics, maps, *_ = arguments(parts, chosen=chosen)
    assert pictures.drawn(comparison, maps) == drawn
    # By season and height: the best baseline and every network.
    by_parts = pictures.shown_in_parts(comparison, metrics)
    assert by_parts == (["residual", "srcnn"] if chosen == ["srcnn", "residual"] else drawn)


def test_baselines_alone_on_synthetic_grids(parts):
    html = written(*arguments(parts, chosen=["bicubic"]))
    assert html.count("<img") == 5
    assert (
        "The best baseline, ridge regression by pixel, is not shown: it is not among climate.baselines"
        in words(html)
    )
    assert "way to the noise floor" not in html


def test_a_network_alone_on_ten_real_days(parts):
    few = {"test": [parts["test"][0].at(range(10))]}
    html = written(*arguments(few, noise_floor=None, chosen=["residual"]))
    assert html.count("<img") == 5
    assert "There is no confidence interval on the test days: the 10 days" in html
    assert "is not known: a noise floor can be computed only for" in html
    assert "The noise floor is exact" not in html
    assert "way to the noise floor" not in html
    assert "Unseen terrain" not in html


def test_the_picture_of_a_day_tells_that_days_error(parts):
    _, _, maps, daily, dates, _ = arguments(parts)
    first = int(maps["residual"]["ordinal"][0])
    block = (first - int(parts["test"][0].days.ordinal[0])) // 30
    assert pictures._rmse(daily, "residual", first) == pytest.approx((0.2, 0.4)[block % 2])
    assert len(dates) == 3


def test_without_heights_the_page_says_nothing_of_sea_surface_and_coast(parts):
    (home,) = parts["test"]

    def told(heights, write=without_pictures):
        on = replace(home, static={"elevation": heights.astype(np.float32)})
        given = arguments({"test": [on]}, noise_floor=None)
        return words(write(*given)), given[1]["residual"]["test"]["by_elevation"]

    shore = np.where(np.arange(20) < 5, 0.0, 600.0) * np.ones((16, 1))
    known = (
        "the one on which elevation explains least of the field",
        "; the line is the coast",
        "band is the sea",
    )
    said, bands = told(shore)
    assert all(text in said for text in (*known, "Errors by season and elevation"))
    assert [row["from_m"] for row in bands] == [None, 500]
    unknown, bands = told(np.zeros((16, 20)), written)
    assert bands is None
    assert not any(text in unknown for text in (*known, "and elevation"))
    assert "and the one least like its coarse field. In each row" in unknown


def test_the_drawn_domain_is_the_first_that_has_a_truth(parts):
    (home,) = parts["test"]
    empty = replace(home, name="empty", target=np.full_like(home.target, np.nan))
    count = len(home.days)
    days = Daily(
        np.repeat(["empty", "home"], count), np.tile(home.days.ordinal, 2),
        np.concatenate([np.full(count, np.nan), np.full(count, 0.09)]),
    )  # fmt: skip
    table = {"bicubic": {"test": days}}
    predict = rated.predictor(always(0.3))
    maps = evaluate("bicubic", [predict], {"test": [empty, home]}, "tasmax", None, table, PARAMS).maps
    np.testing.assert_allclose(maps["bias"], 0.3, rtol=1e-3)
    assert pictures._rmse(table, "bicubic", int(maps["ordinal"][0])) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(None, 0.0, "sea"), (0.0, 500.0, "0–\n500 m"), (2000.0, None, ">2000 m")],
)
def test_bands_in_few_characters(low, high, text):
    assert pictures.band({"from_m": low, "to_m": high}) == text
