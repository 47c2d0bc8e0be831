"""Stored text models that were altered: refused in one line before a kernel sees them."""

import dataclasses
import json

import numpy as np
import pytest

from convoy.core.errors import ConvoyError
from convoy.nn.text import BagOfWordsModel, TextCNN
from convoy.streamrec.classification.models.params import BowParams, EmbeddingParams, TextCNNParams
from convoy.streamrec.classification.models.specs import checked
from convoy.streamrec.classification.models.stored import shapes
from tests.support.tiny import write_model

TEXTS = ["a tale of two cities", "the café at the end of the road", "one road two cats no café"]
ARGUMENTS = {"vocab_size": 9, "num_classes": 3, "embedding_dim": 5, "embedding_std": 0.1, "dropout": 0.5}
CNN = {**ARGUMENTS, "num_filters": 4, "kernel_sizes": [2, 5]}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder / kind, kind, TEXTS) for kind in ("bow", "textcnn")}


@pytest.mark.parametrize(
    ("kind", "network", "arguments"),
    [
        ("bow", BagOfWordsModel, ARGUMENTS),
        ("textcnn", TextCNN, CNN),
        ("textcnn", TextCNN, CNN | {"mode": "static"}),
        ("textcnn", TextCNN, CNN | {"mode": "multichannel"}),
    ],
)
def test_shapes_are_those_of_the_torch_modules(kind, network, arguments):
    state = {name: (tuple(t.shape), str(t.dtype)) for name, t in network(**arguments).state_dict().items()}
    expected = {name: (e.shape, f"torch.{e.dtype}") for name, e in shapes(kind, arguments).items()}
    assert state == expected


@pytest.mark.parametrize(("kind", "params"), [("bow", BowParams), ("textcnn", TextCNNParams)])
def test_every_network_that_params_allow_may_be_stored(models, kind, params):
    """Bounds of the stored arguments are those of the params."""
    from convoy.streamrec.classification.models import stored

    own = {"bow": stored._Network, "textcnn": stored._TextCNN}[kind].model_json_schema()["properties"]
    theirs = params.model_json_schema()["properties"]
    if kind == "textcnn":
        theirs |= EmbeddingParams.model_json_schema()["properties"]
    ignored = ("default", "description", "title")
    for name in own.keys() - {"vocab_size", "num_classes"}:
        bounds = [{k: v for k, v in side[name].items() if k not in ignored} for side in (own, theirs)]
        assert bounds[0] == bounds[1], name


@pytest.mark.parametrize("kind", ["bow", "textcnn"])
def test_a_sound_model_is_returned_as_it_is(models, kind):
    assert checked(models[kind]) is models[kind]


def _config(path, value):
    *parents, last = path.split(".")

    def alter(model):
        config = json.loads(json.dumps(model.config))
        place = config
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[last] = value
        return dataclasses.replace(model, config=config)

    return alter


def _tensor(name, change):
    def alter(model):
        tensors = dict(model.tensors)
        found = change(np.copy(tensors[name]))
        tensors[name] = found
        return dataclasses.replace(model, seeds={0: tensors})

    return alter


def _put(value):
    def change(tensor):
        tensor[(-1,) * tensor.ndim] = value
        return tensor

    return change


@pytest.mark.parametrize("sizes", [
    [-200, 4, 5], [5, 4, 3], [0, 4, 5], [3, 4], [3, 4, 5, 6], [5000, 4, 5], [3, 4, 5.5], [3, 4, None],
    ["3", 4, 5], [], [True, 4, 5], {}, None, 3, "345", [3, 4, 2**63], [[3], 4, 5],
])  # fmt: skip
def test_kernel_sizes_that_the_weights_do_not_have(models, sizes):
    with pytest.raises(ConvoyError, match=r"^[^\n]*(kernel_sizes|branches)[^\n]*$"):
        checked(_config("network.kernel_sizes", sizes)(models["textcnn"]))


VALUES = [
    ("network.num_filters", 13), ("network.num_filters", 0), ("network.num_filters", 10**9),
    ("network.embedding_dim", 17), ("network.embedding_dim", -16), ("network.embedding_dim", 1e308),
    ("network.vocab_size", 5), ("network.vocab_size", 10**12), ("network.num_classes", 3),
    ("network.dropout", 1.5), ("network.dropout", "x"), ("network.more", 1), ("network", None),
    ("network", []), ("kind", "bow"), ("kind", "linear"), ("kind", "unet"), ("kind", None), ("kind", {}),
    ("schema", 2), ("schema", None), ("categories", []), ("categories", ["a", "a"]), ("categories", "ab"),
    ("categories", [1, 2]), ("categories", ["a", "b", "c"]), ("text", {}), ("text", None),
    ("text.max_tokens", 0), ("text.max_tokens", -1), ("text.max_tokens", 2**70), ("text.max_tokens", None),
    ("text.max_characters", -5), ("text.max_characters", 1e9), ("text.max_characters", "20000"),
    ("training", []), ("seeds", [-1]), ("seeds", None), ("more", 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), VALUES)
