"""A stored model of site-years is used only where its config and tensors are consistent."""

import copy
import json
import random
import shutil

import numpy as np
import pytest

from convoy.climate.series.models.baselines import FEATURES
from convoy.climate.series.models.params import SeriesTraining, TemporalCNNParams
from convoy.climate.series.models.specs import MODELS, probabilities, train
from convoy.climate.series.models.stored import NETWORKS, check_model, network_tensors
from convoy.climate.series.sources.io import SeriesParams, made
from convoy.core import artifact
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.files import MANIFEST, write_manifest
from convoy.core.models import names_of
from convoy.nn.temporal import SeriesClassifier

QUICK = TemporalCNNParams(
    n_filters=2, n_layers=2, output_dim=3, kernel_size=3,
    training=SeriesTraining(epochs=1, threads=1, device="cpu", precision="float32"),
)  # fmt: skip


@pytest.fixture(scope="module")
def held():
    values = {"synthetic": {"sites": 60, "years": 1}, "inputs": ("tas", "psl")}
    return made(SeriesParams.model_validate(values))[0]


@pytest.fixture(scope="module")
def trained(held):
    found = {}
    for name, row in MODELS.items():
        params = QUICK if row.is_network else row.params()
        config, tensors, _ = train(name, params, held, (0,))
        found[name] = StoredModel({**config, "seeds": [0]}, tensors, None, {})
    return found


def test_the_registry_and_the_checks_know_the_same_models():
    assert set(names_of(MODELS, "network")) == set(NETWORKS)
    assert set(names_of(MODELS, "baseline")) == {*FEATURES, "majority"}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_trained_passes(trained, name):
    assert check_model(trained[name]) is trained[name]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"n_filters": 8, "kernel_size": 3, "n_layers": 1, "output_dim": 4}, {"n_layers": 6, "n_filters": 4}],
)
def test_tensors_are_those_of_the_network(arguments):
    full = {"num_classes": 3, "n_variables": 2, "n_filters": 64, "kernel_size": 5, "n_layers": 4,
            "output_dim": 128, "dropout": 0.0, **arguments}  # fmt: skip
    expected = network_tensors(full)
    state = SeriesClassifier(**full).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        name: value.shape for name, value in expected.items()
    }


def _config(**changes):
    return lambda model: model.config.update(changes)


def _network(**changes):
    return lambda model: model.config["network"].update(changes)


def _tensor(name, change):
    def apply(model):
        model.seeds[0][name] = change(model.seeds[0][name])

    return apply


FAULTS = {
    "another kind": ("temporal_cnn", _config(kind="gru"), "reads no site-years"),
    "another task": ("temporal_cnn", _config(task="climate/events"), "task"),
    "an unknown variable": ("temporal_cnn", _config(variables=["tas", "rain"]), "expected some of tas"),
    "a variable twice": ("harmonics", _config(variables=["tas", "tas"]), "each once"),
    "too few categories": ("temporal_cnn", _config(categories=["coast"]), "network.num_classes: expected 1"),
    "a category twice": ("majority", _config(categories=["a"] * 5), "categories: expected each once"),
    "too many filters": ("temporal_cnn", _network(n_filters=10**9), "at most 4096"),
    "another width": ("temporal_cnn", _network(output_dim=4), r"expected float32 \[4, 4\]"),
    "an unknown key": ("quantiles", _config(more=1), "unknown key 'more'"),
    "NaN": ("temporal_cnn", _tensor("whitening_VV", lambda t: t * np.float32("nan")), "whitening_VV"),
    "a negative variance": (
        "temporal_cnn", _tensor("encoder.blocks.0.1.running_var", lambda t: -1 - t), "running_var",
    ),
    "a scale of zero": ("monthly_means", _tensor("scale", lambda t: 0 * t), "tensor 'scale'"),
    "too few features": ("harmonics", _tensor("coef", lambda t: t[:, 1:]), "tensor 'coef'"),
    "shares that do not add up": ("majority", _tensor("frequencies", lambda t: t / 2), "a sum of 1"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_line_for_a_faulty_model(trained, fault):
    name, change, message = FAULTS[fault]
    model = copy.deepcopy(trained[name])
    change(model)
    with pytest.raises(ConvoyError, match=message) as caught:
        check_model(model)
    assert "\n" not in str(caught.value)


def test_an_altered_folder_is_refused_in_one_line_or_gives_probabilities(trained, held, tmp_path):
    """Bytes of weights and values of the config changed, the manifest renewed."""
    model = trained["temporal_cnn"]
    artifact.write(tmp_path / "sound", model.config, model.seeds, None)
    draw, lines = random.Random(0), []
    for number in range(200):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "sound", folder)
        if number % 2:
            path = folder / "model.safetensors"
            content = bytearray(path.read_bytes())
            content[draw.randrange(len(content))] = draw.randrange(256)
            path.write_bytes(content)
        else:
            config = json.loads((folder / "config.json").read_text())
            section = draw.choice([config, config["network"], config["training"]])
            section[draw.choice(sorted(section))] = draw.choice([None, -1, 0, 2**40, 0.5, "x", [], {}, [1]])
            (folder / "config.json").write_text(json.dumps(config))
        (folder / MANIFEST).unlink()
        write_manifest(folder)
        try:
            found = probabilities(check_model(artifact.read(folder)), held.values[:2])
        except ConvoyError as error:
            lines.append(str(error))
        else:
            assert all(table.shape == (2, 5) for table in found.values())
        shutil.rmtree(folder)
    assert len(lines) > 80
    assert not any("\n" in line for line in lines)
