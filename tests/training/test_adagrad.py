"""Adagrad by rows against PyTorch's own."""

import pytest
import torch
from torch import Tensor, nn

from convoy.nn.text import BagOfWordsModel
from convoy.training.adagrad import BESIDE_TABLES, EPSILON, RowAdagrad
from convoy.training.loop import seeded

RATE = 0.3


def network() -> nn.Module:
    with seeded(5):
        return BagOfWordsModel(30, 8, 3, dropout=0.0)


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    """Texts of 0 to 6 words out of 28, so that every batch lacks some."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 29, (count, 5, 6), generator=generator)
    length = torch.randint(0, 7, (count, 5, 1), generator=generator)
    labels = torch.randint(0, 3, (count, 5), generator=generator)
    return list(zip(tokens * (torch.arange(6) < length), labels, strict=True))


def train(model: nn.Module, optimiser: torch.optim.Optimizer, count: int = 12) -> dict[str, Tensor]:
    for tokens, labels in batches(count):
        nn.functional.cross_entropy(model(tokens), labels).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return model.state_dict()


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_it_steps_as_that_of_torch_does(decay: float) -> None:
    ours, theirs = network(), network()
    table, *rest = theirs.parameters()
    groups = [
        {"params": [table], "lr": RATE, "weight_decay": decay},
        {"params": [weight for weight in rest if weight.ndim > 1], "weight_decay": decay},
        {"params": [weight for weight in rest if weight.ndim == 1]},
    ]
    expected = train(theirs, torch.optim.Adagrad(groups, lr=RATE * BESIDE_TABLES, eps=EPSILON))
    found = train(ours, RowAdagrad(ours, RATE, decay))
    assert ours.embedding.sparse == (decay == 0)
    for name, values in found.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-5, atol=1e-6)


def test_a_rate_on_the_device_and_dense_gradients_give_the_same() -> None:
    """As on a GPU, where a recorded graph reads the rate from a tensor."""
    ours, again = network(), network()
    expected = train(ours, RowAdagrad(ours, RATE, 0.0))
    optimiser = RowAdagrad(again, torch.tensor(RATE), 0.0)
    again.embedding.sparse = False
    for name, values in train(again, optimiser).items():
        torch.testing.assert_close(values, expected[name], rtol=1e-5, atol=1e-6)


def test_words_that_no_batch_held_stay_as_they_were() -> None:
    model = network()
    before = model.embedding.weight.detach().clone()
    train(model, RowAdagrad(model, RATE, 0.0))
    assert torch.equal(model.embedding.weight[[0, 29]], before[[0, 29]])
    assert not torch.equal(model.embedding.weight[5], before[5])


def test_a_gradient_summed_over_two_passes_counts_once_a_row() -> None:
    results = []
    for sparse in (True, False):
        model = network()
        optimiser = RowAdagrad(model, RATE, 0.0)
        model.embedding.sparse = sparse
        for tokens, labels in batches(2):
            nn.functional.cross_entropy(model(tokens), labels).backward()
        optimiser.step()
        results.append(model.embedding.weight.detach())
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)
