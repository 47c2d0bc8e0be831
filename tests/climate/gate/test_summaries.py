"""How coarse and fine are held against each other, by closed forms."""

import numpy as np
import pytest

from convoy.climate.gate.days import Times
from convoy.climate.gate.judgement import coarse_is_mean
from convoy.climate.gate.summaries import compare, partner
from tests.support import stored_grids as stored


def times_of(ordinals):
    return Times("standard", ordinals, np.stack([ordinals, ordinals + 1], axis=1).astype(float))


def series(days, seed=0):
    rng = np.random.default_rng(seed)
    return stored.lasting(rng, days, 4) + np.float32(290)


@pytest.mark.parametrize("lag", [-3, -1, 0, 1, 2])
def test_the_lag_that_fits_best(lag):
    times = times_of(np.arange(55_000, 55_400))
    fine = series(400)
    together = compare(np.roll(fine, -lag, axis=0), fine, times, times, same=True)
    assert together.better_lag == lag
    if lag:  # weather lasts, so that the wrong days go together too
        assert 0.3 < together.correlation < together.better - 0.1
    noise = np.random.default_rng(1).normal(280, 3, (400, 4, 4)).astype(np.float32)
    together = compare(np.roll(noise, -lag, axis=0), noise, times, times, same=True)
    assert together.correlation == pytest.approx(1 if lag == 0 else 0, abs=0.06)
    assert together.error == pytest.approx(0 if lag == 0 else 3 * np.sqrt(2), rel=0.05)
    assert together.spread == pytest.approx(3, rel=0.05)


def test_gaps_and_different_days_are_paired_by_date():
    fine = series(400)
    fine[::7, 1, 2] = np.nan
    days = np.arange(55_000, 55_400)
    some = np.sort(np.random.default_rng(0).choice(400, 300, replace=False))
    times, times_of_some = times_of(days), times_of(days[some])
    together = compare(fine[some], fine, times_of_some, times, same=True)
    assert (together.error, together.better_lag) == (0, 0)
    assert together.correlation == pytest.approx(1, abs=0.02)  # the months' means differ a little
    assert compare(fine[:20], fine[:20], *[times_of(days[:20])] * 2, same=False).correlation is None


def test_which_input_goes_with_the_target():
    assert partner({"target": "tasmax", "inputs": ["psl", "tasmax"]}) == "tasmax"
    assert partner({"target": "tasmax", "inputs": ["psl", "tas"]}) == "tas"
    assert partner({"target": "tasmax", "inputs": ["psl"]}) is None
    assert partner({"target": "snow", "inputs": ["ice"]}) is None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"factor": None}, False),
        ({"source": "synthetic, 20 years, imperfect inputs, seed 0"}, False),
        ({"source": "synthetic, 20 years, perfect inputs, seed 0"}, True),
        ({"perfect": False}, False),
        ({"inputs": ["tas", "psl"]}, False),
    ],
)
def test_where_coarse_was_made_of_fine(facts, expected):
    assert coarse_is_mean({**stored.FACTS, **facts}) is expected
