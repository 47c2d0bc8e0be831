"""Checks a stored text model before it is used: config, weights and tokenizer must be consistent.

The compiled look-ups index memory by config and token ids without checking bounds.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from convoy.core.artifact import CONFIG, TOKENIZER, WEIGHTS, StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import Section, parse
from convoy.core.printable import cut
from convoy.core.stored import AGAIN, LARGEST, Expected, Name, StoredConfig, check
from convoy.streamrec.classification.corpus.tokens import SPECIAL_TOKENS, untrained
from convoy.streamrec.classification.models.params import Mode

HIDDEN = 128  # of nn.text.BagOfWordsModel
_WORDS_AT_MOST = 1_000_000
_Probability = Annotated[float, Field(ge=0, lt=1)]


class _Text(Section):
    max_characters: int = Field(ge=10, le=200_000)
    max_tokens: int = Field(ge=1, le=10_000)


class _Network(Section):
    vocab_size: int = Field(ge=2, le=_WORDS_AT_MOST)
    num_classes: int = Field(ge=1, le=1_000_000)
    embedding_dim: int = Field(ge=1, le=4096)
    embedding_std: float = Field(gt=0, le=10)
    dropout: _Probability


class _TextCNN(_Network):
    num_filters: int = Field(ge=1, le=4096)
    kernel_sizes: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(min_length=1, max_length=8)
    mode: Mode = "random"


class _Vectors(Section):
    """What `networks.vectors.WordVectors.facts` returns."""

    found: int = Field(ge=1, le=_WORDS_AT_MOST)
    vocabulary: int = Field(ge=1, le=_WORDS_AT_MOST)
    tokens: float = Field(ge=0, le=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _Start(Section):
    """What `networks.compatible.start_of` found, and the weight of the compatibility."""

    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    found: int = Field(ge=0, le=_WORDS_AT_MOST)
    vocabulary: int = Field(ge=0, le=_WORDS_AT_MOST)
    compatibility: float = Field(ge=0, le=1e6)


class _NoNetwork(Section):
    """A baseline has none."""


class _Config(StoredConfig):
    categories: tuple[Name, ...] = Field(min_length=1)
    text: _Text

    @model_validator(mode="after")
    def _categories_fit(self) -> Self:
        if len(set(self.categories)) != len(self.categories):
            raise ValueError("categories: expected each once")
        network = getattr(self, "network", None)
        if isinstance(network, _Network) and network.num_classes != len(self.categories):
            raise ValueError(
                f"network.num_classes {network.num_classes}: expected one for each of the "
                f"{len(self.categories)} categories"
            )
        return self


class _NetworkConfig(_Config):
    network: _Network


class _TextCNNConfig(_Config):
    network: _TextCNN
    vectors: _Vectors | None = None
    start: _Start | None = None

    @model_validator(mode="after")
    def _vectors_of_the_mode(self) -> Self:
        if (self.network.mode == "random") != (self.vectors is None):
            raise ValueError(f"vectors: expected for each mode but random, and this is {self.network.mode}")
        return self


class _BaselineConfig(_Config):
    network: _NoNetwork


_NETWORKS: dict[str, type[_Config]] = {"bow": _NetworkConfig, "textcnn": _TextCNNConfig}

CheckTensors: TypeAlias = Callable[[str, Mapping[str, npt.NDArray[Any]], int, int, str], None]
"""Name, tensors, number of categories, number of token ids, and what begins the line of a ConvoyError."""


class Row(Protocol):
    """The part of a registry row used here: the check of a baseline's tensors, None for a network."""

    @property
    def check(self) -> CheckTensors | None: ...


def check_model(stored: StoredModel, models: Mapping[str, Row]) -> StoredModel:
    """The model, after checking that its config, tensors and tokenizer are consistent.

    models: the registry's rows by name. Raises ConvoyError for the first fault: an unknown kind or key, a
    value out of bounds, a tensor of another name, type, shape or range, token ids without a row in a table.
    """
    kind = stored.config.get("kind")
    if not isinstance(kind, str) or kind not in models:
        raise ConvoyError(
            f"model '{cut(str(kind), 40)}' reads no texts",
            path=stored.name, expected=f"one of {', '.join(models)}",
        )  # fmt: skip
    config = parse(stored.config, _NETWORKS.get(kind, _BaselineConfig), f"{stored.name}: {CONFIG}")
    words = _words_of(stored.tokenizer_json, stored.name)
    network = getattr(config, "network", None)
    if isinstance(network, _Network) and network.vocab_size != words:
        raise ConvoyError(
            f"{TOKENIZER} has {words} ids, {WEIGHTS} rows for {network.vocab_size}",
            path=stored.name, hint=AGAIN,
        )  # fmt: skip
    of_baseline = models[kind].check
    for seed, tensors in stored.seeds.items():
        where = f"{stored.name}: seed {seed}"
        if of_baseline is not None:
            of_baseline(kind, tensors, len(config.categories), words, where)
        elif isinstance(network, _Network):
            check(tensors, shapes(kind, network.model_dump()), where)
    return stored


