"""The synthetic climate of four years, made once."""

import pytest

from convoy.climate.data.domains import Domain
from convoy.climate.synthetic.scenarios import SyntheticParams, domains


@pytest.fixture(scope="session")
def climate() -> dict[str, Domain]:
    """All domains by name; perfect inputs, seed 0."""
    return {domain.name: domain for domain in domains(SyntheticParams(years=4))}
