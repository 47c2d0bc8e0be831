import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.data.regridding import area_mean
from convoy.climate.downscaling.evaluation.skill.patterns import (
    coarse_nyquist,
    spectral_measures,
    spectrum,
    ssim,
)

N = 32
FINE = Grid(Axis.regular(0, 0.25, N), Axis.regular(0, 0.25, N))
COARSE = Grid(Axis.regular(0, 1, N // 4), Axis.regular(0, 1, N // 4))
EVEN = np.full((N, N), 1 / N**2)


def wave(number: int, rows: int = N, columns: int = N, across: bool = True, phase: float = 0.4) -> np.ndarray:
    """One map (1, rows, columns) of a sine of amplitude 1 along its columns (or rows)."""
    side = columns if across else rows
    line = np.sin(2 * np.pi * number * np.arange(side) / side + phase)
    return np.broadcast_to(line if across else line[:, None], (1, rows, columns))


@pytest.mark.parametrize("across", [True, False])
def test_a_wave_has_half_its_amplitude_squared_about_its_wavenumber(across):
    wavenumber, power = spectrum(270 + 3 * wave(7, across=across))
    np.testing.assert_allclose(wavenumber, np.arange(1, 17) / N)
    # A Hann window has 2/3 of its power in the middle and 1/6 on each side.
    expected = np.zeros(16)
    expected[[5, 6, 7]] = 4.5 * np.array([1, 4, 1]) / 6
    np.testing.assert_allclose(power, expected, atol=1e-9)


def test_power_is_the_mean_over_days_that_have_values():
    days = np.concatenate([wave(5), 3 * wave(5), np.full((1, N, N), np.nan)])
    _, power = spectrum(days)
    assert power.sum() == pytest.approx((0.5 + 4.5) / 2)


def test_more_days_than_are_held_at_a_time_and_missing_cells_that_take_the_mean():
    _, one = spectrum(wave(5))
    _, many = spectrum(np.repeat(wave(5), 600, axis=0))
    np.testing.assert_allclose(many, one, atol=1e-12)
    holed = np.random.default_rng(0).normal(280, 3, (2, N, N))
    filled = holed.copy()
    holed[:, 3:9, 20:] = np.nan
    filled[:, 3:9, 20:] = np.nanmean(holed, axis=(1, 2))[:, None, None]
    np.testing.assert_allclose(spectrum(holed)[1], spectrum(filled)[1], rtol=1e-9)


@pytest.mark.parametrize("shape", [(16, 20), (15, 21), (17, 16)])
def test_shells_gather_the_modes_of_a_full_transform(shape):
    maps = np.random.default_rng(1).standard_normal((3, *shape))
    maps -= maps.mean(axis=(1, 2), keepdims=True)
    window = np.outer(*(np.hanning(side + 1)[:-1] for side in shape))
    modes = (np.abs(np.fft.fft2(maps * window)) ** 2).mean(axis=0) / maps[0].size ** 2 / (window**2).mean()
    side = min(shape)
    expected = np.zeros(side // 2)
    for row, y in enumerate(np.fft.fftfreq(shape[0])):
        for column, x in enumerate(np.fft.fftfreq(shape[1])):
            shell = round(float(np.hypot(x, y)) * side)
            if 1 <= shell <= side // 2:
                expected[shell - 1] += modes[row, column]
    wavenumber, power = spectrum(maps)
    np.testing.assert_allclose(wavenumber, np.arange(1, side // 2 + 1) / side)
    np.testing.assert_allclose(power, expected, rtol=1e-9)


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_fields_scaled_by_a_factor_lie_20_log10_of_it_apart(factor):
    truth = np.random.default_rng(2).standard_normal((4, N, N))
    found = spectral_measures(280 + factor * truth, 280 + truth, area_mean(FINE, COARSE))
    assert found["log_spectral_distance"] == pytest.approx(abs(20 * np.log10(factor)), rel=1e-6)
    assert found["high_frequency_ratio"] == pytest.approx(factor**2, rel=1e-6)


def test_log_spectral_distance_has_its_root_and_weighs_wavenumbers_alike():
    # Day by day equal in sum, each wavenumber of its own ratio: compare with the two spectra themselves.
    rng = np.random.default_rng(3)
    prediction, truth = rng.standard_normal((2, 5, N, N)) * np.array([1.0, 2.0])[:, None, None, None]
    decibels = 10 * (np.log10(spectrum(prediction)[1]) - np.log10(spectrum(truth)[1]))
    found = spectral_measures(prediction, truth, None)
    assert found["log_spectral_distance"] == pytest.approx(np.linalg.norm(decibels) / np.sqrt(16), rel=1e-9)
    assert np.isnan(found["high_frequency_ratio"])


def test_high_frequencies_begin_beyond_what_the_coarse_grid_holds():
    means = area_mean(FINE, COARSE)
    assert coarse_nyquist(means) == pytest.approx(1 / 8, rel=1e-3)
    # The coarse grid holds 4 waves in 32 cells: a wave of 3 does not count, one of 12 does.
    truth = wave(3) + wave(12)
    found = spectral_measures(5 * wave(3) + 0.5 * wave(12), truth, means)
    assert found["high_frequency_ratio"] == pytest.approx(0.25, rel=1e-6)
    far_north = Grid(Axis.regular(60, 0.25, N), FINE.lon)
    wide = Grid(Axis.regular(58, 1, 12), Axis.regular(-3, 2, 9))
    assert coarse_nyquist(area_mean(far_north, wide)) == pytest.approx(1 / 8, rel=0.01)


def test_similarity_of_equal_and_of_flat_maps():
    truth = np.random.default_rng(4).normal(285, 6, (3, N, N))
    assert ssim(truth, truth, EVEN) == pytest.approx(1, abs=1e-12)
    # Flat maps have no structure to lose: luminance alone, of values that count from the lowest on.
    flat = np.stack([np.full((N, N), 270.0), np.full((N, N), 300.0)])
    c1 = (0.01 * 30) ** 2
    expected = (c1 / (2**2 + c1) + (2 * 30 * 32 + c1) / (30**2 + 32**2 + c1)) / 2
    assert ssim(flat + 2, flat, EVEN) == pytest.approx(expected, rel=1e-9)


def by_hand(x: np.ndarray, y: np.ndarray, areas: np.ndarray, low: float, high: float) -> float:
    """Wang et al. (2004), equation 13, window by window; NaN where missing."""
    distance = np.arange(-5, 6)
    kernel = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * 1.5**2))
    c1, c2 = (0.01 * (high - low)) ** 2, (0.03 * (high - low)) ** 2
    total = weight = 0.0
    windows = [sliding_window_view(field - low, (11, 11)) for field in (x, y)]
    for row in range(windows[0].shape[0]):
        for column in range(windows[0].shape[1]):
            a, b = (window[row, column] for window in windows)
            known = ~np.isnan(a)
            if not known[5, 5]:
                continue
            share = np.where(known, kernel, 0) / kernel[known].sum()
            a, b = np.nan_to_num(a), np.nan_to_num(b)
            ma, mb = (share * a).sum(), (share * b).sum()
            va, vb = (share * (a - ma) ** 2).sum(), (share * (b - mb) ** 2).sum()
            ab = (share * (a - ma) * (b - mb)).sum()
            here = (2 * ma * mb + c1) * (2 * ab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            total += here * areas[row + 5, column + 5]
            weight += areas[row + 5, column + 5]
    return total / weight


@pytest.mark.parametrize("holes", [False, True])
def test_similarity_is_that_of_wang_and_others_window_by_window(holes):
    rng = np.random.default_rng(5)
    truth = 280 + np.cumsum(rng.standard_normal((2, 18, 20)), axis=1)
    prediction = truth + 2 * rng.standard_normal(truth.shape)
    areas = np.outer(np.linspace(1, 2, 18), np.ones(20))
    if holes:
        truth[:, 4:9, 11:] = prediction[:, 4:9, 11:] = np.nan
    low, high = np.nanmin(truth), np.nanmax(truth)
    days = [by_hand(p, t, areas, low, high) for p, t in zip(prediction, truth, strict=True)]
    assert 0.2 < days[0] < 0.99
    assert ssim(prediction, truth, areas) == pytest.approx(np.mean(days), rel=1e-9)


def test_similarity_takes_200_days_from_first_to_last():
    rng = np.random.default_rng(6)
    truth = rng.normal(280, 5, (598, 16, 16))
    truth[0, 0, 0], truth[0, 0, 1] = 200, 400
    prediction = truth + rng.standard_normal(truth.shape)
    areas = np.full((16, 16), 1 / 256)
    # Every third of 598 days: 0, 3, ... 597.
    expected = ssim(prediction[::3], truth[::3], areas)
    assert ssim(prediction, truth, areas) == pytest.approx(expected, rel=1e-12)


def test_what_has_no_structure_has_no_similarity():
    small = np.random.default_rng(7).standard_normal((3, 10, 30))
    assert np.isnan(ssim(small, small, np.ones((10, 30))))
    flat = np.ones((3, N, N))
    assert np.isnan(ssim(flat, flat, EVEN))
    assert np.isnan(ssim(flat * np.nan, flat * np.nan, EVEN))
    # Values at the border alone: no cell is far enough from it.
    border = np.full((3, N, N), np.nan)
    border[:, 0] = np.arange(N)
    assert np.isnan(ssim(border, border, EVEN))
