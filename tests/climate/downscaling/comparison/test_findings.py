import pytest

from convoy.climate.downscaling.comparison.compare import compare
from convoy.climate.downscaling.comparison.findings import findings, headline, limits, other_figures
from tests.support import rated
from tests.support.rated import FACTS, PARAMS, Rated, always, at_home, in_turns


@pytest.fixture(scope="module")
def parts():
    return rated.splits()


def compared(errors, parts, noise_floor=0.2, chosen=None):
    found = Rated(errors, parts, noise_floor, chosen)
    return compare(found.metrics, found.daily, FACTS, PARAMS)


def only_where(split, there, elsewhere):
    """An error on one split and another on all others."""
    return lambda domain: there if domain.name == split else elsewhere


def test_words_where_the_network_wins_everywhere(parts):
    found = compared({"ridge": always(0.5), "bicubic": always(0.9), "residual": always(0.3)}, parts)
    assert headline(found) == "The residual network beats every baseline on every split"
    said = findings(found)
    assert said[0] == (
        "On the test days the residual network wins: RMSE 0.300 K compared with 0.500 K for the best "
        "baseline, ridge regression by pixel, 0.200 K less (95% confidence interval 0.200 to 0.200). "
        "That is 66.7% (66.7% to 66.7%) of the way from that baseline to the noise floor of 0.200 K."
    )
    assert said[4] == (
        "So the residual network is the best choice on the test days, on unseen terrain and in the climates "
        "2 K and 4 K warmer."
    )
    assert len(said) == 5
    assert limits(found) == []


def test_a_baseline_that_wins_somewhere_comes_first(parts):
    network = only_where("warmer_4k", 0.8, 0.3)
    found = compared({"ridge": always(0.5), "residual": network}, parts)
    assert headline(found) == (
        "A baseline beats every network in the climate 4 K warmer; the residual network beats every baseline "
        "on the test days, on unseen terrain and in the climate 2 K warmer"
    )
    said = findings(found)
    assert said[0] == (
        "In the climate 4 K warmer a baseline wins: ridge regression by pixel has an RMSE of 0.500 K "
        "compared with 0.800 K for the best network, the residual network, 0.300 K less (95% confidence "
        "interval 0.300 to 0.300)."
    )
    assert [sentence.split(" the residual")[0] for sentence in said[1:4]] == [
        "On the test days", "On unseen terrain", "In the climate 2 K warmer",
    ]  # fmt: skip
    assert said[4] == (
        "So the residual network is the best choice on the test days, on unseen terrain and in the climate "
        "2 K warmer; in the climate 4 K warmer a baseline is better."
    )


def test_no_network_is_worth_its_cost(parts):
    found = compared({"ridge": always(0.5), "unet": always(0.6), "srcnn": always(0.9)}, parts)
    assert headline(found) == "A baseline beats every network on every split"
    said = findings(found)
    assert said[4] == "So no network is the best choice here: a baseline is better."
    assert said[5] == (
        "Of the other networks, SRCNN is worse than the best baseline on the test days, on unseen terrain "
        "and in the climates 2 K and 4 K warmer."
    )


def test_a_tie_comes_before_a_win_and_claims_nothing(parts):
    level = in_turns(0.3, 0.7)
    network = lambda domain: always(0.3)(domain) if domain.name == "unseen" else level(domain)  # noqa: E731
    found = compared({"ridge": always(0.5), "residual": network}, parts)
    assert headline(found) == (
        "A tie of network and baseline on the test days and in the climates 2 K and 4 K warmer; the residual "
        "network beats every baseline on unseen terrain"
    )
    first = findings(found)[0]
    pair = found["splits"]["test"]["networks"]["residual"]
    assert first.startswith("On the test days network and baseline tie: the residual network has an RMSE of ")
    interval = f"{pair['low']:.3f} to {pair['high']:.3f}".replace("-", "−")
    assert first.endswith(f"is not significant (network minus baseline: 95% confidence interval {interval}).")
    assert findings(found)[4].endswith("a baseline is not significantly worse.")


def test_the_paired_difference_may_be_sure_where_intervals_overlap(parts):
    errors = {"ridge": in_turns(0.5, 1.5), "residual": in_turns(0.45, 1.4)}
    said = findings(compared(errors, parts))
    assert "; the intervals of both RMSEs overlap, but the errors are paired)" in said[0]


def test_baselines_alone(parts):
    found = compared({"ridge": at_home(0.4), "bicubic": always(0.9)}, parts)
    assert headline(found) == (
        "No network was compared; the best baseline on the test days is ridge regression by pixel, RMSE "
        "0.400 K"
    )
    assert findings(found)[1] == (
        "On unseen terrain the best baseline is bicubic interpolation, RMSE 0.900 K (95% confidence interval "
        "0.900 to 0.900)."
    )
    (said,) = limits(found)
    assert said == "On unseen terrain ridge regression by pixel cannot be applied: it is fitted per pixel."