def test_values_of_the_config_that_do_not_fit(models, path, value):
    with pytest.raises(ConvoyError, match=r"^[^\n]{10,400}$"):
        checked(_config(path, value)(models["textcnn"]))


TENSORS = [
    ("branches.0.norm.running_var", _put(-1e-3)), ("branches.0.norm.running_var", _put(np.nan)),
    ("branches.1.norm.running_var", lambda t: t[:-1]), ("branches.1.norm.weight", lambda t: t[:, None]),
    ("branches.1.convolution.weight", lambda t: t[:, :, :-1]),
    ("branches.1.convolution.weight", lambda t: t[:, :-1]),
    ("branches.1.convolution.weight", lambda t: t.transpose(2, 1, 0)),
    ("branches.2.convolution.bias", lambda t: t.astype(np.float64)),
    ("branches.2.convolution.bias", lambda t: t.astype(np.float16)),
    ("branches.2.norm.num_batches_tracked", lambda t: t.astype(np.int32)),
    ("branches.2.norm.num_batches_tracked", _put(-1)), ("embedding.weight", lambda t: t[:-1]),
    ("embedding.weight", lambda t: t[:0]), ("embedding.weight", _put(np.inf)),
    ("embedding.weight", _put(3e38)), ("embedding.weight", lambda t: t.astype(np.int64)),
    ("embedding.weight", lambda t: t.astype(bool)), ("embedding.weight", lambda t: t.ravel()),
    ("classifier.weight", _put(-np.inf)), ("classifier.bias", lambda t: np.append(t, t)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), TENSORS)
def test_tensors_that_do_not_fit(models, name, change):
    with pytest.raises(ConvoyError, match=rf"^[^\n]*tensor '{name}': expected [^\n]*$"):
        checked(_tensor(name, change)(models["textcnn"]))


def test_tensors_that_are_missing_or_too_many(models):
    tensors = dict(models["bow"].tensors)
    del tensors["hidden.bias"]
    with pytest.raises(ConvoyError, match=r"tensor 'hidden\.bias' is missing"):
        checked(dataclasses.replace(models["bow"], seeds={0: tensors}))
    with pytest.raises(ConvoyError, match="tensor 'more' is none of this kind of model"):
        checked(dataclasses.replace(models["bow"], seeds={0: models["bow"].tensors | {"more": np.ones(1)}}))


def _tokenizer(change):
    def alter(model):
        found = json.loads(model.tokenizer)
        change(found)
        return dataclasses.replace(model, tokenizer=json.dumps(found))

    return alter


def _set(path, value):
    *parents, last = path.split(".")

    def change(found):
        for key in parents:
            found = found[key]
        found[last] = value

    return change


REPLACE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"}
PADDING = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
           "pad_type_id": 0, "pad_token": "[PAD]"}  # fmt: skip
TOKENIZERS = [
    ("padding", PADDING), ("truncation", {"max_length": 2, "strategy": "LongestFirst", "stride": 0}),
    ("normalizer", {"type": "Sequence", "normalizers": [REPLACE] * 12}), ("normalizer", None),
    ("pre_tokenizer.pattern", {"Regex": "(a|aa)+$"}), ("pre_tokenizer.pattern", {"Regex": "(?<=(a*)+)b"}),
    ("pre_tokenizer", None), ("post_processor", {"type": "ByteLevel"}), ("decoder", {"type": "Fuse"}),
    ("added_tokens", [{"id": 2, "content": "a"}]), ("model.type", "BPE"), ("model.unk_token", "a"),
    ("model.vocab.[UNK]", 7), ("model.vocab.[PAD]", 1), ("model.vocab.new", 10**9), ("model.vocab.new", -1),
    ("model.vocab.new", 2**63), ("model.vocab.new", 2.0), ("model.vocab.new", None), ("model.vocab", []),
    ("model.vocab", {}), ("model", None), ("model.more", 1), ("model.merges", [["a", "b"]]),
    ("more", {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), TOKENIZERS)
def test_tokenizers_that_are_not_as_fit_makes_them(models, path, value):
    with pytest.raises(ConvoyError, match=r"^[^\n]*tokenizer\.json: [^\n]*; train the model again$"):
        checked(_tokenizer(_set(path, value))(models["textcnn"]))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "[" * 100_000, '{"model": 3}', '{"model": {}}'])
def test_what_is_no_tokenizer(models, text):
    with pytest.raises(ConvoyError, match=r"tokenizer\.json: not the JSON of a tokenizer"):
        checked(dataclasses.replace(models["textcnn"], tokenizer=text))
    with pytest.raises(ConvoyError, match=r"has no tokenizer\.json"):
        checked(dataclasses.replace(models["textcnn"], tokenizer=None))
