"""Stored downscaling models that were altered: refused in one line before anything is computed."""

import dataclasses
import json
import typing

import numpy as np
import pytest

from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.models.params import BaselineParams, NetworkParams
from convoy.climate.downscaling.models.specs import checked
from convoy.climate.downscaling.models.stored import _Network, _Scaling, shapes
from convoy.climate.downscaling.networks.tensors import Scaling
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.models import names_of
from tests.support.climates import first, noisy, world

HOME = world(noisy)
TRAINING, VALIDATION = (HOME.at(HOME.days.year == year) for year in (2001, 2002))
FACTS = {"target": "tasmax", "inputs": ["tasmax", "psl", "huss"], "source": "made by hand"}
SMALL = NetworkParams(width=4, depth=1, hidden=8, training={"epochs": 1, "patience": 1, "threads": 1})
ONE_LINE = r"^[^\n]{10,450}$"


@pytest.fixture(scope="module")
def fitted():
    """Every kind of model, fitted on a few days of one place."""
    found = {}
    for name, row in models.MODELS.items():
        params = SMALL if row.is_network else BaselineParams()
        parts = [first(TRAINING, 40)], [first(VALIDATION, 10)]
        config, seeds, _ = models.train(name, params, *parts, FACTS, (0,))
        found[name] = StoredModel(json.loads(json.dumps({**config, "seeds": [0]})), seeds, None, {})
    return found


def test_every_kind_of_model_is_taken_as_training_gives_it(fitted):
    for name, model in fitted.items():
        assert checked(model) is model, name


def test_what_may_be_stored_is_what_params_and_networks_have():
    trunks = typing.get_args(_Network.model_fields["trunk"].annotation)
    assert trunks == names_of(models.MODELS, "network")
    assert list(_Scaling.model_fields) == [field.name for field in dataclasses.fields(Scaling)]
    own, theirs = (part.model_json_schema()["properties"] for part in (_Network, NetworkParams))
    for name in ("width", "depth", "hidden", "layers"):
        bounds = [{key: side[name][key] for key in ("type", "minimum", "maximum")} for side in (own, theirs)]
        assert bounds[0] == bounds[1], name


def altered(model, path, value):
    *parents, last = path.split(".")
    config = json.loads(json.dumps(model.config))
    place = config
    for key in parents:
        place = place[key]
    place[last] = value
    return dataclasses.replace(model, config=config)


VALUES = [
    ("network.hidden", 40_000), ("network.hidden", 7), ("network.hidden", 0), ("network.layers", 10**6),
    ("network.layers", 3), ("network.layers", -1), ("network.depth", 10**9), ("network.depth", 2),
    ("network.depth", 0), ("network.depth", 1.5), ("network.width", 10**30), ("network.width", 5),
    ("network.channels", 4), ("network.channels", 10**9), ("network.static_fields", 1),
    ("network.trunk", "unet"), ("network.trunk", "srcnn"), ("network.trunk", "none"),
    ("network.conserve", "all"), ("network.spread", "normal"), ("network.spread", None),
    ("network.scale", 0.0), ("network.scale", 1e300), ("network.scale", "1"), ("network.level", 1e300),
    ("network.level", 0.0), ("network.pixels", None), ("network.pixels", [10**6, 10**6]),
    ("network.pixels", [20, 16]), ("network.pixels", [16]), ("network.more", 1), ("network", None),
    ("network", []), ("scaling", None), ("scaling.weather_mean", []), ("scaling.weather_mean", [0.0] * 4),
    ("scaling.weather_std", [1.0, 1.0, 1.0, 1.0, 0.0]), ("scaling.weather_std", [1.0] * 6),
    ("scaling.weather_std", [1.0, 1.0, 1.0, 1.0, None]), ("scaling.static_names", ["elevation"]),
    ("scaling.static_names", ["elevation", "elevation"]), ("scaling.static_names", ["elevation", "moon"]),
    ("scaling.static_std", [1.0, -1.0]), ("scaling.level", None), ("scaling.residual", 0.0),
    ("conserve", {}), ("conserve.used", "softmax"), ("conserve.disagreement", -1.0), ("place", None),
    ("place", 3), ("place", ""), ("task", "climate"), ("task", None), ("kind", "unet"), ("kind", "ridge"),
    ("kind", "gan"), ("kind", None), ("schema", 0), ("target", "psl2"), ("target", "pr"), ("target", None),
    ("inputs", []), ("inputs", ["tasmax"]), ("inputs", ["tasmax", "tasmax", "psl"]), ("inputs", "tasmax"),
    ("inputs", ["tasmax", "psl", "moon"]), ("calendar", "mayan"), ("calendar", None), ("range", {}),
    ("range", None), ("range.tasmax", [300.0, 200.0]), ("range.tasmax", [None, None]),
    ("range.tasmax", [0.0]), ("range.moon", [0.0, 1.0]), ("source", None), ("training", None),
    ("seeds", [-1]), ("more", {}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), VALUES)
