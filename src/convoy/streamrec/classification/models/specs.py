"""The models of this task: the registry, and training and prediction by a model's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from convoy.core.artifact import StoredModel
from convoy.core.models import Fitted, ModelSpec, OnEpoch, Tensors, model_named, registry
from convoy.streamrec.classification.corpus.data import TRAIN, Corpus
from convoy.streamrec.classification.models.params import (
    BowParams,
    LinearParams,
    MajorityParams,
    TextCNNParams,
)
from convoy.streamrec.classification.models.stored import (
    CheckTensors,
    check_linear,
    check_majority,
    check_model,
)

if TYPE_CHECKING:
    from convoy.nn.kernels.lookup import Lookup
    from convoy.streamrec.classification.networks.vectors import WordVectors
    from convoy.training.checkpoints import Checkpoint

TRAINED_BY = "convoy.streamrec.classification.networks.fit"  # the module whose code a checkpoint depends on

Indices: TypeAlias = npt.NDArray[np.int64]
Probabilities: TypeAlias = npt.NDArray[np.float64]
Config: TypeAlias = Mapping[str, Any]
Checkpoints: TypeAlias = "Callable[[int], Checkpoint] | None"
Seeds: TypeAlias = tuple[int, ...]
Fit: TypeAlias = "Callable[[str, Any, Corpus, Seeds, Checkpoints, OnEpoch | None], Fitted]"
"""Name, params, corpus, seeds, checkpoint of a seed, callback -> the model, fitted on the training split."""
Predict: TypeAlias = Callable[[Config, Tensors, Corpus, Indices], Probabilities]
"""Config, tensors of one seed, corpus, n of its items -> probabilities (n, categories)."""


@dataclass(frozen=True, kw_only=True)
class TextModel(ModelSpec[Fit, Predict]):
    """A model from texts to categories."""

    bayes: Literal["order_blind", "full"]
    """The Bayes accuracy that is its upper bound: `full` where the model sees the order of words."""
    check: CheckTensors | None = None
    """Checks the tensors that a baseline stores; None for a network."""
    lookup: "Callable[[Tensors, Config], Lookup] | None" = None
    """Makes its embedding from tensors and the config of the network; None: the model has no embedding."""


def train(
    name: str, params: Any, corpus: Corpus, seeds: Seeds, checkpoint: Checkpoints = None,
    on_epoch: OnEpoch | None = None, vectors: "WordVectors | None" = None,
    accepted: StoredModel | None = None,
) -> tuple[dict[str, Any], dict[int, Tensors], str | None]:  # fmt: skip
    """Fit a model once per seed; return config.json's content, tensors by seed and the first learning curve.

    `vectors`: initial embeddings, for params that name some; `accepted`: the model that `start.weights`
    names, as `start_io.begun_with` returns it. For `checkpoint` and `on_epoch` see
    `convoy.training.seeds.train_seeds`. A baseline is deterministic and fitted for the first seed only.
    """
    given = (name, params, corpus, seeds, checkpoint, on_epoch)
    fit = model_named(MODELS, name).fit
    begun = vectors is not None or accepted is not None
    fitted = _train_network(*given, vectors, accepted) if begun else fit(*given)
    text = {"categories": list(corpus.categories), "text": corpus.text}
    config = {"schema": 1, "kind": name, "network": {}, **text, **fitted.config}
    return config, fitted.tensors, fitted.curve


def checked(stored: StoredModel) -> StoredModel:
    """The model, after checking that its config, tensors and tokenizer are consistent: see `stored.py`."""
    return check_model(stored, MODELS)


def probabilities(stored: StoredModel, corpus: Corpus, items: Indices) -> dict[int, Probabilities]:
    """Each seed's probabilities for `items`, (n, categories), categories in the corpus's order."""
    stored = stored.on_any_machine()
    predict = model_named(MODELS, stored.config["kind"]).predict
    return {seed: predict(stored.config, tensors, corpus, items) for seed, tensors in stored.seeds.items()}


def inputs(params: Any, vectors: "WordVectors | None", accepted: StoredModel | None = None) -> dict[str, Any]:
    """The params, vectors and weights that a training depends on, for the key of its checkpoints."""
    found: dict[str, Any] = params.model_dump(mode="json")
    start = found.pop("start", None)
    if accepted is not None:
        found["start"] = {**start, "weights": accepted.sha256}
    if vectors is None:
        found.pop("embedding", None)
    else:
        found["embedding"] = {"mode": params.embedding.mode, "sha256": vectors.sha256}
    return found


def _train_network(
    name: str, params: Any, corpus: Corpus, seeds: Seeds, checkpoint: Checkpoints, on_epoch: OnEpoch | None,
    vectors: "WordVectors | None" = None, accepted: StoredModel | None = None,
) -> Fitted:  # fmt: skip
    from convoy.streamrec.classification.networks import fit
    from convoy.training.seeds import train_seeds

    train_one = partial(fit.train, name, params, corpus, vectors=vectors, accepted=accepted)
    return Fitted(*train_seeds(train_one, params.training, seeds, checkpoint, on_epoch))


def _network_probabilities(config: Config, tensors: Tensors, corpus: Corpus, items: Indices) -> Probabilities:
    from convoy.streamrec.classification.networks import fit

    return fit.probabilities(config, tensors, corpus, items)


def _bow_lookup(tensors: Tensors, _network: Config) -> "Lookup":
    from convoy.nn.kernels import lookup

    return lookup.bow(tensors)


def _textcnn_lookup(tensors: Tensors, network: Config) -> "Lookup":
    from convoy.nn.kernels import lookup

    if "fixed.weight" in tensors:  # a convolution is linear, so the two channels are one table
        table = tensors["embedding.weight"] + tensors["fixed.weight"]
        tensors = {**tensors, "embedding.weight": table}
    return lookup.textcnn(tensors, network["kernel_sizes"])


def _fit_linear(
    name: str, params: Any, corpus: Corpus, seeds: Seeds, _checkpoint: Checkpoints, _on_epoch: OnEpoch | None
) -> Fitted:
    from convoy.streamrec.classification import baselines

    tensors = baselines.fit(cast(baselines.Kind, name), corpus, corpus.items(TRAIN), params)
    return Fitted({"training": params.model_dump(mode="json")}, {seeds[0]: tensors}, None)


def _linear_probabilities(config: Config, tensors: Tensors, corpus: Corpus, items: Indices) -> Probabilities:
    from convoy.streamrec.classification import baselines

    return baselines.probabilities(config["kind"], tensors, corpus, items)


def _fit_majority(
    _name: str, _params: Any, corpus: Corpus, seeds: Seeds, _checkpoint: Checkpoints,
    _on_epoch: OnEpoch | None,
) -> Fitted:  # fmt: skip
    from convoy.streamrec.classification import baselines

    frequencies = baselines.category_frequencies(corpus, corpus.items(TRAIN))
    return Fitted({"training": {}}, {seeds[0]: {"frequencies": frequencies}}, None)


def _majority_probabilities(
    _config: Config, tensors: Tensors, _corpus: Corpus, items: Indices
) -> Probabilities:
    return np.tile(tensors["frequencies"], (len(items), 1))


MODELS: dict[str, TextModel] = registry(
    TextModel(
        name="textcnn",
        label="TextCNN",
        phrase="TextCNN",
        summary="Convolutions over word embeddings, then the maximum over positions (Kim, 2014); it uses the "
        "order of words.",
        colour=1,
        role="network",
        params=TextCNNParams,
        fit=_train_network,
        predict=_network_probabilities,
        exports=frozenset({"embeddings", "served"}),
        bayes="full",
        lookup=_textcnn_lookup,
    ),
    TextModel(
        name="bow",
        label="Bag of words",
        phrase="bag-of-words",
        summary="The mean of word embeddings through a hidden layer (a deep averaging network, Iyyer et al., "
        "2015); it ignores the order of words.",
        colour=0,
        role="network",
        params=BowParams,
        fit=_train_network,
        predict=_network_probabilities,
        exports=frozenset({"embeddings", "served"}),
        bayes="order_blind",
        lookup=_bow_lookup,
    ),
    TextModel(
        name="linear_pairs",
        label="Linear, words + pairs",
        phrase="the linear baseline on words and pairs",
        summary="Multinomial logistic regression on TF-IDF of words and adjacent pairs (scikit-learn).",
        colour=2,
        role="baseline",
        params=LinearParams,
        fit=_fit_linear,
        predict=_linear_probabilities,
        bayes="full",
        check=check_linear,
    ),
    TextModel(
        name="linear",
        label="Linear, words",
        phrase="the linear baseline on words",
        summary="Multinomial logistic regression on TF-IDF of words (scikit-learn); it ignores the order of "
        "words.",
        colour=3,
        role="baseline",
        params=LinearParams,
        fit=_fit_linear,
        predict=_linear_probabilities,
        bayes="order_blind",
        check=check_linear,
    ),
    TextModel(
        name="majority",
        label="Most frequent category",
        phrase="the most frequent category",
        summary="The category frequencies of the training split, whatever the text; the prediction is the "
        "most frequent category.",
        colour=5,
        role="baseline",
        params=MajorityParams,
        fit=_fit_majority,
        predict=_majority_probabilities,
        bayes="order_blind",
        check=check_majority,
    ),
)
"""In the order of tables and of pairs in a comparison."""
