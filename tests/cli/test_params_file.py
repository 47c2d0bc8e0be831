"""params.yaml in git is complete, and every key of it can be set for one run."""

import json
import shutil
from typing import Any

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from convoy.cli import params_file
from convoy.core.errors import ConvoyError
from convoy.core.params import SECTIONS
from convoy.core.yaml_io import read_yaml
from tests.conftest import ROOT

COMMITTED = ROOT / "params.yaml"


@pytest.fixture
def copy(tmp_path):
    return shutil.copy(COMMITTED, tmp_path / "params.yaml")


def leaves(values: Any, place: str = "") -> dict[str, Any]:
    """Dotted key -> value of everything that is no mapping with keys."""
    if not isinstance(values, dict) or not values:
        return {place: values}
    return {
        key: value
        for name, inner in values.items()
        for key, value in leaves(inner, f"{place}.{name}" if place else name).items()
    }


def test_the_committed_file_holds_every_key_with_its_default():
    assert COMMITTED.read_text(encoding="utf-8") == params_file.document(), "run `make params`"


def test_the_known_sections_are_those_of_the_file():
    values = read_yaml(COMMITTED)
    assert {name: set(sections) if name != "promotion" else set() for name, sections in values.items()} == {
        name: set(sections) for name, sections in SECTIONS.items()
    }


def test_values_of_the_user_stay_and_missing_keys_come_back(copy):
    values = read_yaml(copy)
    values["streamrec"]["models"]["textcnn"]["training"]["epochs"] = 3
    values["streamrec"]["catalogue"]["source"] = "titles.csv"
    values["climate"]["grids"]["source"] = {"fine": ["a.nc"], "factor": 4}
    values["climate"]["networks"] = ["unet"]
    del values["streamrec"]["sweep"], values["climate"]["models"]["unet"]["hidden"]
    copy.write_text(yaml.safe_dump(values))
    params_file.write(copy)
    written = copy.read_text(encoding="utf-8")
    params_file.write(copy)
    assert copy.read_text(encoding="utf-8") == written
    changed, defaults = leaves(read_yaml(copy)), leaves(read_yaml(COMMITTED))
    assert {key: value for key, value in changed.items() if defaults.get(key, "absent") != value} == {
        "streamrec.models.textcnn.training.epochs": 3,
        "streamrec.catalogue.source": "titles.csv",
        "climate.grids.source.fine": ["a.nc"],
        "climate.grids.source.factor": 4,
        "climate.networks": ["unet"],
    }


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("streamrec.models.textcnn.droput", "unknown key 'droput' (did you mean 'dropout'?)"),
        ("climate.modles", "unknown section 'climate.modles' (did you mean 'climate.models'?)"),
    ],
)
def test_a_key_that_nothing_reads_is_refused_and_the_file_stays(copy, place, expected):
    values = read_yaml(copy)
    *sections, key = place.split(".")
    inner = values
    for name in sections:
        inner = inner[name]
    inner[key] = 0.1
    copy.write_text(yaml.safe_dump(values))
    before = copy.read_bytes()
    with pytest.raises(ConvoyError) as caught:
        params_file.write(copy)
    assert expected in str(caught.value)
    assert copy.read_bytes() == before


def test_every_key_can_be_set_without_a_plus(copy):
    overrides = [
        f"{key}={json.dumps(value) if value is None or isinstance(value, bool) else value}"
        for key, value in leaves(read_yaml(copy)).items()
        if not isinstance(value, list | dict) and " " not in str(value)
    ]
    assert len(overrides) > 100
    apply_overrides(copy, [*overrides, "streamrec.models.textcnn.training.epochs=3"])
    defaults = leaves(read_yaml(COMMITTED))
    assert leaves(read_yaml(copy)) == defaults | {"streamrec.models.textcnn.training.epochs": 3}
