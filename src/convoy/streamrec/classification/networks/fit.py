"""The networks of StreamRec, from a corpus to weights and from weights to probabilities."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import parse
from convoy.nn.text import UNKNOWN, BagOfWordsModel, TextCNN
from convoy.streamrec.classification.corpus.data import TRAIN, VALIDATION, Corpus
from convoy.streamrec.classification.models.params import (
    BowParams,
    EmbeddingParams,
    NetworkTraining,
    TextCNNParams,
)
from convoy.streamrec.classification.networks.batches import TextBatches
from convoy.streamrec.classification.networks.compatible import Compatible, Paired, start_of
from convoy.streamrec.classification.networks.vectors import WordVectors
from convoy.training.calibration import temperature
from convoy.training.checkpoints import Checkpoint
from convoy.training.loop import OnEpoch, fit, predict, seeded
from convoy.training.objectives import Classification, Objective
from convoy.training.seeds import Trained

Array = npt.NDArray[Any]

NETWORKS: dict[str, Callable[..., nn.Module]] = {"textcnn": TextCNN, "bow": BagOfWordsModel}


def train(
    name: str, params: TextCNNParams | BowParams, corpus: Corpus, seed: int,
    checkpoint: Checkpoint | None = None, on_epoch: OnEpoch = lambda _row, _resumed: None,
    *, vectors: WordVectors | None = None, accepted: StoredModel | None = None,
) -> Trained:  # fmt: skip
    """Fit the network of a model; `vectors` are its initial embeddings where its params name some.

    `accepted`: a stored TextCNN to begin with, near whose item vectors the new ones are kept: see
    `networks.compatible`.

    A temperature fitted on the validation split (Guo et al., 2017) is folded into the last layer, so that the
    probabilities are calibrated though the training labels were smoothed. Raises ConvoyError where a split
    or a category is empty.
    """
    if (getattr(params, "embedding", EmbeddingParams()).mode == "random") != (vectors is None):
        raise ValueError("vectors: expected where the params name a mode that uses them, and nowhere else")
    arguments = {
        "vocab_size": corpus.vocab_size, "num_classes": len(corpus.categories), **params.arguments(),
    }  # fmt: skip
    examples = _examples(corpus, corpus.items(TRAIN), params.word_dropout)
    validation = _examples(corpus, corpus.items(VALIDATION))
    for split, part in (("training", examples), ("validation", validation)):
        if len(part) < 2:
            raise ConvoyError(f"{name}: {len(part)} items in the {split} split; a larger catalogue is needed")
    with seeded(seed):
        network = NETWORKS[name](**arguments)
    config: dict[str, Any] = {"network": arguments}
    if vectors is not None:
        cast(TextCNN, network).set_vectors(torch.from_numpy(vectors.table(corpus.vocab_size, seed)))
        config["vectors"] = vectors.facts(corpus.vocab_size, examples.tokens.numpy())
    objective: Objective = Classification(params.training.label_smoothing)
    whole = network
    if accepted is not None:
        whole, objective, config["start"] = _begun(
            cast(TextCNN, network), accepted, arguments, corpus, params
        )
    fitted = fit(
        whole, examples, validation, objective, params.training, seed, name, checkpoint, on_epoch,
    )  # fmt: skip
    outputs = predict(network, validation, params.training)
    scale = 1 / temperature(outputs, validation.labels)
    tensors = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    for key in ("classifier.weight", "classifier.bias"):
        tensors[key] *= np.float32(scale)
    return Trained(config, tensors, fitted.csv())


def _begun(
    network: TextCNN, accepted: StoredModel, arguments: Mapping[str, Any], corpus: Corpus, params: Any
) -> tuple[nn.Module, Objective, dict[str, Any]]:
    """What is fitted, its objective and the facts of its start, with the accepted weights in the network."""
    start = start_of(accepted, network, arguments, corpus.tokenizer_json, corpus.categories)
    network.load_state_dict(start.tensors)
    weight = params.start.compatibility
    objective = Classification(params.training.label_smoothing)
    facts = {**start.facts, "compatibility": weight}
    if not weight:
        return network, objective, facts
    return Paired(network, start), Compatible(objective, len(corpus.categories), weight), facts


def probabilities(
    config: Mapping[str, Any], tensors: Mapping[str, Array], corpus: Corpus, items: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Softmax outputs for `items`, (n, categories)."""
    network = NETWORKS[config["kind"]](**config["network"])
    network.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    training = parse(config["training"], NetworkTraining, "config.json: training")
    outputs = predict(network, _examples(corpus, items), training)
    return outputs.double().softmax(1).numpy()


def _examples(corpus: Corpus, items: npt.NDArray[np.int64], word_dropout: float = 0.0) -> TextBatches:
    lengths = corpus.lengths[items]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # Row t of the selection is t - (its text's new start) + (its text's old start).
    shift = np.repeat(corpus.offsets[items] - offsets[:-1], lengths)
    tokens = corpus.tokens[np.arange(offsets[-1]) + shift]
    names = corpus.item_ids.take(items).to_pylist()
    labels = torch.from_numpy(corpus.labels[items])
    return TextBatches(torch.from_numpy(tokens), offsets, labels, names, word_dropout, UNKNOWN)
