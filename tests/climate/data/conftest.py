"""Variables of a test's own, read as the stage reads them."""

import pytest

from convoy.climate.data.conventions import conform
from convoy.climate.data.variables import DAILY, VariableParams
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import write


@pytest.fixture
def read(reader, tmp_path):
    """Write variables, bring the file to the convention, and take the values of one of them."""

    def through(variables, name="tasmax", wanted=DAILY, **overrides):
        path = write(tmp_path / f"{len(list(tmp_path.iterdir()))}.nc", variables)
        settings = {key: VariableParams.model_validate(value) for key, value in overrides.items()}
        found = conform(reader.open(path), settings, wanted)
        assert found is not None
        return found, found[name].values

    return through


@pytest.fixture
def refusal(read, tmp_path):
    """The line with which variables are refused, without the path."""

    def line(variables, name="tasmax", **arguments):
        with pytest.raises(ConvoyError) as caught:
            read(variables, name, **arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return line
