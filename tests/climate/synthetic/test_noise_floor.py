"""The noise floor by brute force: dense matrices written out by hand, and draws of the field itself."""

import numpy as np
import pytest

from convoy.climate.data.domains import Axis, Grid
from convoy.climate.data.regridding import METHODS, interpolation
from convoy.climate.synthetic.noise_floor import conditional_variance, noise_floor_rmse
from convoy.climate.synthetic.spectra import Modes, broken_power_law

SIZE, CELLS, FACTOR, STD = 24, 12, 4, 2.0
# Far north, where the rows of a coarse cell differ in area.
COARSE = Grid(Axis.regular(60.0, 4.0, 3), Axis.regular(10.0, 4.0, 3))
FINE = Grid(Axis.regular(60.0, 1.0, 12), Axis.regular(10.0, 1.0, 12))
MODES = Modes(SIZE, CELLS, broken_power_law(-3.0, -5 / 3, turn=4.0), STD)


def energy(k: int) -> float:
    """The law of MODES, written out."""
    return k**-3.0 if k < 4 else 4 ** (-3 + 5 / 3) * k ** (-5 / 3)


def covariance_by_hand() -> np.ndarray:
    """Between all pairs of the 144 cells: the sum of the cosines of every wave vector of the torus."""
    half = SIZE // 2
    waves = [(a, b) for a in range(-half, half) for b in range(-half, half)]
    shell = {wave: round(float(np.hypot(*wave))) for wave in waves}
    members = np.bincount(list(shell.values()))
    total = sum(energy(k) for k in range(1, half + 1))
    place = np.array([(row, column) for row in range(CELLS) for column in range(CELLS)])
    lag = place[:, None, :] - place[None, :, :]
    covariance = np.zeros((CELLS**2, CELLS**2))
    for wave, k in shell.items():
        if 0 < k <= half:
            variance = STD**2 * energy(k) / total / members[k]
            covariance += variance * np.cos(2 * np.pi * (lag @ np.array(wave)) / SIZE)
    return covariance


def means_by_hand() -> np.ndarray:
    """P, (9, 144): each coarse cell's fine cells by their area on the sphere."""
    edges = np.sin(np.radians(60 + np.arange(CELLS + 1.0)))
    matrix = np.zeros((3, 3, CELLS, CELLS))
    for i in range(3):
        for j in range(3):
            rows, columns = (slice(FACTOR * n, FACTOR * (n + 1)) for n in (i, j))
            matrix[i, j, rows, columns] = np.diff(edges)[rows, None]
            matrix[i, j] /= matrix[i, j].sum()
    return matrix.reshape(9, CELLS**2)


def areas_by_hand() -> np.ndarray:
    rows = np.diff(np.sin(np.radians(60 + np.arange(CELLS + 1.0))))
    return np.repeat(rows, CELLS) / (rows.sum() * CELLS)


def draws(count: int, seed: int) -> np.ndarray:
    """Independent fields, (count, 144)."""
    days = MODES.days(np.random.default_rng(seed), count, lambda k: np.full_like(k, 1e-2))
    return np.concatenate(list(days)).reshape(count, -1).astype(np.float64)


def rmse(errors: np.ndarray) -> float:
    return float(np.sqrt((np.mean(errors**2, axis=0) * areas_by_hand()).sum()))


@pytest.fixture(scope="module")
def fields() -> np.ndarray:
    return draws(6000, 1)


def test_the_conditional_variance_is_that_of_dense_linear_algebra() -> None:
    """With g = L z and z white: given P g, z is known along the rows of P L and white across them."""
    covariance, means = covariance_by_hand(), means_by_hand()
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    seen = means @ root
    unseen = root @ (np.eye(CELLS**2) - np.linalg.pinv(seen) @ seen)
    expected = (unseen**2).sum(axis=1)
    found = conditional_variance(MODES, COARSE, FINE)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6)
    assert noise_floor_rmse(MODES, COARSE, FINE) == pytest.approx(
        np.sqrt(expected @ areas_by_hand()), rel=1e-9
    )
    assert 0.1 * STD < noise_floor_rmse(MODES, COARSE, FINE) < STD


def test_regression_on_the_block_means_reaches_the_noise_floor_and_no_more(fields) -> None:
    noise_floor = noise_floor_rmse(MODES, COARSE, FINE)
    seen = fields @ means_by_hand().T
    weights, *_ = np.linalg.lstsq(seen, fields, rcond=None)
    again = draws(6000, 2)
    found = rmse(again - again @ means_by_hand().T @ weights)
    assert found == pytest.approx(noise_floor, rel=0.02)
    cells = np.mean((again - again @ means_by_hand().T @ weights) ** 2, axis=0)
    np.testing.assert_allclose(cells, conditional_variance(MODES, COARSE, FINE).ravel(), rtol=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_no_interpolation_of_the_block_means_passes_below_the_noise_floor(fields, method) -> None:
    seen = (fields @ means_by_hand().T).reshape(-1, 3, 3)
    smooth = interpolation(COARSE, FINE, method)(seen).reshape(len(fields), -1)
    assert rmse(fields - smooth) > 1.02 * noise_floor_rmse(MODES, COARSE, FINE)


def test_what_is_not_linear_in_the_means_passes_it_no_more(fields) -> None:
    """Regression on the means, their squares and their products is no better: the field is Gaussian."""

    def features(g: np.ndarray) -> np.ndarray:
        m = g @ means_by_hand().T
        products = [m[:, i] * m[:, j] for i in range(9) for j in range(i + 1)]
        return np.column_stack([m, *products])

    weights, *_ = np.linalg.lstsq(features(fields), fields, rcond=None)
    again = draws(6000, 3)
    assert rmse(again - features(again) @ weights) > 0.99 * noise_floor_rmse(MODES, COARSE, FINE)


def test_who_sees_every_cell_errs_nowhere_and_coarser_cells_tell_less() -> None:
    assert noise_floor_rmse(MODES, FINE, FINE) < 1e-3
    noise_floors = []
    for factor in (2, 3, 4, 6, 12):
        blocks = Axis.regular(60.0, factor, CELLS // factor), Axis.regular(10.0, factor, CELLS // factor)
        noise_floors.append(noise_floor_rmse(MODES, Grid(*blocks), FINE))
    assert noise_floors == sorted(noise_floors)
    assert noise_floors[-1] < STD


def test_the_noise_floor_grows_with_the_field() -> None:
    twice = Modes(SIZE, CELLS, MODES.energy, 2 * STD)
    assert noise_floor_rmse(twice, COARSE, FINE) == pytest.approx(2 * noise_floor_rmse(MODES, COARSE, FINE))


def test_a_grid_need_not_be_square() -> None:
    coarse = Grid(COARSE.lat, Axis.regular(10.0, 4.0, 2))
    fine = Grid(FINE.lat, Axis.regular(10.0, 1.0, 8))
    variance = conditional_variance(MODES, coarse, fine)
    assert variance.shape == (12, 8)
    # Fewer means around a cell tell less of it.
    assert (variance >= conditional_variance(MODES, COARSE, FINE)[:, :8] - 1e-9).all()
