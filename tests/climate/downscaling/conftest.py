"""A piece of the synthetic climate and models of it, made once."""

import pytest

from tests.support import downscaled


@pytest.fixture(scope="session")
def terrains():
    """Four years at home, and a year elsewhere."""
    return downscaled.climate()


@pytest.fixture(scope="session")
def home(terrains):
    return terrains[0].at(slice(300, 530))


@pytest.fixture(scope="session")
def network(terrains):
    return downscaled.stored("residual", terrains[0], spread="normal")


@pytest.fixture(scope="session")
def lapse(terrains):
    return downscaled.stored("lapse_daily", terrains[0])


@pytest.fixture(scope="session")
def ridge(terrains):
    return downscaled.stored("ridge", terrains[0])
