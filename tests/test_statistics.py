import numpy as np
import pytest
from scipy import sparse
from scipy.stats import binomtest

from convoy import statistics


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0000, 0.2775),
        (10, 10, 0.7225, 1.0000),
    ],
)
def test_wilson_agrees_with_published_intervals(successes, n, low, high):
    assert statistics.wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(3, 17, 0.9), (50, 100, 0.99), (999, 1000, 0.95)])
def test_wilson_agrees_with_scipy(successes, n, confidence):
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    found = statistics.wilson(successes, n, confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_ends_are_exact_and_nonsense_is_refused():
    assert statistics.wilson(0, 7)[0] == 0.0
    assert statistics.wilson(7, 7)[1] == 1.0
    for successes, n in [(8, 7), (-1, 7), (0, 0)]:
        with pytest.raises(ValueError, match=f"found {successes} of {n}"):
            statistics.wilson(successes, n)


@pytest.mark.parametrize(
    ("first", "second"), [(0, 1), (1, 9), (9, 1), (6, 6), (120, 87), (0, 40), (700, 400)]
)
def test_mcnemar_is_the_exact_binomial_test(first, second):
    expected = binomtest(first, first + second, 0.5).pvalue
    assert statistics.mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_without_discordant_pairs_says_nothing():
    assert statistics.mcnemar(0, 0) == 1.0


def test_bootstrap_of_a_mean_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(1)
    values = rng.gamma(2.0, size=(4000, 1))
    means = statistics.resampled_sums(values, 4000, rng)[:, 0] / 4000
    low, high = statistics.percentile_interval(means)
    error = values.std() / np.sqrt(4000)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_bootstrap_interval_covers_the_true_rate_19_times_in_20():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        sample = (rng.random((300, 1)) < 0.7).astype(float)
        low, high = statistics.percentile_interval(statistics.resampled_sums(sample, 400, rng)[:, 0] / 300)
        covered += low <= 0.7 <= high
    # 400 trials at 0.95: three standard errors are 0.033.
    assert covered / 400 == pytest.approx(0.95, abs=0.033)


def test_columns_and_sparse_matrices_share_their_resamples():
    rows = np.random.default_rng(3).random((50, 4)) * (np.random.default_rng(4).random((50, 4)) < 0.3)
    dense = statistics.resampled_sums(rows, 30, np.random.default_rng(5))
    thin = statistics.resampled_sums(sparse.csr_array(rows), 30, np.random.default_rng(5))
    np.testing.assert_allclose(dense, thin, rtol=1e-12)
    ones = statistics.resampled_sums(np.ones((50, 1)), 30, np.random.default_rng(5))
    assert (ones == 50).all()


def test_resamples_do_not_depend_on_how_they_are_batched(monkeypatch):
    values = np.random.default_rng(6).random((40, 2))
    whole = statistics.resampled_sums(values, 25, np.random.default_rng(7))
    monkeypatch.setattr(statistics, "_WEIGHTS_AT_ONCE", 3 * 40)
    np.testing.assert_allclose(
        statistics.resampled_sums(values, 25, np.random.default_rng(7)), whole, rtol=1e-12
    )


def test_spread_of_few_seeds_is_not_underrated():
    # Three seeds with unit sample variance: the variance of their mean is 1/3.
    draws = np.tile(np.array([-1.0, 0.0, 1.0]), (40_000, 1))
    means = statistics.resampled_seed_means(draws, np.random.default_rng(8))
    assert means.var() == pytest.approx(1 / 3, rel=0.03)


def test_a_single_seed_is_kept_as_it_is():
    draws = np.arange(12.0).reshape(4, 1, 3)
    np.testing.assert_array_equal(
        statistics.resampled_seed_means(draws, np.random.default_rng(9)), draws[:, 0]
    )


def test_centred_interval_is_moved_by_the_mean_shift():
    draws = np.linspace(0.0, 1.0, 1001)
    assert statistics.percentile_interval(draws) == pytest.approx((0.025, 0.975))
    assert statistics.percentile_interval(draws, centre=0.3) == pytest.approx((-0.175, 0.775))
    assert statistics.percentile_interval(draws, confidence=0.5) == pytest.approx((0.25, 0.75))


def test_bins_are_open_below_and_closed_above():
    confidence = np.array([0.0, 0.2, 0.2 + 1e-9, 0.999, 1.0])
    np.testing.assert_array_equal(statistics.calibration_bin(confidence, 5), [0, 0, 1, 4, 4])


def test_calibration_error_closed_forms():
    always_sure = np.ones(8)
    assert statistics.expected_calibration_error(always_sure, np.zeros(8), 15) == 1.0
    assert statistics.expected_calibration_error(always_sure, np.ones(8), 15) == 0.0
    # Says 0.75 and is right three times in four, says 0.25 and is right once in four.
    confidence = np.repeat([0.75, 0.25], 4)
    correct = np.array([1, 1, 1, 0, 0, 0, 0, 1])
    assert statistics.expected_calibration_error(confidence, correct, 15) == pytest.approx(0.0, abs=1e-12)
    # One bin of each kind: |0.75 - 1| on half of the items, 0 on the others.
    correct = np.array([1, 1, 1, 1, 0, 0, 0, 1])
    assert statistics.expected_calibration_error(confidence, correct, 15) == pytest.approx(0.125)
