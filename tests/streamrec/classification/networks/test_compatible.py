"""Trainings that begin with an accepted model: what they take from it, and how near their vectors stay."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import r2_score
from torch import nn

from convoy.core import artifact
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.text import UNKNOWN, TextCNN
from convoy.streamrec.classification.corpus.build import CorpusParams, build_corpus
from convoy.streamrec.classification.embedding import Embedder, EmbedParams
from convoy.streamrec.classification.models.params import EmbeddingParams, StartParams, TextCNNParams
from convoy.streamrec.classification.models.specs import checked, inputs, train
from convoy.streamrec.classification.models.start_io import begun_with
from convoy.streamrec.classification.networks.compatible import (
    Compatible,
    Paired,
    relative_distance,
    start_of,
)
from convoy.streamrec.recommender.params import RETRAININGS, RetrainParams
from convoy.training.objectives import Classification
from tests.conftest import ROOT
from tests.support.trained import MAX_CHARACTERS, PARAMS, make


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"), ("textcnn", "bow"))


def again(made, **start):
    folder = str(made.folders["textcnn"])
    training = PARAMS["textcnn"].training.model_copy(update={"epochs": 40, "learning_rate": 0.01})
    start = StartParams(weights=folder, **start)
    return PARAMS["textcnn"].model_copy(update={"start": start, "training": training})


def arguments(corpus, **changes):
    found = {"vocab_size": corpus.vocab_size, "num_classes": len(corpus.categories)}
    return {**found, **PARAMS["textcnn"].arguments(), **changes}


def started(made, corpus, **changes):
    of_network = arguments(corpus, **changes)
    network = TextCNN(**of_network)
    stored = made.stored("textcnn")
    return network, start_of(stored, network, of_network, corpus.tokenizer_json, corpus.categories)


@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_the_distance_is_one_minus_r2_over_all_columns(noise):
    rng = np.random.default_rng(0)
    accepted = rng.normal(size=(50, 4)) * [1, 2, 3, 0.1]
    new = accepted + noise * rng.normal(size=accepted.shape)
    found = relative_distance(torch.from_numpy(new), torch.from_numpy(accepted))
    assert float(found) == pytest.approx(1 - r2_score(accepted, new, multioutput="variance_weighted"))


def test_equal_vectors_of_no_variance_have_no_distance_and_finite_gradients():
    new = torch.ones(3, 2, requires_grad=True)
    found = relative_distance(new, torch.ones(3, 2))
    found.backward()
    assert found.item() == 0
    assert torch.isfinite(new.grad).all()


def test_the_loss_is_that_of_classification_and_the_weighted_distance():
    rng = torch.Generator().manual_seed(0)
    logits, new, accepted = (torch.randn(6, width, generator=rng) for width in (3, 4, 4))
    targets = torch.tensor([0, 1, 2, 0, 1, 2])
    objective = Compatible(Classification(0.1), 3, 5.0)
    expected = nn.CrossEntropyLoss(label_smoothing=0.1)(logits, targets) + 5 * relative_distance(
        new, accepted
    )
    outputs = torch.cat([logits, new, accepted], 1)
    assert objective.loss(outputs, targets) == pytest.approx(float(expected))
    for one, other in zip(
        objective.validate(logits, targets), Classification(0.1).validate(logits, targets), strict=True
    ):
        assert one == other


def test_the_start_is_the_accepted_network(made):
    network, start = started(made, made.corpus)
    network.load_state_dict(start.tensors)
    for name, tensor in made.stored("textcnn").tensors.items():
        assert np.array_equal(network.state_dict()[name].ravel(), tensor.ravel()), name
    assert np.array_equal(start.accepted_ids, np.arange(made.corpus.vocab_size))
    assert start.facts["found"] == start.facts["vocabulary"] == made.corpus.vocab_size - 2


def test_words_and_categories_are_matched_by_name(made):
    """A catalogue without its last category and with half of the words, whose ids are others."""
    known = made.corpus.categories[:-1]
    kept = made.catalogue.filter([name in known for name in made.catalogue["category"].to_pylist()])
    kept = kept.slice(0, 120).append_column("extra", [["x"] * 120]).drop(["extra"])
    synopses = [f"{text} neverseen neverseen" for text in kept["synopsis"].to_pylist()]
    kept = kept.set_column(kept.schema.get_field_index("synopsis"), "synopsis", [synopses])
    corpus = build_corpus(kept, {"max_characters": MAX_CHARACTERS}, CorpusParams(min_count=1))
    network, start = started(made, corpus)
    stored = made.stored("textcnn")
    own, theirs = (json.loads(text)["model"]["vocab"] for text in (corpus.tokenizer_json, stored.tokenizer))
    random = network.state_dict()["embedding.weight"]
    assert len(own) < len(theirs)
    for word, number in own.items():
        row = start.tensors["embedding.weight"][number].numpy()
        if word in theirs:
            assert np.array_equal(row, stored.tensors["embedding.weight"][theirs[word]])
            assert start.accepted_ids[number] == theirs[word]
        else:
            assert np.array_equal(row, random[number])
            assert start.accepted_ids[number] == UNKNOWN
    assert start.facts["vocabulary"] - start.facts["found"] == len(own.keys() - theirs.keys()) > 0
    for row, name in enumerate(corpus.categories):
        place = stored.config["categories"].index(name)
        for part in ("weight", "bias"):
            of_accepted = stored.tensors[f"classifier.{part}"][place]
            assert np.array_equal(start.tensors[f"classifier.{part}"][row], of_accepted)


def test_the_accepted_network_sees_the_same_tokens_and_stays_as_it_is(made):
    corpus, stored = made.corpus, made.stored("textcnn")
    network, start = started(made, corpus)
    both = Paired(network, start).train()
    items = np.flatnonzero(corpus.lengths > 5)[:8]
    lengths = corpus.lengths[items]
    tokens = np.zeros((len(items), lengths.max()), np.int64)
    for row, item in enumerate(items):
        tokens[row, : lengths[row]] = corpus.tokens[corpus.offsets[item] : corpus.offsets[item + 1]]
    classes, width = len(corpus.categories), 12
    outputs = both(torch.from_numpy(tokens))
    assert outputs.shape == (len(items), classes + 2 * width)
    flat, offsets = tokens[tokens > 0].astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])
    expected = Embedder(stored, EmbedParams())._lookup(flat, offsets)
    np.testing.assert_allclose(outputs[:, classes + width :].numpy(force=True), expected, atol=2e-6)
    outputs.sum().backward()
    assert all(parameter.grad is None for parameter in both.accepted.parameters())
    for name, tensor in stored.tensors.items():
        assert np.array_equal(both.accepted.state_dict()[name].ravel(), tensor.ravel()), name
    assert both.eval()(torch.from_numpy(tokens)).shape == (len(items), classes)


def distance(made, config, tensors):
    """1 - r2 of the vectors of all items with words."""
    stored = made.stored("textcnn")
    new = dataclasses.replace(stored, config={**config, "seeds": [1]}, seeds=tensors)
    accepted, found = (
        Embedder(model, EmbedParams()).embed(made.corpus.tokens, made.corpus.offsets)[0]
        for model in (stored, new)
    )
    return 1 - r2_score(accepted, found, multioutput="variance_weighted")


def test_compatible_vectors_stay_nearer_and_the_stored_model_names_its_start(made, tmp_path):
    stored = checked(made.stored("textcnn"))
    found = {}
    for weight in (0.0, 10.0):
        params = again(made, compatibility=weight)
        config, tensors, curve = train("textcnn", params, made.corpus, (1,), accepted=begun_with(params))
        assert config["start"] == {
            "weights_sha256": stored.sha256[artifact.WEIGHTS],
            "found": made.corpus.vocab_size - 2,
            "vocabulary": made.corpus.vocab_size - 2,
            "compatibility": weight,
        }
        folder = tmp_path / f"{weight:g}"
        artifact.write(folder, config, tensors, made.corpus.tokenizer_json, curve)
        assert checked(artifact.read(folder)).tensors.keys() == stored.tensors.keys()
        found[weight] = distance(made, config, tensors)
    assert 0 < found[10.0] < 0.5 * found[0.0]


def test_models_that_cannot_be_a_start_are_refused(made):
    corpus, stored = made.corpus, made.stored("textcnn")
    of_network = arguments(corpus)
    network = TextCNN(**of_network)

    def refused(model, expected, tokenizer=corpus.tokenizer_json, **changes):
        with pytest.raises(ConvoyError, match=expected):
            start_of(model, network, {**of_network, **changes}, tokenizer, corpus.categories)

    refused(made.stored("bow"), "expected a textcnn whose embeddings began at random; found bow")
    refused(stored, r"network\.num_filters: expected 5; found 4", num_filters=5)
    refused(stored, r"network\.kernel_sizes: expected \[2, 3\]; found \[3, 4, 5\]", kernel_sizes=(2, 3))
    pieces = build_corpus(
        made.catalogue, {"max_characters": MAX_CHARACTERS}, CorpusParams(tokenizer="bpe", vocab_size=400)
    )
    refused(stored, "a tokenizer of words, or this very one of pieces", pieces.tokenizer_json)
    with pytest.raises(ValueError, match=r"start\.weights hold the word embeddings"):
        TextCNNParams(
            start=StartParams(weights="x"), embedding=EmbeddingParams(vectors="y", mode="static")
        )  # fmt: skip
    with pytest.raises(ConvoyError, match="no such model folder"):
        begun_with(TextCNNParams(start=StartParams(weights="nowhere")))


def test_the_key_of_checkpoints_follows_the_weights(made):
    params = again(made, compatibility=3.0)
    accepted = begun_with(params)
    assert inputs(params, None, accepted)["start"] == {"weights": accepted.sha256, "compatibility": 3.0}
    assert begun_with(TextCNNParams()) is None
    assert "start" not in inputs(TextCNNParams(), None)
    assert "start" not in TextCNNParams().arguments()


def test_the_retrainings_of_the_stage(made):
    retrain = RetrainParams.model_validate({"epochs": 3, "continued": {"compatibility": 7.0}})
    own = again(made, compatibility=2.0)
    found = retrain.versions(own, "accepted")
    assert tuple(found) == tuple(RETRAININGS)
    starts = [(one.start.weights, one.start.compatibility) for one in found.values()]
    assert starts == [("random", 10.0), ("accepted", 0.0), ("accepted", 7.0)]
    assert [one.training.epochs for one in found.values()] == [3, 1, 1]
    assert [one.training.learning_rate for one in found.values()] == [0.01, 0.001, 0.001]


def test_dvc_watches_the_weights_and_has_a_file_for_the_default():
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["streamrec-train"]
    assert "${streamrec.models.textcnn.start.weights}" in stage["deps"]
    assert (ROOT / StartParams.model_validate({}).weights).is_file()


def test_params_of_the_docs_are_read():
    page = (ROOT / "docs/versions.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    found = parse(yaml.safe_load(block)["streamrec"]["models"]["textcnn"], TextCNNParams, "docs")
    assert (found.start.compatibility, found.training.epochs) == (10.0, 2)
