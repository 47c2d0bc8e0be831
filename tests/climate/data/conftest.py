"""Variables of a test's own, read as the stage reads them."""

import pytest

from convoy.climate.data import conventions
from convoy.climate.data.conventions import VariableParams
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import write


@pytest.fixture
def read(reader, tmp_path):
    """Write variables, lay the file out, and bring one of them to the convention."""

    def through(variables, name="tasmax", wanted=conventions.DAILY, **overrides):
        path = write(tmp_path / f"{len(list(tmp_path.iterdir()))}.nc", variables)
        facts = reader.facts(path)
        layout = conventions.layout(
            facts, {key: VariableParams.model_validate(value) for key, value in overrides.items()}, wanted
        )
        assert layout is not None
        return layout, layout.fields(name, reader.days(path, layout.stored[name].name))

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
