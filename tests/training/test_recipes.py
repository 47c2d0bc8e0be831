"""Optimisers that go on from a checkpoint follow their schedule, by numbers and by a tensor as on a GPU."""

import pytest
import torch
from torch import nn

from convoy.core.training_params import RATES, TrainingParams
from convoy.training.recipes import Optimiser


@pytest.mark.parametrize("on_gpu", [False, True], ids=["by a number", "by a tensor"])
@pytest.mark.parametrize("recipe", RATES)
def test_after_loading_the_rate_is_that_of_the_schedule(recipe: str, on_gpu: bool) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimiser = Optimiser(network, TrainingParams(recipe=recipe, epochs=4), steps_per_epoch=5)
    if on_gpu:
        optimiser.rate = torch.tensor(optimiser.peak)
        for group in optimiser.torch.param_groups:
            group["lr"] = optimiser.rate
    network(torch.ones(6, 3)).sum().backward()
    optimiser.at_step(0)
    optimiser.torch.step()
    slots = {number: dict(state) for number, state in optimiser.torch.state_dict()["state"].items()}
    optimiser.load(slots)
    expected = optimiser.at_step(15)
    assert (expected == optimiser.peak) == (recipe == "adam")
    assert [float(group["lr"]) for group in optimiser.torch.param_groups] == pytest.approx(
        [expected * (1.0 if on_gpu else group.get("share", 1.0)) for group in optimiser.torch.param_groups]
    )
