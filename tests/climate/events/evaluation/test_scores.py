import numpy as np
import pytest
from scipy.stats import spearmanr

from convoy.climate.events.evaluation.scores import (
    anomaly_size,
    centre_map,
    energy_inside,
    iou,
    off_centre,
    pointing,
    random_maps,
    rank_correlation,
)


@pytest.fixture
def square():
    """A mask of 4 x 4 cells in the corner of 8 x 8."""
    mask = np.zeros((1, 8, 8), bool)
    mask[0, :4, :4] = True
    return mask


def test_a_map_that_is_the_mask_has_full_scores(square):
    for score in (pointing, energy_inside, iou):
        assert score(square.astype(float), square).tolist() == [1.0]


def test_a_map_outside_has_none(square):
    for score in (pointing, energy_inside, iou):
        assert score((~square).astype(float), square).tolist() == [0.0]


def test_a_uniform_map_has_the_share_of_the_mask(square):
    uniform = np.ones((1, 8, 8))
    assert energy_inside(uniform, square) == pytest.approx(16 / 64)
    assert iou(uniform, square) == pytest.approx(16 / 64)


def test_half_overlapping_squares(square):
    moved = np.zeros((1, 8, 8))
    moved[0, :4, 2:6] = 1.0
    assert energy_inside(moved, square) == pytest.approx(0.5)
    assert iou(moved, square) == pytest.approx(8 / 24)


def test_a_map_of_zeros_has_no_energy(square):
    assert energy_inside(np.zeros((1, 8, 8)), square).tolist() == [0.0]


def test_random_maps_point_at_chance(square):
    masks = np.repeat(square, 4000, axis=0)
    assert pointing(random_maps(4000, 8, 8, 0), masks).mean() == pytest.approx(0.25, abs=0.03)


def test_the_centre_map_points_at_the_centre():
    flat = centre_map(1, 9, 9)[0]
    assert flat[4, 4] == flat.max() == 1
    assert flat[0, 0] == flat.min() == 0


def test_off_centre():
    masks = np.zeros((2, 33, 33), bool)
    masks[0, 15:18, 15:18] = True
    masks[1, 2:5, 2:5] = True
    assert off_centre(masks).tolist() == [False, True]


def test_the_size_of_anomalies_is_largest_where_they_are():
    values = np.full((2, 2, 8, 8), [[[3.0]], [[7.0]]], np.float32)
    values[1, 0, 2, 3], values[1, 1, 5, 5] = 3.0 + 4.0, 7.0 - 2.0
    found = anomaly_size(values, (3.0, 7.0), (1.0, 2.0))
    assert not found[0].any()
    # 4 deviations of one channel of two, and 1 of the other.
    assert found[1, 2, 3] == 1
    assert found[1, 5, 5] == pytest.approx(1 / 4)


def test_the_rank_correlation_is_scipys():
    random = np.random.default_rng(0)
    one, other = random.random((3, 8, 8)).round(1), random.random((3, 8, 8)).round(1)
    other[2] = 0  # constant: nothing in common with any map
    expected = [spearmanr(one[k].ravel(), other[k].ravel()).statistic for k in range(2)]
    np.testing.assert_allclose(rank_correlation(one, other), [*expected, 0])
    np.testing.assert_allclose(rank_correlation(one, one**3), 1)
