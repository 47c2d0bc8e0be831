"""The synthetic climate of four years, made once."""

import pytest

from convoy.climate.world.synthetic import SyntheticParams, domains
from convoy.storage.domains import Domain


@pytest.fixture(scope="session")
def climate() -> dict[str, Domain]:
    """All domains by name; perfect inputs, seed 0."""
    return {domain.name: domain for domain in domains(SyntheticParams(years=4))}