def test_a_network_alone_is_compared_with_a_named_baseline(parts):
    found = compared({"ridge": always(0.5), "residual": always(0.3)}, parts, chosen=["residual"])
    assert headline(found) == "The residual network beats every baseline on every split"
    (said,) = limits(found)
    assert said == (
        "The best baseline is chosen among all baselines: ridge regression by pixel is not in "
        "climate.baselines, and shown with the RMSE only."
    )


def test_few_days_claim_nothing(parts):
    few = {"test": [parts["test"][0].at(range(20))]}
    found = compared({"ridge": always(0.5), "residual": always(0.1)}, few)
    assert headline(found) == "Too few days to compare network and baseline on the test days"
    (said,) = findings(found)
    assert said == (
        "On the test days there are too few days for a confidence interval: the residual network has an RMSE "
        "of 0.100 K, the best baseline, ridge regression by pixel, of 0.500 K; which is better is not known."
    )
    assert limits(found)[1] == (
        "There is no confidence interval on the test days: the 20 days make 1 block of at most 30 days, and "
        "it takes at least two."
    )


def test_limits_of_real_grids_are_stated(parts):
    days = {"test": [parts["test"][0].at(range(90))]}
    found = compared({"ridge": always(0.5), "residual": always(0.4)}, days, noise_floor=None)
    assert "noise_floor" not in " ".join(findings(found))
    said = limits(found)
    assert said[0].startswith("The lowest possible error is not known: a noise floor can be")
    assert said[1].startswith("These grids have test days only")
    assert said[2] == (
        "Confidence intervals on the test days are rough: the 90 days make 3 blocks of at most 30 days."
    )


def test_signal_variability_and_conservation(parts):
    # In the warmest climate the network is 2 K too warm, apart from its error of today.
    network = only_where("warmer_4k", 2.1, 0.1)
    found = compared({"ridge": always(0.5), "bicubic": always(0.25), "residual": network}, parts)
    signal, weather, coarse = other_figures(found)
    assert signal == (
        "The error of the change of the mean in the climates 2 K and 4 K warmer is 0.000 K and 2.000 K with "
        "the residual network, 0.000 K and 0.000 K with bicubic interpolation (root mean square over cells)."
    )
    assert weather == (
        "The day-to-day variability of the residual network is realistic: the standard deviation of its "
        "anomalies is 1.00 times the true one on the test days."
    )
    # A constant error is kept by area means.
    assert coarse == (
        "Averaged over coarse cells, the residual network differs from the coarse input by 0.100 K, bicubic "
        "interpolation by 0.250 K (root mean square)."
    )


def test_what_the_truth_differs_from_too_is_nobody_s_fault(parts):
    found = Rated({"bicubic": always(0.25), "residual": always(0.1)}, {"test": parts["test"]})
    perfect, imperfect = (
        other_figures(compare(found.metrics, found.daily, FACTS | {"perfect": known}, PARAMS))
        for known in (True, False)
    )
    assert perfect[-1].startswith("Averaged over coarse cells, ")
    assert imperfect == perfect[:-1]


def test_models_with_incomplete_predictions_are_named_first(parts):
    found = compared({"ridge": always(0.5), "bicubic": always(0.9), "residual": always(0.3)}, parts)
    assert "no prediction" not in " ".join(findings(found))
    for split, share in (("test", 0.75), ("warmer_2k", 0.995)):
        found["splits"][split]["models"]["ridge"]["coverage"] = share
    assert findings(found)[0] == (
        "Ridge regression by pixel has no prediction for some values (25.0% on the test days and 0.5% in the "
        "climate 2 K warmer), whose cells have no training data; bicubic interpolation is used for them."
    )
    assert findings(found)[1].startswith("On the test days the residual network wins")
    alone = compared({"ridge": always(0.5)}, {"test": parts["test"]})
    alone["splits"]["test"]["models"]["ridge"]["coverage"] = 0.5
    assert findings(alone)[0].startswith("Ridge regression by pixel has no prediction for some values (50")


def test_days_that_count_for_no_model_are_counted(parts):
    found = compared({"ridge": always(0.5), "residual": always(0.4)}, {"test": parts["test"]})
    for count, words in ((1, "1 day was"), (1200, "1,200 days were")):
        found["splits"]["test"]["days_left_out"] = count
        text = f"On the test days {words} left out for all models: the truth or an input is missing."
        assert text in limits(found)


def test_what_is_conserved_to_rounding_is_stated(parts):
    found = compared({"ridge": always(0.5), "residual": always(0.1)}, {"test": parts["test"]})
    found["splits"]["test"]["models"]["residual"]["coarse_error"] = 2e-6
    assert "from the coarse input by rounding errors only (root mean square)." in other_figures(found)[-1]


@pytest.mark.parametrize(("ratio", "word"), [(0.94, "too small"), (1.2, "too large"), (0.96, "realistic")])
def test_variability_in_words(parts, ratio, word):
    found = compared({"ridge": always(0.5), "residual": always(0.1)}, {"test": parts["test"]})
    found["splits"]["test"]["models"]["residual"]["sd_ratio"] = ratio
    assert f"is {word}" in other_figures(found)[0]
    assert f"{ratio:.2f} times the true one" in other_figures(found)[0]
