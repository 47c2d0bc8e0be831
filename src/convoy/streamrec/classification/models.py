"""Networks and baselines under one roof: params, training and probabilities by the name of the model.

The two sides are imported where they are used: a network does not wait for scikit-learn, nor a baseline for
torch.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.params import Section
from convoy.streamrec.classification.data import TRAIN, Corpus

if TYPE_CHECKING:
    from convoy.training.checkpoints import Checkpoint

Array = npt.NDArray[Any]
OnEpoch = Callable[[int, dict[str, float], bool], None]
BASELINES = ("linear", "linear_pairs")
NETWORKS = ("bow", "textcnn")
TRAINED_BY = "convoy.streamrec.classification.networks"  # the module whose code a checkpoint depends on


def params_model(name: str) -> type[Section]:
    """The params of `streamrec.models.<name>`; ConvoyError for a name that is none of the four."""
    if name not in NETWORKS + BASELINES:
        raise ConvoyError(f"model '{name}': expected one of {', '.join(NETWORKS + BASELINES)}")
    if name in BASELINES:
        from convoy.streamrec.classification.baselines import BaselineParams

        return BaselineParams
    from convoy.streamrec.classification.networks import BowParams, TextCNNParams

    return BowParams if name == "bow" else TextCNNParams


def train(
    name: str, params: Any, corpus: Corpus, seeds: tuple[int, ...],
    checkpoint: "Callable[[int], Checkpoint] | None" = None, on_epoch: OnEpoch | None = None,
) -> tuple[dict[str, Any], dict[int, dict[str, Array]], str | None]:  # fmt: skip
    """Fit the model once per seed: config.json's content, tensors by seed, the first seed's learning curve.

    For `checkpoint` and `on_epoch` see `convoy.training.seeds.train_seeds`. A baseline has no
    randomness: every seed would give the same, so it is fitted for the first one alone.
    """
    text = {"categories": list(corpus.categories), "text": corpus.text}
    config: dict[str, Any] = {"schema": 1, "kind": name, "network": {}, **text}
    if name in BASELINES:
        from convoy.streamrec.classification import baselines

        config["training"] = params.model_dump(mode="json")
        kind = cast(baselines.Kind, name)
        return config, {seeds[0]: baselines.fit(kind, corpus, corpus.items(TRAIN), params)}, None
    from convoy.streamrec.classification import networks
    from convoy.training.seeds import train_seeds

    trained = train_seeds(partial(networks.train, params, corpus), seeds, checkpoint, on_epoch)
    config |= {**trained.config, "training": params.training.model_dump(mode="json")}
    return config, trained.tensors, trained.curve


def probabilities(
    stored: StoredModel, corpus: Corpus, items: npt.NDArray[np.int64]
) -> dict[int, npt.NDArray[np.float64]]:
    """Each seed's probabilities for `items`, (n, categories), categories in the corpus's order."""
    stored = stored.on_any_machine()
    kind = stored.config["kind"]
    if kind in BASELINES:
        from convoy.streamrec.classification import baselines

        return {
            seed: baselines.probabilities(kind, tensors, corpus, items)
            for seed, tensors in stored.seeds.items()
        }
    from convoy.streamrec.classification import networks

    return {
        seed: networks.probabilities(stored.config, tensors, corpus, items)
        for seed, tensors in stored.seeds.items()
    }
