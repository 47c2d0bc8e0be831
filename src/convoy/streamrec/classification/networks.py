"""The networks of StreamRec, from a corpus to weights and from weights to probabilities."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import nn

from convoy.core.errors import ConvoyError
from convoy.core.params import Section, parse
from convoy.nn.text import UNKNOWN, BagOfWordsModel, TextCNN
from convoy.streamrec.classification.batches import TextBatches
from convoy.streamrec.classification.data import TRAIN, VALIDATION, Corpus
from convoy.training.calibration import temperature
from convoy.training.checkpoints import Checkpoint
from convoy.training.loop import OnEpoch, fit, predict, seeded
from convoy.training.objectives import Classification
from convoy.training.params import ClassificationParams, Recipe
from convoy.training.seeds import Trained

Array = npt.NDArray[Any]


class NetworkTraining(ClassificationParams):
    """The training loop's params with the defaults found for short texts.

    They held on the synthetic catalogue and on real titles alike: embeddings that start small, words dropped,
    labels smoothed, weights averaged over an epoch.
    """

    epochs: int | None = Field(12, ge=1, le=10000)
    patience: int | None = Field(5, ge=1, le=10000)
    average_epochs: float = Field(1.0, ge=0, le=1000)
    label_smoothing: float = Field(0.1, ge=0, lt=1)


class BowTraining(NetworkTraining):
    """The same for the bag of words, which overfits sooner.

    Adagrad, whose steps for a word shrink as its gradients add up, comes closer to the Bayes accuracy in
    three epochs than AdamW in twelve.
    """

    recipe: Recipe = "adagrad_linear"
    epochs: int | None = Field(3, ge=1, le=10000)
    patience: int | None = Field(3, ge=1, le=10000)
    average_epochs: float = Field(0.0, ge=0, le=1000)
    label_smoothing: float = Field(0.5, ge=0, lt=1)
    # The steps are short: a second thread gains a fifth at best, and on a busy machine costs far more.
    threads: int = Field(1, ge=1, le=256, description="on a CPU; results change with it")


class TextCNNParams(Section):
    """The network of convoy.nn.text.TextCNN and how it is fitted."""

    kind: Literal["textcnn"] = "textcnn"
    embedding_dim: int = Field(128, ge=1, le=4096)
    embedding_std: float = Field(0.1, gt=0, le=10, description="of the initial embeddings")
    num_filters: int = Field(100, ge=1, le=4096, description="per kernel size")
    kernel_sizes: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        (3, 4, 5), min_length=1, max_length=8
    )
    dropout: float = Field(0.5, ge=0, lt=1)
    word_dropout: float = Field(0.1, ge=0, lt=1, description="share of words that turn unknown in training")
    training: NetworkTraining = NetworkTraining()

    def arguments(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"kind", "word_dropout", "training"})


class BowParams(Section):
    """The network of convoy.nn.text.BagOfWordsModel and how it is fitted."""

    kind: Literal["bow"] = "bow"
    embedding_dim: int = Field(128, ge=1, le=4096)
    embedding_std: float = Field(0.5, gt=0, le=10, description="of the initial embeddings")
    dropout: float = Field(0.0, ge=0, lt=1)
    word_dropout: float = Field(0.2, ge=0, lt=1, description="share of words that turn unknown in training")
    training: BowTraining = BowTraining()

    def arguments(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"kind", "word_dropout", "training"})


NETWORKS: dict[str, Callable[..., nn.Module]] = {"textcnn": TextCNN, "bow": BagOfWordsModel}


def train(
    params: TextCNNParams | BowParams, corpus: Corpus, seed: int, checkpoint: Checkpoint | None = None,
    on_epoch: OnEpoch = lambda _row, _resumed: None,
) -> Trained:  # fmt: skip
    """Fit one network.

    A temperature fitted on the validation split (Guo et al., 2017) is folded into the last layer, so that the
    probabilities are calibrated though the training labels were smoothed. Raises ConvoyError where a split
    or a category is empty.
    """
    arguments = {
        "vocab_size": corpus.vocab_size, "num_classes": len(corpus.categories), **params.arguments(),
    }  # fmt: skip
    examples = _examples(corpus, corpus.items(TRAIN), params.word_dropout)
    validation = _examples(corpus, corpus.items(VALIDATION))
    for split, part in (("training", examples), ("validation", validation)):
        if len(part) < 2:
            raise ConvoyError(
                f"{params.kind}: {len(part)} items in the {split} split; a larger catalogue is needed"
            )
    with seeded(seed):
        network = NETWORKS[params.kind](**arguments)
    fitted = fit(
        network, examples, validation, Classification(params.training.label_smoothing), params.training,
        seed, params.kind, checkpoint, on_epoch,
    )  # fmt: skip
    outputs = predict(network, validation, params.training)
    scale = 1 / temperature(outputs, validation.labels)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] *= np.float32(scale)
    return Trained({"network": arguments}, tensors, fitted.csv())


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
