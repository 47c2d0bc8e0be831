"""From rows to vectors with a stored model: text handling, statuses, the network itself."""

import dataclasses
import hashlib

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from convoy.core.errors import ConvoyError
from convoy.core.stored import LARGEST
from convoy.embeddings.io import STATUSES
from convoy.nn.text import BagOfWordsModel, TextCNN
from convoy.streamrec.classification.embedding import Embedder, EmbedParams, statuses
from tests.support.tiny import MAX_TOKENS, write_model

SYNOPSES = [
    "A tale of two cities, retold by a cat",
    "the café at the end of the road",
    "One road. Two cats; no café!",
    "cat",
    "two two two two two two two",
    "a long road " * 30,
]
ROWS = [
    {"item_id": f"item-{number}", "title": title, "synopsis": synopsis}
    for number, (title, synopsis) in enumerate(
        [
            ("Cities", SYNOPSES[0]),
            ("", SYNOPSES[1]),
            (None, SYNOPSES[2]),
            ("", "  "),
            ("zebra", "qwertz asdf"),
            ("", SYNOPSES[3]),
            ("Road &amp; road", "<b>cat</b>"),
            ("", SYNOPSES[4]),
            ("long", SYNOPSES[5]),
            (None, None),
        ]
    )
]
STATUS = ["ok", "ok", "ok", "empty_text", "all_unknown", "ok", "ok", "ok", "ok", "empty_text"]
SCHEMA = pa.schema({name: pa.string() for name in ("item_id", "title", "synopsis")})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        kind: write_model(folder / kind, kind, ["road " + " ".join(SYNOPSES)]) for kind in ("bow", "textcnn")
    }


def batch(rows):
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


def embedder(model, normalise="none"):
    return Embedder(model, EmbedParams(normalise=normalise))


def by_the_network(model, texts, device):
    """The trained network itself, on the library's own tokens, padded."""
    tokenizer = Tokenizer.from_str(model.tokenizer_json)
    tokens = [torch.tensor(tokenizer.encode(text).ids[:MAX_TOKENS], dtype=torch.long) for text in texts]
    tensors = {name: torch.from_numpy(tensor) for name, tensor in model.tensors.items()}
    vocab, dim = tensors["embedding.weight"].shape
    if model.config["kind"] == "bow":
        network: torch.nn.Module = BagOfWordsModel(vocab, dim, num_classes=2)
    else:
        network = TextCNN(vocab, dim, 12, num_classes=0)
    network.load_state_dict(tensors, strict=False)
    network.eval().to(device)
    with torch.no_grad():
        padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True).to(device)
        return network.get_embedding(padded).cpu().numpy()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("kind", ["bow", "textcnn"])
