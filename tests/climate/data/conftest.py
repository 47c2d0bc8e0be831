"""Files of a test's own, read as the stage reads them."""

import re

import pytest

from convoy.climate.data import conventions
from convoy.climate.data.conventions import VariableParams
from convoy.climate.data.netcdf import Reader
from convoy.climate.downscaling.data import GridsParams
from convoy.climate.downscaling.pairs import home
from convoy.core import params
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import write
from tests.support.known import SPLIT


@pytest.fixture(scope="module")
def reader():
    with Reader() as shared:
        yield shared


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


@pytest.fixture
def build(reader, tmp_path):
    """The domain and the facts of files (name -> variables), with `source` by their names."""

    def through(files, source, **section):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        paths = {name: str(write(folder / name, variables)) for name, variables in files.items()}

        def named(value):
            return [paths[name] for name in value] if isinstance(value, list) else paths.get(value, value)

        given = {"source": {key: named(value) for key, value in source.items()}, "split": SPLIT, **section}
        parsed = params.parse(given, GridsParams, where="climate.grids")
        told = {path: reader.facts(path) for path in parsed.paths()}
        return home(parsed, told, reader.days)

    return through


@pytest.fixture
def build_refusal(build, tmp_path):
    """The line with which files are refused, without their folder."""

    def line(*arguments, **section):
        with pytest.raises(ConvoyError) as caught:
            build(*arguments, **section)
        assert "\n" not in str(caught.value)
        return re.sub(rf"{tmp_path}/\d+/", "", str(caught.value))

    return line
