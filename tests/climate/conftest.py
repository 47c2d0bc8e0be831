"""The synthetic climate of four years, made once; files of a test's own, read as the stage reads them."""

import re

import pytest

from convoy.climate.data.domains import Domain
from convoy.climate.data.netcdf import Reader
from convoy.climate.downscaling.sources.grids import GridsParams
from convoy.climate.downscaling.sources.pairs import home
from convoy.climate.synthetic.scenarios import SyntheticParams, domains
from convoy.core import params
from convoy.core.errors import ConvoyError
from tests.support.gridfiles import write
from tests.support.known import SPLIT


@pytest.fixture(scope="session")
def climate() -> dict[str, Domain]:
    """All domains by name; perfect inputs, seed 0."""
    return {domain.name: domain for domain in domains(SyntheticParams(years=4))}


@pytest.fixture(scope="module")
def reader():
    with Reader() as shared:
        yield shared


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
        return home(parsed, {path: reader.open(path) for path in parsed.paths()})

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
