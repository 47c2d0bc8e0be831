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

    `on_epoch` is told seed, row and whether the row comes from a run that was cut off. A baseline has no
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

    tensors, curves = {}, []
    for seed in seeds:
        of_seed = checkpoint(seed) if checkpoint is not None else None
        told = partial(_tell, on_epoch, seed)
        config["network"], tensors[seed], curve = networks.train(params, corpus, seed, of_seed, told)
        curves.append(curve)
    config["training"] = params.training.model_dump(mode="json")
    return config, tensors, curves[0]


def _tell(on_epoch: OnEpoch | None, seed: int, row: Any, resumed: bool) -> None:
    if on_epoch is not None:
        from convoy.training.loop import CLASSIFICATION

        on_epoch(seed, row.columns(CLASSIFICATION.name), resumed)


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
