"""Adagrad with another rate for tables, by PyTorch's own and as a CUDA graph can record it."""

import pytest
import torch
from torch import Tensor, nn

from convoy.core.training_params import TrainingParams
from convoy.nn.text import BagOfWordsModel
from convoy.training.adagrad import EPSILON, REST, adagrad, table_groups
from convoy.training.loop import seeded
from convoy.training.recipes import Optimiser

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


def by_recipe(model: nn.Module, decay: float, recordable: bool) -> torch.optim.Optimizer:
    """At the first step, where the rate of the recipe is its peak; `recordable`: as on a GPU."""
    optimiser = Optimiser(
        model, TrainingParams(recipe="adagrad_linear", learning_rate=RATE, weight_decay=decay), 10
    )
    if recordable:
        optimiser.torch = adagrad(table_groups(model, decay), torch.tensor(RATE))
    else:
        assert optimiser.at_step(0) == RATE
    return optimiser.torch


@pytest.mark.parametrize("recordable", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_tables_learn_at_the_rate_and_other_weights_at_a_share_of_it(decay: float, recordable: bool) -> None:
    ours, theirs = network(), network()
    table, *rest = theirs.parameters()
    groups = [
        {"params": [table], "lr": RATE, "weight_decay": decay},
        {"params": [weight for weight in rest if weight.ndim > 1], "weight_decay": decay},
        {"params": [weight for weight in rest if weight.ndim == 1]},
    ]
    expected = train(theirs, torch.optim.Adagrad(groups, lr=RATE * REST, eps=EPSILON))
    found = train(ours, by_recipe(ours, decay, recordable))
    for name, values in found.items():
        torch.testing.assert_close(values, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recordable", [False, True])
def test_words_that_no_batch_held_stay_as_they_were(recordable: bool) -> None:
    model = network()
    before = model.embedding.weight.detach().clone()
    train(model, by_recipe(model, 0.0, recordable))
    assert torch.equal(model.embedding.weight[[0, 29]], before[[0, 29]])
    assert not torch.equal(model.embedding.weight[5], before[5])
