"""A tiny training in each of Kim's modes: what is trained, what is stored, and the look-up of its vectors."""

import dataclasses
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from tokenizers import Tokenizer

from convoy.core import artifact
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.text import TextCNN
from convoy.streamrec.classification.corpus import data as corpora
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models.params import EmbeddingParams, NetworkTraining, TextCNNParams
from convoy.streamrec.classification.models.specs import checked, inputs, probabilities, train
from convoy.streamrec.classification.networks import fit
from convoy.streamrec.classification.networks.vectors import coverage, used
from convoy.streamrec.classification.networks.vectors_io import pretrained
from convoy.streamrec.classification.subject import SUBJECT
from tests.conftest import ROOT
from tests.streamrec.classification.networks.word_vectors import write
from tests.support.trained import QUICK, make

DIMENSION = 8
MODES = ("static", "non_static", "multichannel")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("corpus"), ()).corpus


@pytest.fixture(scope="module")
def path(tmp_path_factory, corpus):
    """Vectors of every other word of the corpus, in fastText's format."""
    rng = np.random.default_rng(0)
    words = sorted(Tokenizer.from_str(corpus.tokenizer_json).get_vocab())[::2]
    vectors = {word: rng.normal(0, 0.2, DIMENSION).tolist() for word in words if word != "[PAD]"}
    return write(tmp_path_factory.mktemp("vectors"), "fasttext", vectors)


def params(path, mode):
    embedding = EmbeddingParams(vectors=str(path), mode=mode)
    training = NetworkTraining(**QUICK)
    return TextCNNParams(embedding_dim=DIMENSION, num_filters=4, embedding=embedding, training=training)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, corpus, path):
    """For each mode its vectors and its stored model."""
    found = {}
    for mode in MODES:
        of_mode = params(path, mode)
        vectors = pretrained(of_mode, corpus.tokenizer_json)
        config, tensors, curve = train("textcnn", of_mode, corpus, (0,), vectors=vectors)
        folder = tmp_path_factory.mktemp(mode) / "model"
        artifact.write(folder, config, tensors, corpus.tokenizer_json, curve)
        found[mode] = vectors, checked(artifact.read(folder))
    return found


@pytest.mark.parametrize("mode", MODES)
def test_fixed_tables_keep_the_vectors_and_others_are_trained(trained, corpus, mode):
    vectors, stored = trained[mode]
    initial = vectors.table(corpus.vocab_size, 0)
    fixed = {"static": "embedding.weight", "multichannel": "fixed.weight"}.get(mode)
    if fixed is not None:
        assert np.array_equal(stored.tensors[fixed], initial)
    if mode != "static":
        moved = np.abs(stored.tensors["embedding.weight"] - initial).max(1)
        assert moved[0] == 0
        assert (moved > 0).mean() > 0.9
    assert stored.config["network"]["mode"] == mode
    facts = stored.config["vectors"]
    assert facts["found"] == len(vectors.ids)
    assert 0.4 < facts["found"] / facts["vocabulary"] < 0.6
    assert 0 < facts["tokens"] < 1
    assert facts["sha256"] == vectors.sha256


@pytest.mark.parametrize("mode", MODES)
def test_the_look_up_equals_the_forward_pass(trained, corpus, mode):
    _, stored = trained[mode]
    network = TextCNN(**stored.config["network"])
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in stored.tensors.items()})
    network.eval()
    items = np.flatnonzero(corpus.lengths > 5)[:40]
    lookup = Embedder(stored, EmbedParams())._lookup
    for item in items:
        tokens = corpus.tokens[corpus.offsets[item] : corpus.offsets[item + 1]]
        with torch.no_grad():
            expected = network.get_embedding(torch.from_numpy(tokens.astype(np.int64))[None]).numpy()
        found = lookup(tokens, np.array([0, len(tokens)]))
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * max(1, np.abs(expected).max()))
    assert probabilities(stored, corpus, items)[0].sum(1) == pytest.approx(1)


def test_two_channels_are_one_table(trained):
    _, stored = trained["multichannel"]
    tensors = dict(stored.tensors)
    one = {**tensors, "embedding.weight": tensors["embedding.weight"] + tensors.pop("fixed.weight")}
    del one["fixed.weight"]
    network = {**stored.config["network"], "mode": "non_static"}
    single = dataclasses.replace(stored, seeds={0: one}, config={**stored.config, "network": network})
    tables = [Embedder(model, EmbedParams())._lookup.tables for model in (stored, single)]
    for both, alone in zip(*tables, strict=True):
        assert np.array_equal(both, alone)


