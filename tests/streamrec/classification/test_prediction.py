"""Predictions are those of the stages: the same texts, categories, probabilities and vectors."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from convoy.core.errors import ConvoyError
from convoy.embeddings import read
from convoy.embeddings.io import STATUSES
from convoy.embeddings.write_io import write
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.corpus.data import TEST
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models import specs as models
from convoy.streamrec.classification.prediction import Predictor
from tests.conftest import ROOT
from tests.support import trained

KINDS = ("bow", "textcnn", "linear", "linear_pairs")


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    return trained.make(tmp_path_factory.mktemp("product"), seeds=(4, 2))


@pytest.fixture(scope="module")
def predictors(product):
    return {kind: Predictor(product.stored(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_categories_and_probabilities_are_those_of_the_evaluate_stage(product, predictors, kind):
    items = product.corpus.items(TEST)
    evaluated = models.probabilities(product.stored(kind), product.corpus, items)
    rows = product.catalogue.take(pa.array(items))
    found = predictors[kind](rows["title"], rows["synopsis"])
    of_first_seed = evaluated[4]
    np.testing.assert_array_equal(found.probabilities, of_first_seed)
    assert found.category == [product.corpus.categories[place] for place in of_first_seed.argmax(axis=1)]
    np.testing.assert_array_equal(found.probability, of_first_seed.max(axis=1))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_cleaned_as_those_of_the_catalogue(product, predictors, kind):
    dirty = predictors[kind](*product.raw())
    clean = predictors[kind](product.catalogue["title"], product.catalogue["synopsis"])
    assert dirty.category == clean.category
    np.testing.assert_array_equal(dirty.probabilities, clean.probabilities)
    np.testing.assert_array_equal(dirty.status, clean.status)
    # Not for want of dirt.
    pairs = zip(product.raw()[1], product.catalogue["synopsis"].to_pylist(), strict=True)
    assert sum(raw != cleaned for raw, cleaned in pairs) > 40


@pytest.mark.parametrize("kind", ["bow", "textcnn"])
def test_vectors_have_the_bytes_of_convoy_embed(product, predictors, kind, tmp_path):
    embedder = Embedder(product.stored(kind), EmbedParams())
    write(tmp_path / "out", Items(product.source, {}), embedder, embedder.dimension, embedder.facts)
    ids, vectors = read(tmp_path / "out")
    part = pq.read_table(tmp_path / "out/parquet")
    found = predictors[kind](*product.raw())
    assert found.embedding.shape == (len(ids), predictors[kind].dimension)
    assert found.embedding.dtype == np.float32
    order = np.argsort(product.catalogue["item_id"].to_pylist())
    assert found.embedding[order].tobytes() == vectors.tobytes()
    assert [STATUSES[found.status[place]] for place in order] == part["status"].to_pylist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("others", [0, 3])
def test_texts_without_known_words_are_answered_and_marked(product, predictors, kind, others):
    titles = [None, "", "<i></i>", "zzzz", None]
    synopses = [None, " ", "\x00", "qqqq zzzz", "\t"]
    row = product.catalogue.slice(0, 1).to_pylist()[0]
    found = predictors[kind]([*titles, *[row["title"]] * others], [*synopses, *[row["synopsis"]] * others])
    status = ["empty_text", "empty_text", "empty_text", "all_unknown", "empty_text"] + ["ok"] * others
    assert [STATUSES[number] for number in found.status] == status
    assert np.isfinite(found.probabilities).all()
    # Of nothing read they say one and the same, whatever stands beside it.
    empty = [place for place, name in enumerate(status) if name == "empty_text"]
    alone = predictors[kind]([None], [None])
    np.testing.assert_allclose(found.probabilities[empty], alone.probabilities[[0] * len(empty)], rtol=1e-6)
    assert {found.category[place] for place in empty} == set(alone.category)
    if kind in ("bow", "textcnn"):
        assert found.embedding.any(axis=1).tolist() == [name == "ok" for name in status]
    else:
        assert found.embedding is None
        assert predictors[kind].dimension is None


def test_words_without_a_signal_are_marked_and_have_zeros(product):
    stored = product.stored("textcnn")
    tensors = {name: np.copy(tensor) for name, tensor in stored.tensors.items()}
    for name in tensors:
        if name.endswith("norm.bias"):
            tensors[name] -= np.float32(1e3)  # no filter rises above zero
    predictor = Predictor(dataclasses.replace(stored, seeds={0: tensors}))
    word = product.catalogue["synopsis"][1].as_py().split()[0]
    found = predictor([None, None], [word, ""])
    assert [STATUSES[number] for number in found.status] == ["no_signal", "empty_text"]
    assert not found.embedding.any()
    np.testing.assert_allclose(found.probabilities[0], found.probabilities[1], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_only_empty_texts_and_no_texts_at_all(predictors, kind):
    empty = predictors[kind](["", None], [None, ""])
    assert empty.probabilities.shape == (2, 5)
    none = predictors[kind]([], [])
    assert none.category == []
    assert none.probabilities.shape == (0, 5)
    assert none.probability.shape == none.status.shape == (0,)
    if none.embedding is not None:
        assert none.embedding.shape == (0, predictors[kind].dimension)


@pytest.mark.parametrize("kind", KINDS)
def test_one_text_at_a_time_says_the_same(product, predictors, kind):
    titles, synopses = (column[:12] for column in product.raw())
    together = predictors[kind](titles, synopses)
    for row, (title, synopsis) in enumerate(zip(titles, synopses, strict=True)):
        alone = predictors[kind]([title], [synopsis])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[row], rtol=1e-5)
        if alone.embedding is not None:
            np.testing.assert_array_equal(alone.embedding[0], together.embedding[row])


def test_what_is_no_text_is_refused_with_its_row(predictors):
    with pytest.raises(ConvoyError, match=r"^title, row 2: expected a text or null, found int 7$"):
        predictors["bow"](["a", 7], ["b", "c"])
    with pytest.raises(ConvoyError, match=r"^synopsis, row 1: half a character"):
        predictors["bow"](["a"], ["b\ud800"])


def test_models_that_are_none_of_ours_or_do_not_fit_are_refused(product):
    stored = product.stored("linear")
    with pytest.raises(ConvoyError, match="model 'oracle' reads no texts; expected one of textcnn"):
        Predictor(dataclasses.replace(stored, config=stored.config | {"kind": "oracle"}))
    with pytest.raises(ConvoyError, match="its rules are those of neither kind"):
        Predictor(dataclasses.replace(stored, tokenizer='{"model": {"vocab": {}}}'))


def test_a_model_trained_on_a_gpu_predicts_without_one(product, predictors):
    stored = product.stored("bow")
    training = stored.config["training"] | {"device": "cuda"}
    elsewhere = Predictor(dataclasses.replace(stored, config=stored.config | {"training": training}))
    expected = predictors["bow"](["a"], ["b"])
    np.testing.assert_allclose(elsewhere(["a"], ["b"]).probabilities, expected.probabilities, rtol=0.05)


def test_baselines_need_neither_torch_nor_mlflow(product):
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from convoy.core import artifact as models\n"
        "from convoy.streamrec.classification.prediction import Predictor\n"
        "found = Predictor(models.read(Path(sys.argv[1])))(['a'], ['b'])\n"
        "print(json.dumps([name for name in ('torch', 'mlflow') if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, product.folders["linear_pairs"]],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []
