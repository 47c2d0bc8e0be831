"""Random fields: their energy by shell, their covariance and their memory are the ones asked for."""

import numpy as np
import pytest

from convoy.climate.synthetic.spectra import Modes, broken_power_law, power_law

SIZE = 12


def drawn(modes: Modes, count: int, seed: int = 0, memory=None, chunk: int = 64) -> np.ndarray:
    memory = memory or (lambda k: np.full_like(k, 1e-2))
    return np.concatenate(list(modes.days(np.random.default_rng(seed), count, memory, chunk)))


def shells(size: int) -> dict[int, list[tuple[int, int]]]:
    """Whole wave vectors (row, column) of a periodic square by the rounded length, all of the plane."""
    found: dict[int, list[tuple[int, int]]] = {}
    for row in range(-(size // 2), (size + 1) // 2):
        for column in range(-(size // 2), (size + 1) // 2):
            found.setdefault(round(float(np.hypot(row, column))), []).append((row, column))
    return found


def energies(fields: np.ndarray) -> dict[int, float]:
    """Mean squared amplitude summed over each shell, from a plain complex transform."""
    size = fields.shape[-1]
    power = np.mean(np.abs(np.fft.fft2(fields.astype(np.float64)) / size**2) ** 2, axis=0)
    return {k: sum(power[row, column] for row, column in members) for k, members in shells(size).items()}


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("law", [power_law(-2.0), broken_power_law(-3.0, -5 / 3, turn=3.0, first=2.0)])
def test_the_energy_of_each_shell_follows_the_law_and_sums_to_the_variance(size, law) -> None:
    std = 1.7
    found = energies(drawn(Modes(size, size, law, std), 6000))
    inner = np.arange(1, size // 2 + 1)
    wanted = law(inner.astype(float))
    wanted *= std**2 / wanted.sum()
    # A shell's energy is the mean of thousands of squares.
    np.testing.assert_allclose([found[k] for k in inner], wanted, rtol=0.05)
    assert all(found[k] < 1e-10 for k in found if k == 0 or k > size // 2)
    assert sum(found.values()) == pytest.approx(std**2, rel=0.03)


@pytest.mark.parametrize("size", [12, 13])
def test_the_covariance_is_the_sum_of_cosines_and_that_of_drawn_fields(size) -> None:
    modes = Modes(size, size, power_law(-1.5), 2.0)
    by_hand = np.zeros((size, size))
    lags = np.arange(size)
    total = sum(float(k) ** -1.5 for k in range(1, size // 2 + 1))
    for k, members in shells(size).items():
        for row, column in members if 0 < k <= size // 2 else ():
            phase = 2 * np.pi * (row * lags[:, None] + column * lags[None, :]) / size
            by_hand += 4.0 * k**-1.5 / total / len(members) * np.cos(phase)
    covariance = modes.covariance()
    np.testing.assert_allclose(covariance, by_hand, atol=1e-12)
    assert covariance[0, 0] == pytest.approx(4.0)
    fields = drawn(modes, 6000).astype(np.float64)
    for row, column in ((0, 0), (0, 1), (1, 0), (2, 3), (5, 1), (6, 6)):
        sampled = np.mean(fields * np.roll(fields, (row, column), (1, 2)))
        assert sampled == pytest.approx(covariance[row, column], abs=0.04)


def test_one_window_of_a_larger_square_has_the_covariance_at_small_lags() -> None:
    modes = Modes(24, 8, power_law(-2.0), 1.0)
    fields = drawn(modes, 8000)
    assert fields.shape == (8000, 8, 8)
    assert fields.dtype == np.float32
    sampled = np.mean(fields[:, 1, 2].astype(np.float64) * fields[:, 6, 4])
    assert sampled == pytest.approx(modes.covariance()[5, 2], abs=0.04)
    np.testing.assert_allclose(fields.std(axis=0), 1, rtol=0.05)
    np.testing.assert_allclose(fields.mean(axis=0), 0, atol=0.06)


@pytest.mark.parametrize("memory_days", [0.7, 3.0])
def test_each_wavenumber_forgets_at_its_own_rate(memory_days) -> None:
    """Correlation at n days is exp(-n / memory), memory by wavenumber; stationary from the first day."""
    modes = Modes(SIZE, SIZE, power_law(-1.0), 1.0)
    fields = drawn(modes, 12_000, memory=lambda k: memory_days * 2 / k)
    amplitude = np.fft.fft2(fields.astype(np.float64))
    for k, (row, column) in ((1, (0, 1)), (2, (2, 0)), (5, (3, 4))):
        wave = amplitude[:, row, column]
        for lag in (1, 2):
            correlation = np.mean((wave[:-lag] * wave[lag:].conj()).real) / np.mean(np.abs(wave) ** 2)
            assert correlation == pytest.approx(np.exp(-lag * k / (2 * memory_days)), abs=0.04)


def test_the_first_day_is_as_varied_as_all_others() -> None:
    modes = Modes(SIZE, SIZE, power_law(-1.0), 1.0)
    series = np.stack([drawn(modes, 12, seed, lambda k: np.full_like(k, 5.0)) for seed in range(400)])
    np.testing.assert_allclose(series.std(axis=(0, 2, 3)), 1, rtol=0.04)


def test_a_seed_gives_one_series_however_it_is_cut() -> None:
    modes = Modes(SIZE, 6, power_law(-2.0), 1.0)
    series = [drawn(modes, 50, 3, lambda k: 4 / k, chunk) for chunk in (64, 64, 7, 1)]
    for again in series[1:]:
        np.testing.assert_array_equal(again, series[0])
    assert not np.array_equal(drawn(modes, 50, 4, lambda k: 4 / k), series[0])
    # A longer series begins as the shorter one.
    np.testing.assert_array_equal(drawn(modes, 80, 3, lambda k: 4 / k)[:50], series[0])


def test_laws() -> None:
    k = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    np.testing.assert_allclose(power_law(-2.0)(k), [1, 1 / 4, 1 / 16, 1 / 64, 1 / 256])
    np.testing.assert_allclose(power_law(-2.0, first=4.0)(k)[:3], 1 / 16)
    law = broken_power_law(-3.0, -1.0, turn=8.0, first=2.0)
    np.testing.assert_allclose(law(k), [1 / 8, 1 / 8, 1 / 64, 1 / 512, 1 / 1024])
    assert law(np.array([8 - 1e-9]))[0] == pytest.approx(law(np.array([8.0]))[0])
