"""A sound folder of grids, which tests copy before they change it."""

import pytest

from tests.support import stored_grids as stored


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    return stored.write_folder(tmp_path_factory.mktemp("sound") / "grids")
