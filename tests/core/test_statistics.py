import numpy as np
import pytest
from scipy import sparse
from scipy.stats import binomtest

from convoy.core import statistics


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


def test_grouped_sums_of_dense_and_sparse_rows():
    rng = np.random.default_rng(3)
    values, groups = rng.normal(size=(50, 3)), rng.permutation(np.arange(50) % 7)
    expected = [values[groups == group].sum(axis=0) for group in range(7)]
    np.testing.assert_allclose(statistics.grouped_sums(values, groups), expected)
    np.testing.assert_allclose(statistics.grouped_sums(sparse.csr_array(values), groups), expected)


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


def test_blocks_are_cut_from_the_start_and_begin_anew_after_a_gap():
    # 65 days, then a gap of ten days, then 31 days.
    ordinal = np.concatenate([np.arange(1000, 1065), np.arange(1075, 1106)])
    expected = np.repeat([0, 1, 2, 3, 4], [30, 30, 5, 30, 1])
    np.testing.assert_array_equal(statistics.blocks(ordinal), expected)
    np.testing.assert_array_equal(statistics.blocks(np.arange(7), block_days=3), [0, 0, 0, 1, 1, 1, 2])


def test_domains_share_no_block_though_their_dates_follow_each_other():
    ordinal = np.arange(40)
    series = np.repeat([0, 1], 20)
    np.testing.assert_array_equal(statistics.blocks(ordinal, series), np.repeat([0, 1], 20))
    # The same dates at two places.
    np.testing.assert_array_equal(
        statistics.blocks(np.tile(np.arange(35), 2), np.repeat([4, 2], 35)),
        np.repeat([0, 1, 2, 3], [30, 5] * 2),
    )


def test_blocks_of_one_day_are_the_plain_bootstrap():
    daily = np.random.default_rng(10).random((25, 2))
    found = statistics.block_bootstrap(daily, np.arange(25), 20, np.random.default_rng(11))
    plain = statistics.resampled_sums(daily, 20, np.random.default_rng(11)) / 25
    np.testing.assert_allclose(found, plain, rtol=1e-12)


def test_days_of_a_block_stay_together_and_blocks_count_by_their_days():
    # Ten days of 0 and one of 11: two draws of these blocks have the mean 0 / 20, 11 / 11 or 22 / 2.
    daily = np.array([0.0] * 10 + [11.0])[:, None]
    blocks = np.array([0] * 10 + [1])
    found = statistics.block_bootstrap(daily, blocks, 4000, np.random.default_rng(12))[:, 0]
    values, counts = np.unique(found.round(9), return_counts=True)
    np.testing.assert_allclose(values, [0.0, 1.0, 11.0])
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)


def test_a_day_that_one_baseline_lacks_counts_for_neither():
    daily = np.array([[1.0, 2.0], [np.nan, 90.0], [1.0, 2.0], [80.0, np.nan], [1.0, 2.0]])
    found = statistics.block_bootstrap(daily, np.arange(5), 50, np.random.default_rng(13))
    np.testing.assert_allclose(found, np.tile([1.0, 2.0], (50, 1)), rtol=1e-12)


def test_blocks_cover_the_true_rmse_of_days_with_a_memory_and_single_days_do_not():
    rng = np.random.default_rng(14)
    memory, days, trials = 0.6, 1500, 300
    covered = np.zeros(2)
    for _ in range(trials):
        noise = rng.standard_normal(days) * np.sqrt(1 - memory**2)
        error = np.empty(days)
        error[0] = rng.standard_normal()
        for day in range(1, days):
            error[day] = memory * error[day - 1] + noise[day]
        # Daily squared errors of mean 4 whose logarithm has the memory: exp(N(-1/8, 1/4)) has mean 1.
        squared = 4 * np.exp(error / 2 - 1 / 8)
        for index, blocks in enumerate((statistics.blocks(np.arange(days)), np.arange(days))):
            low, high = statistics.rmse_interval(squared, blocks, 200, rng)
            covered[index] += low <= 2 <= high
    # Neighbouring blocks still depend a little on each other, and 50 blocks are few: a bit less than 0.95.
    assert covered[0] / trials == pytest.approx(0.935, abs=0.04)
    assert covered[1] / trials < 0.8


