"""Tiny text models, with weights and running statistics far from their initial values."""

from pathlib import Path
from typing import Any

import numpy as np

from convoy.core import artifact as models
from convoy.core.artifact import StoredModel
from convoy.streamrec.classification.corpus.build import CorpusParams, fit_tokenizer
from convoy.streamrec.classification.corpus.tokens import vocabulary_size

KERNELS = (3, 4, 5)
MAX_CHARACTERS, MAX_TOKENS = 500, 40


def textcnn_tensors(kernel_sizes=KERNELS, vocab=50, dim=16, filters=12, seed=0):
    """Tensors of a TextCNN by `state_dict` name; half the norms' scales are negative."""
    rng = np.random.default_rng(seed)
    tensors = {"embedding.weight": rng.standard_normal((vocab, dim)).astype(np.float32)}
    tensors["embedding.weight"][0] = 0
    for i, k in enumerate(kernel_sizes):
        branch = {
            "convolution.weight": rng.standard_normal((filters, dim, k)) / np.sqrt(dim * k),
            "convolution.bias": rng.standard_normal(filters),
            "norm.weight": rng.standard_normal(filters),
            "norm.bias": rng.standard_normal(filters),
            "norm.running_mean": rng.standard_normal(filters),
            "norm.running_var": rng.uniform(0.2, 3, filters),
        }
        tensors |= {f"branches.{i}.{name}": value.astype(np.float32) for name, value in branch.items()}
    return tensors


def flat(texts):
    """Token ids one after another, and where each text starts."""
    offsets = np.cumsum([0, *(len(text) for text in texts)]).astype(np.int64)
    return np.array([token for text in texts for token in text], np.int32), offsets


def random_texts(count, longest=40, seed=1, vocab=50):
    """Texts of 0 to `longest` token ids; never padding."""
    rng = np.random.default_rng(seed)
    return [rng.integers(1, vocab, rng.integers(0, longest + 1)).tolist() for _ in range(count)]


def write_model(folder: Path, kind: str, texts: list[str]) -> StoredModel:
    """A model folder of `bow` or `textcnn` whose tokenizer knows the words of `texts`."""
    tokenizer_json = fit_tokenizer(texts, CorpusParams(vocab_size=200, min_count=1))
    words, width, filters, categories = vocabulary_size(tokenizer_json), 16, 12, ["a", "b"]
    tensors = textcnn_tensors(vocab=200, dim=width, filters=filters)
    tensors["embedding.weight"] = tensors["embedding.weight"][:words]
    network: dict[str, Any] = {"vocab_size": words, "num_classes": len(categories), "embedding_dim": width,
               "embedding_std": 0.1, "dropout": 0.5}  # fmt: skip
    if kind == "textcnn":
        network |= {"num_filters": filters, "kernel_sizes": list(KERNELS)}
        features = filters * len(KERNELS)
        tensors |= {f"branches.{i}.norm.num_batches_tracked": np.array([3]) for i in range(len(KERNELS))}
    else:
        features, rng = 128, np.random.default_rng(1)
        tensors = {"embedding.weight": tensors["embedding.weight"]}
        tensors |= {"hidden.weight": rng.standard_normal((features, width)).astype(np.float32),
                    "hidden.bias": np.zeros(features, np.float32)}  # fmt: skip
    rng = np.random.default_rng(2)
    tensors |= {"classifier.weight": rng.standard_normal((len(categories), features)).astype(np.float32),
                "classifier.bias": np.zeros(len(categories), np.float32)}  # fmt: skip
    config = {
        "schema": 1,
        "kind": kind,
        "network": network,
        "categories": categories,
        "text": {"max_characters": MAX_CHARACTERS, "max_tokens": MAX_TOKENS},
        "training": {},
    }
    models.write(folder, config, {0: tensors}, tokenizer_json)
    return models.read(folder)