def test_values_of_the_config_that_do_not_fit(fitted, path, value):
    with pytest.raises(ConvoyError, match=ONE_LINE):
        checked(altered(fitted["residual"], path, value))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [("unet", "network.depth", 5), ("unet", "network.depth", 64), ("ridge", "inputs", ["tasmax", "psl"]),
     ("ridge", "place", None), ("bicubic", "place", "home"), ("bicubic", "network", {}),
     ("lapse_monthly", "kind", "bicubic"), ("monthly_residual", "kind", "quantile_mapping")],
)  # fmt: skip
def test_values_of_other_kinds_that_do_not_fit(fitted, name, path, value):
    with pytest.raises(ConvoyError, match=ONE_LINE):
        checked(altered(fitted[name], path, value))


def put(value):
    def change(tensor):
        tensor[(-1,) * tensor.ndim] = value
        return tensor

    return change


TENSORS = [
    ("residual", "network.trunk.1.bn1.running_var", put(-1e-3)),
    ("residual", "network.out.weight", put(np.nan)), ("residual", "network.out.weight", put(np.inf)),
    ("residual", "network.out.weight", put(1e30)),
    ("residual", "network.out.weight", lambda t: t[:, :-1]),
    ("residual", "network.out.bias", lambda t: t[:0]),
    ("residual", "network.from_weather.weight", lambda t: t.T),
    ("residual", "network.from_weather.weight", lambda t: t.astype(np.float64)),
    ("residual", "network.per_pixel", lambda t: t.transpose(1, 0, 2)),
    ("residual", "network.trunk.1.bn1.num_batches_tracked", lambda t: t.astype(np.float32)),
    ("residual", "static.fine.elevation", put(1e5)), ("residual", "static.fine.elevation", put(np.inf)),
    ("residual", "static.fine.valley", lambda t: t[:-1]), ("residual", "static.coarse.elevation", put(-1e9)),
    ("residual", "static.coarse.elevation", lambda t: t[None]),
    ("bicubic", "grid.fine.lat.centres", put(91.0)), ("bicubic", "grid.fine.lat.centres", put(np.nan)),
    ("bicubic", "grid.fine.lat.centres", lambda t: t[::-1].copy()),
    ("bicubic", "grid.fine.lat.centres", lambda t: t.astype(np.float32)),
    ("bicubic", "grid.fine.lon.centres", lambda t: t[:0]), ("bicubic", "grid.fine.lon.bounds", put(0.0)),
    ("bicubic", "grid.coarse.lon.bounds", lambda t: t[:, ::-1].copy()),
    ("bicubic", "grid.coarse.lon.bounds", lambda t: t * 1.5),
    ("bicubic", "grid.coarse.lat.centres", lambda t: np.linspace(-90, 90, 10**7)),
    ("lapse_monthly", "lapse", put(np.nan)), ("lapse_monthly", "lapse", lambda t: t[:11]),
    ("monthly_residual", "residual", put(np.inf)), ("monthly_residual", "residual", lambda t: t[:, :-1]),
    ("quantile_mapping", "guess", lambda t: t[:3]), ("quantile_mapping", "truth", put(-np.inf)),
    ("ridge", "weights", lambda t: t[:-1]), ("ridge", "scale", put(0.0)), ("ridge", "mean", put(np.nan)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "change"), TENSORS)
def test_tensors_that_do_not_fit(fitted, kind, name, change):
    model = fitted[kind]
    tensors = {**model.tensors, name: change(np.copy(model.tensors[name]))}
    with pytest.raises(ConvoyError, match=ONE_LINE):
        checked(dataclasses.replace(model, seeds={0: tensors}))


def test_tensors_that_are_missing_or_too_many(fitted):
    for kind, model in fitted.items():
        for name in model.tensors:
            optional = name == "cells_with_truth" or name.startswith("static.fine.")
            if not optional or name.endswith("elevation"):
                rest = {other: tensor for other, tensor in model.tensors.items() if other != name}
                with pytest.raises(ConvoyError, match=ONE_LINE):
                    checked(dataclasses.replace(model, seeds={0: rest}))
        more = model.tensors | {"more": np.ones(1, np.float32)}
        with pytest.raises(ConvoyError, match="tensor 'more' is none of this kind"):
            checked(dataclasses.replace(model, seeds={0: more}))
        assert kind in fitted


@pytest.mark.parametrize("name", names_of(models.MODELS, "network"))
def test_shapes_are_those_of_the_weights(fitted, name):
    found = shapes(fitted[name].config["network"])
    prefix = "network."
    weights = {key: tensor for key, tensor in fitted[name].tensors.items() if key.startswith(prefix)}
    assert {f"{prefix}{key}" for key in found} == weights.keys()
    for key, expected in found.items():
        tensor = weights[f"{prefix}{key}"]
        assert (tensor.shape or (1,), tensor.dtype.name) == (expected.shape or (1,), expected.dtype)


def test_fields_that_are_not_finite_do_not_pass_for_missing_ones(fitted):
    model = fitted["residual"]
    loud = {name: np.copy(tensor) for name, tensor in model.tensors.items()}
    for name in loud:
        if name.startswith("network.") and name.endswith(("weight", "bias")):
            loud[name][:] = 1e10
    with pytest.raises(ConvoyError, match="not finite on 5 days, the first of them 2002-01-01; train"):
        models.downscale(dataclasses.replace(model, seeds={0: loud}), first(VALIDATION, 5))
