"""The model folder: weights of every seed, config and tokenizer come back; what is not whole is refused."""

import json
import os
import stat

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


def test_every_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        models.write(tmp_path / "model", CONFIG, {7: tensors(7), 3: tensors(3)}, TOKENIZER, curve="epoch\n")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model").iterdir()}
    assert set(modes.values()) == {0o640}, modes


def _header(text, rest=b"\0" * 8):
    return len(text).to_bytes(8, "little") + text + rest


def _one(dtype, begin, end, shape="[2]"):
    text = f'{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}}}'
    return _header(text.encode())


BROKEN = [
    ("model.safetensors", content) for content in (
        b"", b"\0" * 7, b"\xff" * 8, (2**40).to_bytes(8, "little"), _header(b"{"), _header(b"[]"),
        _header(b"null"), _header(b"\xff\xfe"), _header(b'{"a":1}'), _header(b'{"a":{}}'), _one("F32", 0, 4),
        _one("F32", 0, 80), _one("F32", 8, 0), _one("F32", 0, 8, "[-2]"), _one("F32", 0, 8, "[1e9]"),
        _one("F32", 0, 8, f"[{2**62},{2**62}]"), _one("F99", 0, 8), _one("BF16", 0, 8, "[4]"),
        _one("F8_E4M3", 0, 8, "[8]"), _one("F8_E5M2", 0, 8, "[8]"), _header(b"[" * 100_000),
    )
] + [
    ("config.json", content) for content in (
        b"", b"{", b"null", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"kind": "bow"}', b'{"seeds": [7, 3]}', b'{"kind": null, "seeds": [7, 3]}',
        b'{"kind": "bow", "seeds": null}', b'{"kind": "bow", "seeds": []}',
        b'{"kind": "bow", "seeds": [7, 7]}',
        b'{"kind": "bow", "seeds": [true]}', b'{"kind": "bow", "seeds": [[7]]}',
        b'{"kind": "bow", "seeds": [7, 4]}', b'{"kind": "bow", "seeds": [7, "../x"]}',
        b'{"kind": "bow", "seeds": [7, 3], "x": NaN}', b'{"kind": "bow", "seeds": [7, 3], "training": 1}',
        b'{"kind": "bow", "seeds": [7, 3], "x": ' + b"9" * 5000 + b"}", b" " * (1 << 21),
    )
] + [("tokenizer.json", b"\xff\xfe"), ("tokenizer.json", b"ab\xc3")]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), BROKEN)
def test_broken_files_with_renewed_hashes_are_refused_in_one_line(folder, name, content):
    (folder / name).write_bytes(content)
    (folder / files.MANIFEST).unlink()
    files.write_manifest(folder)
    with pytest.raises(ConvoyError, match=rf"^[^\n]*{name}[^\n]*$") as caught:
        models.read(folder)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("facts", ["null", "[]", "{}", '{"bytes": null, "sha256": "x"}', '{"bytes": 1}', "3"])
def test_a_manifest_with_nulls_is_refused_in_one_line(folder, facts):
    found = json.loads((folder / files.MANIFEST).read_text())
    found["files"]["config.json"] = json.loads(facts)
    (folder / files.MANIFEST).write_text(json.dumps(found))
    with pytest.raises(ConvoyError, match=r"^[^\n]*'config\.json': no bytes and sha256[^\n]*$"):
        models.read(folder)
