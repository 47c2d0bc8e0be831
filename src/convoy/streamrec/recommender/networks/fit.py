"""The click model, from vectors of items and training events to log-odds of clicks."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from convoy.core.errors import ConvoyError
from convoy.nn.clicks import ClickModel, Impressions
from convoy.streamrec.recommender.data.io import TRAIN, VALIDATION
from convoy.streamrec.recommender.impressions import Coded
from convoy.streamrec.recommender.networks.batches import ClickBatches, Clicks
from convoy.streamrec.recommender.params import ClickParams
from convoy.training.curve import Fitted
from convoy.training.loop import OnEpoch, fit, predict, seeded

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Consumer:
    """A fitted click model: a consumer of the vectors that it was fitted with."""

    name: str
    seed: int
    network: ClickModel
    params: ClickParams
    fitted: Fitted

    def log_odds(self, coded: Coded, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Log-odds of a click for the events `rows`, (n,)."""
        outputs = predict(self.network, batches(coded, rows), self.params.training)
        return outputs.double().numpy()

    def with_vectors(self, vectors: Vectors) -> "Consumer":
        """The same weights, fed with other vectors of the items."""
        network = self.network
        fed = ClickModel(
            torch.from_numpy(vectors), network.users.num_embeddings, network.tiers.num_embeddings,
            network.n_numbers, self.params.projection, self.params.hidden, network.delta is not None,
        )  # fmt: skip
        fed.load_state_dict(network.state_dict())
        return replace(self, network=fed)

    def refitted(self, vectors: Vectors, coded: Coded) -> "Consumer":
        """The click model fitted once more, with other vectors and the same seed."""
        return train(self.name, vectors, self.network.delta is not None, coded, self.params, self.seed)


def train(
    name: str, vectors: Vectors, delta: bool, coded: Coded, params: ClickParams, seed: int,
    on_epoch: OnEpoch = lambda _row, _resumed: None,
) -> Consumer:  # fmt: skip
    """Fit the click model with `vectors` (N, D), which stay as they are.

    Raises ConvoyError where the training or the validation split has fewer than two events.
    """
    train_rows, validation_rows = coded.rows(TRAIN), coded.rows(VALIDATION)
    for split, rows in (("training", train_rows), ("validation", validation_rows)):
        if len(rows) < 2:
            raise ConvoyError(f"{name}: {len(rows)} events in the {split} split; add interactions")
    with seeded(seed):
        network = ClickModel(
            torch.from_numpy(vectors), coded.n_trained_users, len(coded.tiers) + 1, coded.numbers.shape[1],
            params.projection, params.hidden, delta,
        )  # fmt: skip
    fitted = fit(
        network, batches(coded, train_rows), batches(coded, validation_rows), Clicks(), params.training,
        seed, name, on_epoch=on_epoch,
    )  # fmt: skip
    return Consumer(name, seed, network, params, fitted)


def batches(coded: Coded, rows: npt.NDArray[np.int64]) -> ClickBatches:
    """The events `rows` for the training loop."""
    impressions = Impressions(
        users=torch.from_numpy(coded.trained_user[coded.user[rows]]),
        items=torch.from_numpy(coded.item[rows]),
        tiers=torch.from_numpy(coded.tier[rows]),
        numbers=torch.from_numpy(coded.numbers[rows]),
    )
    clicks = torch.from_numpy(coded.click[rows].astype(np.float32))
    return ClickBatches(impressions, clicks, lambda number: str(coded.item_ids[number]))
