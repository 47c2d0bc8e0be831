"""The network uses every predictor: a pattern within coarse cells that only pressure and humidity tell."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.models import specs
from convoy.climate.downscaling.models.params import BaselineParams, NetworkParams
from convoy.core.artifact import StoredModel
from tests.support.climates import YEARS, block_means, first, heights, noisy, world

NETWORK = NetworkParams(
    width=8, depth=1, hidden=32, training={
        "epochs": 12, "learning_rate": 0.01, "batch_size": 16, "threads": 1, "device": "cpu",
        "precision": "float32",
    },
)  # fmt: skip
UNEXPLAINED_K = 0.2


def told_by_other_inputs(count: int, start: int) -> Domain:
    """A pattern without coarse means, times pressure plus its product with humidity, and noise of 0.2 K."""
    domain = world(noisy, YEARS.at(slice(start, start + count)))
    draw = np.random.default_rng([4, start])
    pressure, humidity = draw.normal(size=(2, count, 1, 1))
    pattern = heights() / 1000
    pattern = pattern - np.kron(block_means(pattern), np.ones((4, 4)))
    season = 285 - 8 * np.cos(domain.days.season)[:, None, None]
    target = season + pattern * (pressure + pressure * humidity)
    target = target + UNEXPLAINED_K * draw.normal(size=target.shape)
    inputs = {
        "tasmax": block_means(target), "psl": 101_300 + 700 * pressure + 0 * block_means(target),
        "huss": 0.007 * np.exp(0.3 * humidity) + 0 * block_means(target),
    }  # fmt: skip
    inputs = {name: field.astype(np.float32) for name, field in inputs.items()}
    none = np.zeros(domain.fine.shape, np.float32)
    return replace(
        domain, target=target.astype(np.float32), inputs=inputs, static={"elevation": none},
        coarse_static={"elevation": np.zeros(domain.coarse.shape, np.float32)},
    )  # fmt: skip


def rmse(name: str, inputs: Sequence[str], train: Domain, validation: Domain, test: Domain) -> float:
    parts = [
        replace(part, inputs={key: part.inputs[key] for key in inputs}) for part in (train, validation, test)
    ]
    facts = {"target": "tasmax", "inputs": list(inputs), "source": "made by hand"}
    params = NETWORK if specs.MODELS[name].is_network else BaselineParams()
    config, tensors, _ = specs.train(name, params, parts[:1], parts[1:2], facts, (0,))
    found = specs.downscale(StoredModel(config, tensors, None, {}), parts[2])
    assert found is not None
    return float(np.sqrt(np.mean((found[0] - test.target) ** 2)))


def test_the_network_is_below_ridge_on_all_predictors_and_ridge_below_ridge_on_the_target_alone() -> None:
    whole = told_by_other_inputs(700, 0)
    train, validation = first(whole, 600), whole.at(slice(600, 700))
    test = told_by_other_inputs(200, 800)
    found = {
        (name, len(inputs)): rmse(name, inputs, train, validation, test)
        for name in ("ridge", "residual")
        for inputs in (["tasmax"], ["tasmax", "psl", "huss"])
    }
    # Ridge takes the linear half of the pattern, the network the product too.
    assert found["ridge", 3] < 0.88 * found["ridge", 1]
    assert found["residual", 3] < 0.88 * found["ridge", 3]
    assert found["residual", 3] < 0.7 * found["residual", 1]
    assert found["residual", 3] > 0.9 * UNEXPLAINED_K, found