def altered(stored, network=(), **config):
    network = {**stored.config["network"], **dict(network)}
    return dataclasses.replace(stored, config={**stored.config, "network": network, **config})


def test_stored_models_of_another_mode_are_refused(trained):
    _, stored = trained["multichannel"]
    with pytest.raises(ConvoyError, match=r"tensor 'fixed\.weight' is none of this kind"):
        checked(altered(stored, {"mode": "static"}))
    with pytest.raises(ConvoyError, match="vectors: expected for each mode but random"):
        checked(altered(stored, {"mode": "random"}))
    with pytest.raises(ConvoyError, match=r"tensor 'fixed\.weight' is missing"):
        checked(altered(trained["static"][1], {"mode": "multichannel"}))
    with pytest.raises(ConvoyError, match=r"network\.mode': expected 'random', 'static', 'non_static'"):
        checked(altered(stored, {"mode": "frozen"}))
    with pytest.raises(ConvoyError, match="vectors"):
        checked(altered(stored, vectors={"found": 3}))
    few = {**stored.tensors, "fixed.weight": stored.tensors["fixed.weight"][:5]}
    with pytest.raises(ConvoyError, match=r"tensor 'fixed\.weight': expected float32"):
        checked(dataclasses.replace(stored, seeds={0: few}))


def test_params_and_vectors_have_to_fit(corpus, path):
    with pytest.raises(ValidationError, match="mode random uses no vectors"):
        EmbeddingParams(vectors="glove.txt")
    for impossible in ("", "a\0b"):
        with pytest.raises(ValidationError, match="vectors"):
            EmbeddingParams(vectors=impossible, mode="static")
    with pytest.raises(ValidationError, match="mode static needs vectors"):
        EmbeddingParams(mode="static")
    with pytest.raises(ValueError, match="vectors: expected where the params name a mode"):
        fit.train("textcnn", params(path, "static"), corpus, 0)


def test_the_key_of_checkpoints_follows_the_vectors_and_random_ones_leave_no_trace(corpus, path):
    of_mode = params(path, "static")
    vectors = pretrained(of_mode, corpus.tokenizer_json)
    assert inputs(of_mode, vectors)["embedding"] == {"mode": "static", "sha256": vectors.sha256}
    default = inputs(TextCNNParams(), None)
    assert "embedding" not in default
    assert default == TextCNNParams().model_dump(mode="json", exclude={"embedding", "start"})
    assert "mode" not in TextCNNParams().arguments()


def test_the_report_names_mode_and_coverage(trained):
    config = trained["non_static"][1].config | {"vectors": {"found": 1, "vocabulary": 4, "tokens": 0.5}}
    assert used({"network": {}}) == {}
    assert SUBJECT.note({"test": {}}) == ""
    assert SUBJECT.note({"test": {}, **used(config)}) == (
        "Its embeddings begin as vectors from elsewhere (non-static), found for 25.0% of the words of the "
        "vocabulary and 50.0% of those of the training texts."
    )


def test_dvc_watches_the_vectors_and_has_a_file_for_the_default():
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["streamrec-train"]
    assert "${streamrec.models.textcnn.embedding.vectors}" in stage["deps"]
    assert (ROOT / EmbeddingParams().vectors).is_file()


def test_params_of_the_docs_are_read():
    page = (ROOT / "docs/word-vectors.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    found = parse(yaml.safe_load(block)["streamrec"]["models"]["textcnn"], TextCNNParams, "docs")
    assert (found.embedding_dim, found.embedding.mode) == (300, "non_static")


def test_the_train_stage_reads_the_vectors_and_prints_their_coverage(tmp_path, corpus, path):
    data = tmp_path / "data/streamrec"
    corpora.write(data / "corpus", corpus)
    textcnn = {
        "embedding_dim": DIMENSION,
        "num_filters": 4,
        "embedding": {"vectors": str(path), "mode": "static"},
        "training": {"epochs": 1, "threads": 1},
    }
    values = {"streamrec": {"models": {"textcnn": textcnn}, "train": {"seeds": [0]}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))

    def run():
        return subprocess.run(
            [sys.executable, "-P", ROOT / "pipelines/streamrec/train.py", "--model", "textcnn"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "CONVOY_TRACKING": "off"},
        )  # fmt: skip

    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    stored = checked(artifact.read(data / "models/textcnn"))
    assert done.stdout.splitlines()[-1] == coverage(stored.config["vectors"])
    textcnn["embedding_dim"] = DIMENSION + 1
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    done = run()
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"convoy: {path}: line 1: expected vectors of 9 numbers; found 8; set streamrec.models"
    )
