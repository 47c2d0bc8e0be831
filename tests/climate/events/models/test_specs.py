import dataclasses

import numpy as np
import pytest
import torch

from convoy.climate.events.data.io import TEST
from convoy.climate.events.models.params import ImageModelParams, ImageTraining, SimpleCNNParams
from convoy.climate.events.models.specs import MODELS, checked, probabilities, train
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.nn.kernels import winograd


def test_simple_cnn_learns_loud_events(cnn, maps):
    rows = maps.rows(TEST)
    found = probabilities(checked(cnn), maps.values[rows])[0]
    assert found.sum(1) == pytest.approx(1)
    assert (found.argmax(1) == maps.labels[rows]).mean() > 0.6


def test_the_layer_of_explanations_has_maps_of_16_cells(cnn):
    # 64, 32, 16 and 8 cells in the four stages: the third is the last with 12 or more.
    assert cnn.config["layer"] == "stages.2"
    assert cnn.config["temperature"] > 0


@pytest.fixture(scope="module")
def few(maps):
    """32 maps of each split."""
    rows = np.sort(np.concatenate([maps.rows(split)[:32] for split in range(3)]))
    return dataclasses.replace(
        maps, values=maps.values[rows], labels=maps.labels[rows], split=maps.split[rows],
        ids=maps.ids.take(rows), sha256=maps.sha256.take(rows), masks=maps.masks[rows],
    )  # fmt: skip


def fitted(network, images):
    training = ImageTraining(epochs=1, batch_size=16, threads=1, precision="float32", device="cpu")
    params = ImageModelParams(network=network, training=training)
    config, tensors, curve = train("image_model", params, images, (0,))
    return checked(StoredModel({**config, "seeds": [0]}, tensors, None, {})), curve


def test_any_network_of_the_dict_is_fitted_by_its_name(few):
    stored, curve = fitted("lenet5", few)
    assert probabilities(stored, few.values[:3])[0].shape == (3, 5)
    assert curve.startswith("epoch,")


def test_wide_networks_are_fitted_and_applied_with_fast_convolutions(few, monkeypatch):
    trained = []

    def noted(images, weight):
        trained.append(torch.is_grad_enabled())
        return convolution(images, weight)

    convolution = winograd.convolution
    monkeypatch.setattr(winograd, "convolution", noted)
    stored, _ = fitted("resnet18", few)
    assert set(trained) == {True, False}  # steps, and the validation
    trained.clear()
    probabilities(stored, few.values[:16])
    assert set(trained) == {False}


def test_a_mark_needs_synthetic_maps(maps):
    pictures = dataclasses.replace(maps, facts=maps.facts.model_copy(update={"marked": None}))
    with pytest.raises(ConvoyError, match="only the synthetic maps have a variant with a mark"):
        train("simple_cnn_marked", SimpleCNNParams(), pictures, (0,))


def changed(stored, **config):
    return dataclasses.replace(stored, config={**stored.config, **config})


def with_tensor(stored, name, value):
    tensors = {**stored.tensors, name: value}
    if value is None:
        del tensors[name]
    return dataclasses.replace(stored, seeds={0: tensors})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda m: changed(m, kind="gpt"), "reads no images"),
        (lambda m: changed(m, classes=["a", "b"]), "as many classes and channels"),
        (lambda m: changed(m, classes=["a"] * 5), "expected each once"),
        (lambda m: changed(m, units=["K"]), "a unit for each"),
        (lambda m: changed(m, channels=["t", "t", "q"]), "channels: expected each once"),
        (lambda m: changed(m, edges=[64, 100_000]), "a value of at most 1024"),
        (lambda m: changed(m, temperature=0.0), "a value greater than 0"),
        (lambda m: changed(m, standard={"mean": [0.0], "std": [1.0]}), "expected 3 channels"),
        (lambda m: changed(m, network={**m.config["network"], "width": 100_000}), "at most 256"),
        (lambda m: changed(m, network={**m.config["network"], "width": 16}), "stem.0.weight"),
        (lambda m: changed(m, network={**m.config["network"], "name": "os.system"}), "IMAGE_MODELS"),
        (lambda m: changed(m, network={**m.config["network"], "name": "lenet5"}), "options of SimpleCNN"),
        (lambda m: changed(m, layer="stages.7"), "layer"),
        (lambda m: changed(m, surprise=1), "surprise"),
        (lambda m: with_tensor(m, "classifier.bias", np.zeros(4, np.float32)), "classifier.bias"),
        (lambda m: with_tensor(m, "classifier.bias", np.full(5, np.nan, np.float32)), "classifier.bias"),
        (lambda m: with_tensor(m, "classifier.bias", None), "classifier.bias"),
    ],
)  # fmt: skip
def test_a_changed_model_is_refused_before_it_is_used(cnn, change, line):
    with pytest.raises(ConvoyError) as caught:
        checked(change(cnn))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_of_the_registry_are_those_of_the_params_and_one_network_has_the_mark():
    assert [name for name, model in MODELS.items() if model.with_mark] == ["simple_cnn_marked"]
    assert all(model.check is None for model in MODELS.values() if model.is_network)
    assert "served" not in MODELS["simple_cnn_marked"].exports