def test_vectors_are_those_of_the_network(stored, kind, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU that torch can use")
    texts = [
        f"{'Cities'} {SYNOPSES[0]}",
        SYNOPSES[1],
        SYNOPSES[2],
        "Road & road cat",
        f"long {SYNOPSES[5]}".strip(),
    ]
    found = embedder(stored[kind])(batch([ROWS[0], ROWS[1], ROWS[2], ROWS[6], ROWS[8]]))
    expected = by_the_network(stored[kind], texts, device)
    cosine = (
        (found.vectors * expected).sum(1)
        / np.linalg.norm(found.vectors, axis=1)
        / np.linalg.norm(expected, axis=1)
    )
    assert cosine.min() > 0.99999
    if device == "cpu":  # GPUs may round products to TF32
        np.testing.assert_allclose(found.vectors, expected, rtol=0, atol=3e-6 * np.abs(expected).max())
    assert found.text_sha256 == [hashlib.sha256(text.encode()).hexdigest() for text in texts]


@pytest.mark.parametrize("kind", ["bow", "textcnn"])
@pytest.mark.parametrize("normalise", ["none", "l2"])
def test_zeros_exactly_where_the_status_is_not_ok(stored, kind, normalise):
    found = embedder(stored[kind], normalise)(batch(ROWS))
    assert [STATUSES[status] for status in found.status] == STATUS
    assert found.vectors.any(1).tolist() == [status == "ok" for status in STATUS]
    assert found.vectors.dtype == np.float32


@pytest.mark.parametrize("kind", ["bow", "textcnn"])
def test_l2_gives_length_one_and_the_same_direction(stored, kind):
    plain, unit = (embedder(stored[kind], normalise)(batch(ROWS)).vectors for normalise in ("none", "l2"))
    ok = plain.any(1)
    np.testing.assert_allclose(np.linalg.norm(unit[ok].astype(float), axis=1), 1, rtol=1e-6)
    lengths = np.linalg.norm(plain[ok].astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(unit[ok] * lengths, plain[ok], rtol=1e-6, atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(ROWS), min_size=1, max_size=30), st.sampled_from(["none", "l2"]))
def test_a_vector_does_not_depend_on_its_batch(stored, rows, normalise):
    for model in stored.values():
        embed = embedder(model, normalise)
        together = embed(batch(rows))
        for number, row in enumerate(rows):
            alone = embed(batch([row]))
            assert np.array_equal(alone.vectors[0], together.vectors[number])
            assert alone.status[0] == together.status[number]


def test_statuses_from_tokens():
    tokens, offsets = np.array([1, 1, 5, 1, 1], np.int32), np.array([0, 0, 2, 4, 4, 5])
    assert [STATUSES[status] for status in statuses(tokens, offsets)] == [
        "empty_text", "all_unknown", "ok", "empty_text", "all_unknown",
    ]  # fmt: skip


def test_facts_name_what_made_the_vectors(stored):
    facts = embedder(stored["textcnn"], "l2").facts
    assert facts == {
        "model": "textcnn",
        "pooling": "max",
        "normalise": "l2",
        "max_tokens": MAX_TOKENS,
        "weights_sha256": stored["textcnn"].sha256["model.safetensors"],
        "tokenizer_sha256": stored["textcnn"].sha256["tokenizer.json"],
    }


def test_models_that_cannot_embed_are_refused(stored):
    def changed(**config):
        return dataclasses.replace(stored["bow"], config=stored["bow"].config | config)

    with pytest.raises(ConvoyError, match="a linear model has no embeddings; expected textcnn or bow"):
        embedder(changed(kind="linear"))
    few = {"embedding.weight": stored["bow"].tensors["embedding.weight"][:9]}
    few = dataclasses.replace(stored["bow"], seeds={0: stored["bow"].tensors | few})
    with pytest.raises(ConvoyError, match=r"'embedding\.weight': expected .* found float32 \[9, 16\]"):
        embedder(few)
    network = stored["bow"].config["network"] | {"vocab_size": 9}
    with pytest.raises(ConvoyError, match=r"tokenizer\.json has \d+ ids, model\.safetensors rows for 9"):
        embedder(changed(network=network))
    with pytest.raises(ConvoyError, match=r"tokenizer\.json: its rules are those of neither kind"):
        embedder(dataclasses.replace(stored["bow"], tokenizer='{"model": {"vocab": {}}}'))


def shifted(model, bias):
    """A TextCNN of which fewer filters rise above zero, or none: batch norm's bias is moved."""
    tensors = {name: np.copy(tensor) for name, tensor in model.tensors.items()}
    for size in range(3):
        tensors[f"branches.{size}.norm.bias"] += np.float32(bias)
    return dataclasses.replace(model, seeds={0: tensors})


@pytest.mark.parametrize("normalise", ["none", "l2"])
def test_known_words_that_leave_every_filter_at_zero_have_a_status_of_their_own(stored, normalise):
    words = ["cat", "road", "two", "tale", "the cat", "end of", "cities café", "long road", "a", "zebra", ""]
    rows = [{"item_id": word, "title": "", "synopsis": word} for word in words]
    model = shifted(stored["textcnn"], -4.77)
    zero = ~by_the_network(model, words[:-2], "cpu").any(1)
    assert zero.sum() == 4  # a sound model, to which some of the texts mean nothing
    found = embedder(model, normalise)(batch(rows))
    assert [STATUSES[status] for status in found.status] == [
        *("no_signal" if none else "ok" for none in zero), "all_unknown", "empty_text",
    ]  # fmt: skip
    assert found.vectors.any(1).tolist() == [STATUSES[status] == "ok" for status in found.status]
    if normalise == "l2":
        lengths = np.linalg.norm(found.vectors.astype(float), axis=1)
        np.testing.assert_allclose(lengths, found.status == 0, rtol=1e-6)


def test_a_model_that_hears_nothing_still_gives_every_item_a_row(stored):
    found = embedder(shifted(stored["textcnn"], -1e6))(batch(ROWS))
    assert [STATUSES[status] for status in found.status] == [
        "no_signal" if status == "ok" else status for status in STATUS
    ]
    assert not found.vectors.any()


def with_embedding(model, weights):
    return dataclasses.replace(model, seeds={0: model.tensors | {"embedding.weight": weights}})


@pytest.mark.parametrize("size", [1e-44, 1e-30, LARGEST])
def test_l2_of_the_smallest_and_largest_vectors(stored, size):
    """Squares that vanish change neither length nor status."""
    weights = np.sign(stored["bow"].tensors["embedding.weight"]) * np.float32(size)
    model = with_embedding(stored["bow"], weights)
    found = embedder(model, "l2")(batch([{"item_id": "1", "title": "", "synopsis": "cat"}]))
    assert STATUSES[found.status[0]] == "ok"
    np.testing.assert_allclose(np.abs(found.vectors), 0.25, rtol=1e-6)  # 16 dimensions


def test_words_that_cancel_each_other_leave_no_signal(stored):
    weights = np.copy(stored["bow"].tensors["embedding.weight"])
    cat, road = (
        Tokenizer.from_str(stored["bow"].tokenizer_json).token_to_id(word) for word in ("cat", "road")
    )
    weights[road] = -weights[cat]
    model = with_embedding(stored["bow"], weights)
    found = embedder(model, "l2")(batch([{"item_id": "1", "title": "cat", "synopsis": "road"}]))
    assert STATUSES[found.status[0]] == "no_signal"
    assert not found.vectors.any()


@pytest.mark.parametrize("kind", ["bow", "textcnn"])
def test_the_largest_weights_that_are_taken_give_finite_vectors(stored, kind):
    loud = {name: np.copy(tensor) for name, tensor in stored[kind].tensors.items()}
    for name, tensor in loud.items():
        tensor[:] = 0 if name.endswith("running_var") else np.copysign(LARGEST, tensor)
    found = embedder(dataclasses.replace(stored[kind], seeds={0: loud}))(batch(ROWS))
    assert np.isfinite(found.vectors).all()
    loud["embedding.weight"][1:] = 2 * LARGEST
    with pytest.raises(ConvoyError, match=r"'embedding\.weight': expected values from -1e\+10 to 1e\+10"):
        embedder(dataclasses.replace(stored[kind], seeds={0: loud}))
