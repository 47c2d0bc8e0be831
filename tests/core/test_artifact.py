"""The model folder: weights of every seed, config and tokenizer come back; what is not whole is refused."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from convoy.core import artifact as models
from convoy.core import files
from convoy.core.errors import ConvoyError

CONFIG = {"schema": 1, "kind": "bow", "categories": ["Ärger", "drama"]}
TOKENIZER = '{"vocab": "naïve\\n"}\n'


def tensors(seed):
    draw = np.random.default_rng(seed)
    return {
        "embedding.weight": draw.normal(size=(5, 3)).astype(np.float32),
        "codes": np.arange(4),
        "scalar": np.array(2.5),
        "turned": draw.normal(size=(2, 3)).T,  # safetensors would store the memory, not the array
    }


@pytest.fixture
def folder(tmp_path):
    models.write(tmp_path / "model", CONFIG, {7: tensors(7), 3: tensors(3)}, TOKENIZER, curve="epoch,loss\n")
    return tmp_path / "model"


def test_what_is_written_comes_back(folder):
    stored = models.read(folder)
    assert stored.config == {**CONFIG, "seeds": [7, 3]}
    assert stored.tokenizer_json == TOKENIZER
    assert list(stored.seeds) == [7, 3]
    for seed, found in stored.seeds.items():
        assert set(found) == set(tensors(seed))
        for name, tensor in tensors(seed).items():
            np.testing.assert_array_equal(found[name], tensor)
            assert found[name].dtype == tensor.dtype
    assert stored.tensors is stored.seeds[7]
    assert (folder / "curve.csv").read_text() == "epoch,loss\n"


def test_the_first_seed_is_the_one_that_leaves_the_house(folder):
    names = {"model.safetensors", "seed-3.safetensors", "config.json", "tokenizer.json", "curve.csv"}
    assert {path.name for path in folder.iterdir()} == names | {files.MANIFEST}
    np.testing.assert_array_equal(load_file(folder / "model.safetensors")["turned"], tensors(7)["turned"])
    stored = models.read(folder)
    assert set(stored.sha256) == names
    assert stored.sha256["model.safetensors"] == files.sha256(folder / "model.safetensors")


def test_a_model_without_curve_and_with_one_seed(tmp_path):
    models.write(tmp_path / "model", CONFIG, {0: tensors(0)}, "{}")
    assert not (tmp_path / "model" / "curve.csv").exists()
    assert list(models.read(tmp_path / "model").seeds) == [0]


def test_a_gpu_that_training_asked_for_is_not_asked_for_again():
    def config_of(training):
        stored = models.StoredModel({**CONFIG, "training": training}, {0: tensors(0)}, None, {})
        return stored.on_any_machine().config

    assert config_of({"device": "cuda", "epochs": 3}) == {
        **CONFIG,
        "training": {"device": "auto", "epochs": 3},
    }
    for training in ({"device": "cpu", "epochs": 3}, {}):
        assert config_of(training) == {**CONFIG, "training": training}
    assert models.StoredModel(CONFIG, {0: tensors(0)}, None, {}).on_any_machine().config == CONFIG


def test_the_same_model_gives_the_same_bytes(tmp_path, folder):
    models.write(tmp_path / "again", CONFIG, {7: tensors(7), 3: tensors(3)}, TOKENIZER, curve="epoch,loss\n")
    assert files.check_manifest(tmp_path / "again") == files.check_manifest(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "seed-3.safetensors", "config.json", "tokenizer.json"])
def test_a_changed_byte_or_missing_file_is_refused(folder, name):
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConvoyError, match=f"{name}: sha256 differs"):
        models.read(folder)
    path.unlink()
    with pytest.raises(ConvoyError, match=f"{name}: missing"):
        models.read(folder)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ConvoyError, match="no such model folder"):
        models.read(tmp_path / "model")
    (tmp_path / "other").mkdir()
    files.write_manifest(tmp_path / "other")
    with pytest.raises(ConvoyError, match=r"no model\.safetensors, so this is not a model folder"):
        models.read(tmp_path / "other")
