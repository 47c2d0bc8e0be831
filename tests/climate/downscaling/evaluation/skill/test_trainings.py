"""A network that was trained several times: figures are means, and intervals hold the spread of trainings."""

import json

import numpy as np
import pytest

from convoy.climate.downscaling.comparison.compare import compare
from tests.support import rated
from tests.support.rated import FACTS, PARAMS, Rated, always, at_home, in_turns


@pytest.fixture(scope="module")
def parts():
    return rated.splits(120)


def scored(errors, parts):
    """Metrics of the network, and the comparison."""
    found = Rated({"ridge": always(0.45), "residual": errors}, parts)
    return found, compare(found.metrics, found.daily, FACTS, PARAMS)


def test_figures_are_means_over_trainings_and_intervals_hold_their_spread(parts):
    found, _ = scored([always(0.3), always(0.5)], parts)
    test = found.metrics["residual"]["test"]
    assert test["rmse"] == pytest.approx(0.4, rel=1e-4)
    assert test["bias"] == pytest.approx(0.4, rel=1e-4)
    assert test["skill_vs_best_baseline"] == pytest.approx(1 - 0.4 / 0.45, rel=1e-3)
    # No day differs, and of two trainings one is drawn.
    assert (test["rmse_low"], test["rmse_high"]) == pytest.approx((0.3, 0.5), rel=1e-4)
    ends = test["skill_vs_best_baseline_low"], test["skill_vs_best_baseline_high"]
    assert ends == pytest.approx((1 - 0.5 / 0.45, 1 - 0.3 / 0.45), rel=1e-3)
    # (0.45 - 0.4) / (0.45 - 0.2) of the way to the noise floor.
    ends = test["noise_floor_share"], test["noise_floor_share_low"], test["noise_floor_share_high"]
    assert ends == pytest.approx((0.2, -0.2, 0.6), rel=1e-3)
    for band in test["by_elevation"]:
        assert band["rmse"] == pytest.approx(0.4, rel=1e-3)
    assert [row["rmse"] for row in test["by_season"].values()] == pytest.approx([0.4, 0.4], rel=1e-3)


def test_maps_are_those_of_the_first_training(parts):
    found, _ = scored([always(0.3), always(0.5)], parts)
    np.testing.assert_allclose(found.maps["residual"]["rmse"], 0.3, rtol=1e-3)


def test_a_lucky_training_alone_wins_and_with_another_it_is_a_tie(parts):
    lucky, both = (
        scored(errors, parts)[1]["splits"]["test"] for errors in (always(0.3), [always(0.3), always(0.5)])
    )
    assert (lucky["verdict"], both["verdict"]) == ("network", "tie")
    pair = both["networks"]["residual"]
    assert [pair[end] for end in ("difference", "low", "high")] == pytest.approx(
        [-0.05, -0.15, 0.05], rel=1e-3
    )
    assert lucky["days"] == both["days"] == 120


def test_trainings_that_agree_change_no_figure(parts):
    one, three = (scored(errors, parts) for errors in (in_turns(0.2, 0.4), 3 * [in_turns(0.2, 0.4)]))
    assert three[1]["trainings"] == {"residual": 3}
    assert one[1]["trainings"] == {"residual": 1}
    for found, expected in ((three[0].metrics, one[0].metrics), (three[1]["splits"], one[1]["splits"])):
        assert found.keys() == expected.keys()
        rounded, others = (
            json.loads(json.dumps(side), parse_float=lambda x: f"{float(x):.8g}")
            for side in (found, expected)
        )
        assert rounded == others


def test_no_training_can_go_where_the_first_cannot(parts):
    found, comparison = scored([at_home(0.3), at_home(0.5)], parts)
    assert found.metrics["residual"]["unseen_terrain"]["rmse"] is None
    assert comparison["splits"]["unseen_terrain"]["absent"] == ["residual"]
