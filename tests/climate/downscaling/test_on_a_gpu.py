"""Downscaling networks on a GPU: nothing in a recorded step comes from the host; a GPU does as a CPU does.

The first is shown without a GPU: torch's meta device computes nothing, yet knows where each tensor lives.
"""

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.models.params import NetworkParams
from convoy.climate.downscaling.networks.fit import Fitted, train
from convoy.climate.downscaling.networks.objective import FieldError
from convoy.climate.downscaling.networks.tensors import GridBatches, scaling
from convoy.nn.downscaling import TRUNKS, Downscaler
from convoy.training.batches import Batch
from tests.support.climates import YEARS, first, noisy, world

META = torch.device("meta")
HOME = first(world(noisy), 40)
AWAY = first(world(noisy, name="away", seed=1), 20)


class FromTheHost(TorchDispatchMode):
    """The operations that take or make tensors with elements on the CPU: no CUDA graph can hold one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, result))
        if any(isinstance(leaf, torch.Tensor) and leaf.device.type == "cpu" and leaf.ndim for leaf in leaves):
            self.found.append(str(func))
        return result


def step(network: Downscaler, examples: GridBatches, goal: Any) -> None:
    inputs, targets = examples.draw(Batch(torch.arange(16, device=META), (16,)), True)
    outputs = network(inputs)
    goal.validate(outputs.detach(), targets)
    goal.loss(outputs, targets).backward()


@pytest.mark.parametrize(
    ("domains", "changes"),
    [
        *(([HOME, AWAY], {"trunk": trunk, "conserve": "additive"}) for trunk in TRUNKS),
        ([HOME, AWAY], {"conserve": "softmax", "spread": "normal"}),
        ([HOME], {"pixels": HOME.fine.shape}),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_step_takes_nothing_from_the_host(
    domains: list[Domain], changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # META has none
    scale = scaling(domains, "tasmax")
    examples = GridBatches(domains, "tasmax", scale)
    arguments = {"width": 8, "depth": 1, "hidden": 16, **changes}
    network = Downscaler(examples.weather.shape[1], len(scale.static_names), **arguments).to(META)
    goal = FieldError(HOME.fine.areas, spread=changes.get("spread") == "normal")
    examples = examples.to(META)
    # As with a recorded graph: the first step is a plain one, and may bring what stays on the device.
    step(network, examples, goal)
    with FromTheHost() as mode:
        step(network, examples, goal)
    assert mode.found == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("name", "spread"), [("residual", "none"), ("residual", "normal"), ("unet", "none")])
def test_a_gpu_learns_the_same_twice_and_predicts_as_a_cpu_does(name: str, spread: str) -> None:
    fields = {}
    for device in ("cpu", "cuda", "cuda again"):
        training = {"epochs": 6, "device": device.split()[0], "precision": "float32", "threads": 1}
        params = NetworkParams(width=8, depth=1, hidden=16, spread=spread, training=training)
        days = [HOME, AWAY, world(noisy, YEARS.at(slice(400, 520)))]
        facts, tensors, _ = train(name, params, days[:2], days[2:], "tasmax", 0)
        stored = {**facts, "training": params.training.model_dump(mode="json")}
        fields[device] = Fitted(stored, tensors).downscale(days[2], "tasmax")[0]
        on_cpu = {**stored, "training": {**stored["training"], "device": "cpu"}}
        other = Fitted(on_cpu, tensors).downscale(days[2], "tasmax")[0]
        assert np.abs(fields[device] - other).max() < 1e-2
    assert np.array_equal(fields["cuda"], fields["cuda again"])
    assert np.abs(fields["cuda"] - fields["cpu"]).mean() < 0.1