def test_skill_and_share_of_the_way_to_the_noise_floor_by_hand():
    assert statistics.skill(1.5, 2.0) == pytest.approx(0.25)
    assert statistics.noise_floor_share(1.5, 2.0, 1.0) == pytest.approx(0.5)
    assert statistics.noise_floor_share(2.5, 2.0, 1.0) == pytest.approx(-0.5)
    assert np.isnan(statistics.noise_floor_share(0.5, 0.9, 1.0))
    assert np.isnan(statistics.skill(0.1, 0.0))


def test_paired_intervals_see_only_what_differs():
    rng = np.random.default_rng(15)
    baseline = 4 * rng.gamma(2.0, size=300)
    blocks = statistics.blocks(np.arange(300))
    # The model's squared error is a quarter of the baseline's every day: its skill is 1/2 in every resample.
    assert statistics.skill_interval(baseline / 4, baseline, blocks, 100, rng) == pytest.approx((0.5, 0.5))
    # Likewise with every day alike: (2 - 1) / (2 - 1/2).
    flat = np.full(300, 4.0)
    found = statistics.noise_floor_share_interval(flat / 4, flat, 0.5, blocks, 100, rng)
    assert found == pytest.approx((2 / 3, 2 / 3))
    low, high = statistics.noise_floor_share_interval(baseline / 4, baseline, 0.5, blocks, 400, rng)
    measured = statistics.noise_floor_share(np.sqrt(baseline.mean() / 4), np.sqrt(baseline.mean()), 0.5)
    assert low < measured < high


def test_draws_of_a_single_training_are_those_of_its_days_alone():
    daily = np.random.default_rng(17).gamma(2.0, size=(90, 2))
    blocks = statistics.blocks(np.arange(90))
    means = statistics.block_bootstrap(daily, blocks, 50, np.random.default_rng(18))
    for sides in ([daily[:, 0], daily[:, 1]], [daily[:, :1], daily[:, 1]]):
        found = statistics.rmse_draws(sides, blocks, 50, np.random.default_rng(18))
        np.testing.assert_array_equal(found, np.sqrt(means))


def test_draws_of_several_trainings_hold_the_spread_of_both():
    # Trainings whose RMSEs are 1, 2 and 3 on every day: two of them are drawn, their mean RMSE counts.
    squared = np.tile([1.0, 4.0, 9.0], (60, 1))
    blocks = statistics.blocks(np.arange(60))
    rng = np.random.default_rng(19)
    found, alone = statistics.rmse_draws([squared, np.full(60, 4.0)], blocks, 6000, rng).T
    values, counts = np.unique(found.round(9), return_counts=True)
    np.testing.assert_allclose(values, [1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(counts / 6000, np.array([1, 2, 3, 2, 1]) / 9, atol=0.02)
    np.testing.assert_allclose(alone, 2)
    # The variance of a mean of three with unit variance is 1/3, and days add their own.
    assert np.var(found) == pytest.approx(1 / 3, rel=0.05)
    noisy = squared * np.repeat([0.5, 1.5], 30)[:, None]
    assert np.var(statistics.rmse_draws([noisy], blocks, 6000, rng)) > np.var(found) + 0.03


def test_intervals_that_cannot_be_known_are_none():
    rng = np.random.default_rng(16)
    daily = rng.random(40) + 1
    one_block, two_blocks = np.zeros(40, int), np.repeat([0, 1], 20)
    assert statistics.rmse_interval(daily, one_block, 20, rng) is None
    assert statistics.skill_interval(daily, daily, one_block, 20, rng) is None
    assert statistics.rmse_interval(np.full(40, np.nan), two_blocks, 20, rng) is None
    assert statistics.rmse_interval(daily, two_blocks, 20, rng) is not None
    # The baseline already stands below the noise floor.
    assert statistics.noise_floor_share_interval(daily / 2, daily, 5.0, two_blocks, 20, rng) is None
