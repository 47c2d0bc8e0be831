"""A TextCNN that begins with the weights of an accepted one and whose item vectors stay near those.

Consumers trained on the accepted version can then read the new one. Of the family of backward-compatible
training (Shen et al., 2020); the term is that of feature distillation (Romero et al., 2015).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convoy.core.artifact import TOKENIZER, WEIGHTS, StoredModel
from convoy.core.errors import ConvoyError
from convoy.nn.text import UNKNOWN, TextCNN
from convoy.streamrec.classification.corpus.tokens import SPECIAL_TOKENS
from convoy.training.objectives import Classification

_SAME = ("embedding_dim", "num_filters", "kernel_sizes", "mode")
_TABLE, _CLASSIFIER = "embedding.weight", "classifier"


@dataclass(frozen=True, eq=False)
class Start:
    """Weights to begin with, and the accepted network, for a vocabulary of V token ids.

    accepted_ids (V,): the accepted model's id of each token, the unknown one where it lacks the word.
    tensors: all of the new network's, from the accepted one where it has the word or the category.
    """

    accepted: TextCNN
    accepted_ids: npt.NDArray[np.int64]
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def start_of(
    stored: StoredModel, network: TextCNN, arguments: Mapping[str, Any], tokenizer_json: str,
    categories: Sequence[str],
) -> Start:  # fmt: skip
    """The start of a `network`, made with `arguments`, from a stored TextCNN.

    Words and categories are matched by name; those that the stored model lacks keep their random weights.
    Raises ConvoyError for a model of another kind, shape or tokenizer.
    """
    theirs = stored.config["network"]
    if stored.config["kind"] != "textcnn" or theirs.get("mode", "random") != "random":
        raise ConvoyError(
            path=stored.name, expected="a textcnn whose embeddings began at random",
            found=f"{stored.config['kind']}, mode {theirs.get('mode')}",
        )  # fmt: skip
    for key in _SAME:
        if _plain(theirs.get(key)) != _plain(arguments.get(key)):
            raise ConvoyError(
                path=stored.name, key=f"network.{key}", expected=str(_plain(arguments.get(key))),
                found=str(_plain(theirs.get(key))), hint="retrain with the params of that model",
            )  # fmt: skip
    ids = _accepted_ids(stored, tokenizer_json)
    accepted = TextCNN(**theirs)
    old = {name: torch.from_numpy(tensor) for name, tensor in stored.tensors.items()}
    accepted.load_state_dict(old)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    known = (ids != UNKNOWN) | (np.arange(len(ids)) == UNKNOWN)
    tensors[_TABLE][torch.from_numpy(known)] = old[_TABLE][torch.from_numpy(ids[known])]
    of_old = {name: row for row, name in enumerate(stored.config["categories"])}
    pairs = [(row, of_old[name]) for row, name in enumerate(categories) if name in of_old]
    for name, tensor in old.items():
        if name.startswith(_CLASSIFIER):
            for row, other in pairs:
                tensors[name][row] = tensor[other]
        elif name != _TABLE:
            tensors[name] = tensor.clone()
    words = len(ids) - len(SPECIAL_TOKENS)
    found = int(known.sum()) - len(SPECIAL_TOKENS)
    facts = {"weights_sha256": stored.sha256[WEIGHTS], "found": found, "vocabulary": words}
    return Start(accepted.requires_grad_(False), ids, tensors, facts)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def _accepted_ids(stored: StoredModel, tokenizer_json: str) -> npt.NDArray[np.int64]:
    """The stored model's id of each token id of a tokenizer, UNKNOWN where it lacks the word."""
    own, theirs = (json.loads(text)["model"] for text in (tokenizer_json, stored.tokenizer_json))
    if own["type"] != theirs["type"] or (own.get("merges") and own != theirs):
        raise ConvoyError(
            path=stored.name, key=TOKENIZER, expected="a tokenizer of words, or this very one of pieces",
            found=f"one of the kind {theirs['type']}",
        )  # fmt: skip
    ids = np.full(len(own["vocab"]), UNKNOWN)
    for word, number in own["vocab"].items():
        ids[number] = theirs["vocab"].get(word, UNKNOWN)
    return ids


class Paired(nn.Module):
    """A network in training, and the accepted one, which stays as it is.

    (N, L) int64 -> (N, classes) logits; in training (N, classes + 2 D): logits, the network's item vectors,
    and those of the accepted network for the same tokens, words dropped from them included.
    """

    def __init__(self, network: TextCNN, start: Start) -> None:
        super().__init__()
        self.network, self.accepted = network, start.accepted
        self.accepted_ids: Tensor
        self.register_buffer("accepted_ids", torch.from_numpy(start.accepted_ids), persistent=False)

    def train(self, mode: bool = True) -> "Paired":
        super().train(mode)
        self.accepted.train(False)
        return self

    def forward(self, tokens_NL: Tensor) -> Tensor:
        if not self.training:
            return self.network(tokens_NL)
        vectors_ND = self.network.get_embedding(tokens_NL)
        logits_NC = self.network.classifier(self.network.dropout(vectors_ND))
        with torch.no_grad():
            accepted_ND = self.accepted.get_embedding(self.accepted_ids[tokens_NL])
        return torch.cat([logits_NC.float(), vectors_ND.float(), accepted_ND.float()], 1)


@dataclass(frozen=True)
class Compatible:
    """Classification, plus `weight` times the distance of the item vectors to the accepted ones.

    The distance is the mean squared one relative to the variance of the accepted vectors of the batch: 0 for
    equal vectors, 1 where each is replaced by the mean of all. Validation is that of the classification.
    """

    classification: Classification
    classes: int
    weight: float

    @property
    def figure(self) -> str:
        return self.classification.figure

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        logits, vectors = outputs[:, : self.classes], outputs[:, self.classes :]
        new, accepted = vectors.chunk(2, dim=1)
        return self.classification.loss(logits, targets) + self.weight * relative_distance(new, accepted)

    def validate(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.classification.validate(outputs, targets)


def relative_distance(new_ND: Tensor, accepted_ND: Tensor) -> Tensor:
    """Mean squared distance of N pairs of vectors relative to the variance of the accepted ones."""
    variance = (accepted_ND - accepted_ND.mean(0)).square().sum(1).mean()
    return (new_ND - accepted_ND).square().sum(1).mean() / variance.clamp_min(
        torch.finfo(variance.dtype).tiny
    )
