"""Maps and histograms: every group is drawn, names of any kind, bytes that repeat."""

import io

import numpy as np
import pytest
from PIL import Image

from convoy.report.clouds import Histogram, cloud, histograms
from convoy.report.themes import DARK, LIGHT

RANDOM = np.random.default_rng(0)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)


@pytest.mark.parametrize(
    "names", [["a", "b"], ["$x_$", "\x1b[31m", "映画", ""], [f"c{n}" for n in range(30)]]
)
def test_a_cloud_of_names_of_any_kind(names):
    points = RANDOM.normal(size=(120, 2))
    groups = [names[number % len(names)] for number in range(120)]
    found = cloud(points, groups, LIGHT)
    assert found == cloud(points, groups, LIGHT)
    assert pixels(found).std() > 5
    assert pixels(cloud(points, groups, DARK)).mean() < 80


def test_points_lie_where_they_are():
    corners = np.repeat([[0.0, 0.0], [1.0, 1.0]], 30, axis=0) + 0.02 * RANDOM.normal(size=(60, 2))
    image = pixels(cloud(corners, [""] * 60, LIGHT)).mean(2) < 200
    rows, columns = image.shape
    left_low = image[rows // 2 :, : columns // 2].sum()
    right_high = image[: rows // 2, columns // 2 :].sum()
    assert left_low + right_high == image.sum() > 0


def test_histograms_with_one_and_two_series():
    values = RANDOM.normal(size=500)
    panels = [Histogram("Lengths", "length", [("items", values)]),
              Histogram("Cosines", "cosine", [("pairs", values), ("nearest", values + 3)])]  # fmt: skip
    assert pixels(histograms(panels, LIGHT)).std() > 5
    assert pixels(histograms([Histogram("Equal", "length", [("items", np.ones(9))])], LIGHT)).std() > 5