def shapes(kind: str, network: Mapping[str, Any]) -> dict[str, Expected]:
    """Tensors of a network by `state_dict` name, from its constructor's arguments, without making it."""

    def weights(*shape: int) -> Expected:
        return Expected("float32", shape)

    width, classes = network["embedding_dim"], network["num_classes"]
    found = {"embedding.weight": weights(network["vocab_size"], width)}
    if kind == "bow":
        features = HIDDEN
        found |= {"hidden.weight": weights(HIDDEN, width), "hidden.bias": weights(HIDDEN)}
    else:
        if network.get("mode") == "multichannel":
            found["fixed.weight"] = found["embedding.weight"]
        filters, kernels = network["num_filters"], network["kernel_sizes"]
        features = filters * len(kernels)
        for place, kernel in enumerate(kernels):
            branch = {
                "convolution.weight": weights(filters, width, kernel), "convolution.bias": weights(filters),
                "norm.weight": weights(filters), "norm.bias": weights(filters),
                "norm.running_mean": weights(filters),
                "norm.running_var": Expected("float32", (filters,), low=0),
                "norm.num_batches_tracked": Expected("int64", (), low=0, high=2.0**62),
            }  # fmt: skip
            found |= {f"branches.{place}.{name}": value for name, value in branch.items()}
    return found | {"classifier.weight": weights(classes, features), "classifier.bias": weights(classes)}


def check_majority(
    _kind: str, tensors: Mapping[str, npt.NDArray[Any]], classes: int, _words: int, where: str
) -> None:
    """A share of each category, together 1."""
    check(tensors, {"frequencies": Expected("float64", (classes,), low=0, high=1)}, where)
    if abs(tensors["frequencies"].sum() - 1) > 1e-9:
        raise ConvoyError(path=where, key="tensor 'frequencies'", expected="a sum of 1", hint=AGAIN)


def check_linear(
    kind: str, tensors: Mapping[str, npt.NDArray[Any]], classes: int, words: int, where: str
) -> None:
    """Check the tensors of baselines.fit; the number of features is that of the tensors."""
    features = tensors["features"] if "features" in tensors else np.empty(0, np.int64)
    # The code of a pair of words is first id * vocabulary size + second id.
    last = words if kind == "linear" else words * words
    count = features.size
    expected = {
        "coef": Expected("float32", (classes, count)),
        "intercept": Expected("float32", (classes,)),
        "idf": Expected("float64", (count,), low=0),
        "features": Expected("int64", (count,), low=0, high=last - 1),
        "C": Expected("float64", (1,), low=0, high=LARGEST),
    }
    check(tensors, expected, where)
    if count == 0 or (np.diff(features) <= 0).any():
        raise ConvoyError(
            path=where, key="tensor 'features'", expected="ascending numbers, each once", hint=AGAIN
        )


def _words_of(tokenizer_json: str, where: str) -> int:
    """Number of ids of a tokenizer as `tokens.fit` makes it; ConvoyError for any other.

    The library accepts much more than that (padding to any length, repeated replacements, any regular
    expression), some of which takes all memory or crashes the process.
    """

    def refused(reason: str) -> ConvoyError:
        return ConvoyError(reason, path=where, key=TOKENIZER, hint=AGAIN)

    try:
        found: Any = json.loads(tokenizer_json)
        model = found["model"]
        vocabulary, merges = model.pop("vocab"), model.pop("merges", [])
        rules = json.dumps(_without_defaults(found), sort_keys=True)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise refused("not the JSON of a tokenizer with a vocabulary") from None
    if rules not in _rules():
        raise refused("its rules are those of neither kind that convoy fits, word or bpe")
    if not isinstance(vocabulary, dict) or not all(type(number) is int for number in vocabulary.values()):
        raise refused("expected a vocabulary of words and their ids")
    count = len(vocabulary)
    if not len(SPECIAL_TOKENS) <= count <= _WORDS_AT_MOST:
        raise refused(f"expected 2 to {_WORDS_AT_MOST:,} words, found {count:,}")
    if sorted(vocabulary.values()) != list(range(count)):
        raise refused(f"expected the ids 0 to {count - 1}, each once")
    if any(vocabulary.get(token) != number for number, token in enumerate(SPECIAL_TOKENS)):
        raise refused(f"expected {' and '.join(SPECIAL_TOKENS)} to have the ids 0 and 1")
    if not isinstance(merges, list) or not all(_joins(pair, vocabulary) for pair in merges):
        raise refused("a merge joins what is not in the vocabulary")
    return count


def _joins(pair: Any, vocabulary: Mapping[str, int]) -> bool:
    return (
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        and all(part in vocabulary for part in (*pair, "".join(pair)))
    )  # fmt: skip


@cache
def _rules() -> tuple[str, ...]:
    """The JSON of a tokenizer of each kind without its vocabulary."""
    found = []
    for made in map(json.loads, (untrained("word"), untrained("bpe"))):
        made["model"] = {key: value for key, value in made["model"].items() if key not in ("vocab", "merges")}
        found.append(json.dumps(_without_defaults(made), sort_keys=True))
    return tuple(found)


def _without_defaults(value: Any) -> Any:
    """JSON without null, false and empty values, which only some versions of the library write."""
    if isinstance(value, dict):
        return {
            key: kept
            for key, item in value.items()
            if (kept := _without_defaults(item)) not in (None, False, "", [])
        }
    return [_without_defaults(item) for item in value] if isinstance(value, list) else value
