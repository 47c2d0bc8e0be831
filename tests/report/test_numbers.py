import pytest

from convoy.report.numbers import Measure, fixed, p_value, percent, points


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.0, "0%"),
        (1.0, "100%"),
        (0.5, "50.0%"),
        (0.9346, "93.5%"),
        (0.9998, "99.98%"),
        (0.99999, "99.999%"),
        (0.0004, "0.04%"),
        (1.004, "100.4%"),
        (-0.0512, "−5.1%"),
        (-1e-9, "0.0%"),
    ],
)
def test_percent_never_rounds_to_its_ends(rate, text):
    assert percent(rate) == text


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.2819, "28.2"), (-0.0512, "−5.1"), (0.0, "0.0"), (0.0004, "0.04"), (-0.00001, "0.0")],
)
def test_points_have_a_true_minus_and_no_minus_zero(difference, text):
    assert points(difference) == text


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (-0.00004, 4, "0.0000"),
        (-0.0, 3, "0.000"),
        (-0.00006, 4, "−0.0001"),
        (-1.25, 1, "−1.2"),
        (12.0, 0, "12"),
    ],
)
def test_a_figure_that_rounds_to_zero_has_no_sign(value, decimals, text):
    assert fixed(value, decimals) == text


def test_minus_zero_has_no_sign():
    assert percent(-0.0) == "0%"
    assert Measure(1e-5, "K").bare(-0.0) == "0.00e+00"


@pytest.mark.parametrize(
    ("p", "text"), [(0.594, "p = 0.59"), (0.00012, "p = 0.00012"), (3e-9, "p < 0.0001"), (1.0, "p = 1")]
)
def test_p_as_papers_write_it(p, text):
    assert p_value(p) == text


@pytest.mark.parametrize(
    ("smallest", "value", "text"),
    [
        (0.5, 0.5871, "0.587 K"),
        (0.5, -0.0004, "0.000 K"),
        (0.5, -1.2, "−1.200 K"),
        (1.36, 1.3642, "1.36 K"),
        (45.0, 123.46, "123.5 K"),
        (3e-5, -4.123e-5, "−4.12e−05 K"),
        (0.0, 0.25, "0.250 K"),
        (0.5, None, "–"),
    ],
)
def test_a_measure_shows_its_smallest_figure_to_three_digits(smallest, value, text):
    assert Measure(smallest, "K")(value) == text


def test_figures_without_units_and_spans():
    assert Measure(0.5)(0.25) == Measure(0.5, "K").bare(0.25) == "0.250"
    assert Measure(0.5, "K").span(-0.1, 0.25) == "−0.100 to 0.250"
    assert Measure(0.5, "K").span(None, None) == "–"
