import io

import numpy as np
import pytest
from PIL import Image

from convoy.report import skill
from convoy.report.skill import Line, Score
from convoy.report.themes import LIGHT, THEMES
from tests.report.pictures import pixels, share

SPLITS = ["Test days", "Unseen terrain"]
BASELINE = Score("Ridge", [0.6, "not applicable"], [(0.5, 0.7), None], [0, 0], False)
NETWORK = Score("A network with quite a long name", [0.5, 0.8], [(0.4, 0.6), (0.7, 0.9)], [1, 1], True)
X = [0.0625, 0.125, 0.25, 0.5, 1.0, 2.0]
TRUTH = Line("Truth", [10.0, 3.0, 1.0, 0.3, 0.1, 0.03], None)


def spectra(factor=0.5, nyquist=0.5, theme=LIGHT):
    line = Line("Ridge", [factor * value for value in TRUTH.values], 0)
    return skill.spectra(X, TRUTH, [line], nyquist, "K", theme)


def seasons(theme=LIGHT, value=0.5):
    lines = [Line("Ridge", [value, 0.6, 0.7, np.nan], 0), Line("U-Net", [0.8] * 4, 1, True)]
    bands = [Line("Ridge", [0.5], 0), Line("U-Net", [0.8], 1, True)]
    panels = [("By season", ["DJF", "MAM", "JJA", "SON"], lines), ("By elevation", ["sea"], bands)]
    return skill.categories(panels, "K", theme)


def pictures(theme):
    return [
        skill.by_split([BASELINE, NETWORK], SPLITS, 0.4, "K", theme),
        spectra(theme=theme),
        seasons(theme),
    ]


def coloured(png, series):
    """Columns and rows that hold a series' colour."""
    wanted = np.array([int(LIGHT.series[series][i : i + 2], 16) for i in (1, 3, 5)])
    return np.nonzero(np.abs(pixels(png).astype(int) - wanted).max(axis=-1) <= 6)


def test_bytes_repeat_on_the_themes_paper_without_metadata():
    for theme in THEMES:
        for png, again in zip(pictures(theme), pictures(theme), strict=True):
            assert png == again
            assert Image.open(io.BytesIO(png)).info == {}
            assert share(png, theme.paper) > 0.7
            image = pixels(png)
            for side in (image[0], image[-1], image[:, 0], image[:, -1]):
                assert (side == image[0, 0]).all()


def test_marks_stand_where_their_errors_are():
    png = skill.by_split(
        [Score(str(n), [n], [None], [n], True) for n in (0, 1, 2)], ["Test days"], None, "", LIGHT
    )
    places = [coloured(png, series) for series in (0, 1, 2)]
    rows, columns = (np.array([place[axis].mean() for place in places]) for axis in (0, 1))
    assert np.diff(columns) == pytest.approx([columns[1] - columns[0]] * 2, rel=0.02)
    assert np.diff(rows) == pytest.approx([rows[1] - rows[0]] * 2, rel=0.05)
    # The first is the lowest error and stands on top.
    assert (np.diff(columns) > 0).all()
    assert (np.diff(rows) > 0).all()


def test_a_model_that_cannot_go_has_no_mark_and_says_so():
    able, unable = (
        Score("Ridge", [0.6, there], [None, None], [0, 0], False) for there in (0.6, "not chosen")
    )
    shown = [skill.by_split([row, NETWORK], SPLITS, None, "K", LIGHT) for row in (able, unable)]
    marks = [len(coloured(png, 0)[0]) for png in shown]
    assert marks[0] == pytest.approx(2 * marks[1], rel=0.2)
    other = Score("Ridge", [0.6, "not applicable"], [None, None], [0, 0], False)
    assert skill.by_split([other, NETWORK], SPLITS, None, "K", LIGHT) != shown[1]


def test_a_model_may_stand_out_on_one_split_alone():
    rows = [Score("Ridge", [0.6, 0.6], [None, None], colours, False) for colours in ([0, 3], [0, 0])]
    one, both = (len(coloured(skill.by_split([row], SPLITS, None, "K", LIGHT), 0)[0]) for row in rows)
    assert both == pytest.approx(2 * one, rel=0.1)


def test_the_highest_mark_is_drawn_whole():
    lines = [Line("Ridge", [0.59], 0), Line("SRCNN", [0.6], 2)]
    png = skill.categories([("By season", ["DJF"], lines)], "K", LIGHT)
    below, top = (len(coloured(png, series)[0]) for series in (0, 2))
    # The upper one covers some of the lower one.
    assert top >= below


def test_intervals_and_the_noise_floor_are_lines_of_ink():
    bare = Score("Ridge", [0.6, "not applicable"], [None, None], [0, 0], False)
    without, lines, noise_floor = (
        share(skill.by_split([row], SPLITS, at, "K", LIGHT), LIGHT.ink, 40)
        for row, at in ((bare, None), (BASELINE, None), (bare, 0.4))
    )
    assert lines > without
    assert noise_floor > 1.3 * without


def test_shares_of_the_truths_power_lie_level_and_evenly():
    heights = []
    for factor in (0.25, 0.5, 0.75):
        rows, columns = coloured(spectra(factor), 0)
        height, width = pixels(spectra(factor)).shape[:2]
        # The panel on the right, without the legend below.
        share_rows = rows[(columns > width / 2) & (rows < 0.75 * height)]
        assert np.ptp(share_rows) < 12
        heights.append(np.median(share_rows))
    assert np.diff(heights) == pytest.approx([heights[1] - heights[0]] * 2, abs=3)
    assert heights[1] < heights[0] - 50


def test_the_coarse_grids_limit_is_drawn_where_it_is_known():
    marks = [share(spectra(nyquist=at), LIGHT.muted, 10) for at in (None, 0.5)]
    assert marks[1] > marks[0] + 0.0005


def test_what_is_not_known_leaves_a_gap():
    assert seasons(value=np.nan) != seasons(value=0.5)
    silent = Line("Ridge", [0.0] * 6, 0)
    assert share(skill.spectra(X, TRUTH, [silent], None, "K", LIGHT), LIGHT.series[0]) < 0.001
