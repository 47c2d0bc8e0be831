"""Baselines and networks by name: fitted, stored, read and ready for the days of others."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from convoy.climate.data.domains import Domain
from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.models import surfaces
from convoy.climate.downscaling.models.params import BaselineParams, NetworkParams
from convoy.core import artifact as folders
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError
from convoy.core.models import model_named, names_of
from tests.support.climates import COARSE, FINE, first, noisy, with_inputs, world

HOME = world(noisy)
TRAINING, VALIDATION, TEST = (HOME.at(HOME.days.year == year) for year in (2001, 2002, 2003))
AWAY = first(world(noisy, name="away", seed=1), 12)
FACTS = {"target": "tasmax", "inputs": ["tasmax", "psl", "huss"], "source": "made by hand"}
SMALL = NetworkParams(
    width=4, depth=1, hidden=8,
    training={"epochs": 1, "patience": 1, "threads": 1, "device": "cpu", "precision": "float32"},
)  # fmt: skip
WITH_SPREAD = SMALL.model_copy(update={"spread": "normal"})
BASELINES = names_of(models.MODELS, "baseline")
ALL = list(models.MODELS)


@cache
def fitted(name: str, spread: bool = False) -> tuple[dict[str, Any], dict[int, Any], str | None]:
    params = BaselineParams() if name in BASELINES else WITH_SPREAD if spread else SMALL
    domains = [first(TRAINING, 60), replace(AWAY, name="other", place="other")]
    return models.train(name, params, domains, [first(VALIDATION, 20)], FACTS, (0,))


def stored(name: str, spread: bool = False) -> StoredModel:
    config, seeds, _ = fitted(name, spread)
    return StoredModel(config, seeds, None, {})


def days(count: int = 10) -> Domain:
    return first(TEST, count)


def downscaled(model: StoredModel, domain: Domain) -> tuple[Any, Any]:
    """The field and its spread, where the model can go."""
    found = models.downscale(model, domain)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ALL)
def test_a_model_read_back_gives_the_same_fields(tmp_path, name) -> None:
    config, seeds, curve = fitted(name)
    folders.write(tmp_path / name, config, seeds, None, curve)
    before, after = stored(name), folders.read(tmp_path / name)
    assert after.config == {**json.loads(json.dumps(config)), "seeds": [0]}
    expected, spread = downscaled(before, days())
    found, no_spread = downscaled(after, days())
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (10, *FINE.shape)
    assert spread is None
    assert no_spread is None
    assert (curve is None) == (name in BASELINES)
    assert (tmp_path / name / "curve.csv").exists() == (curve is not None)


def test_a_spread_comes_back_too(tmp_path) -> None:
    config, seeds, curve = fitted("residual", spread=True)
    folders.write(tmp_path / "model", config, seeds, None, curve)
    field, spread = downscaled(folders.read(tmp_path / "model"), days())
    assert spread.shape == field.shape
    assert (spread > 0).all()


def test_the_config_says_what_the_model_needs_and_where_it_comes_from() -> None:
    config, _, _ = fitted("ridge")
    assert config["task"] == "climate/downscaling"
    assert config["kind"] == "ridge"
    assert (config["target"], config["inputs"]) == ("tasmax", ["tasmax", "psl", "huss"])
    assert fitted("lapse_daily")[0]["inputs"] == ["tasmax"]  # it uses no other
    assert config["source"] == "made by hand"
    assert config["place"] == "home"
    assert fitted("residual")[0]["place"] is None
    assert fitted("residual")[0]["training"]["epochs"] == 1
    for name, (low, high) in config["range"].items():
        values = np.concatenate([first(TRAINING, 60).inputs[name].ravel(), AWAY.inputs[name].ravel()])
        assert (low, high) == (values.min(), values.max())


@pytest.mark.parametrize("name", ["bicubic", "residual"])
def test_a_model_keeps_the_surface_that_it_was_fitted_on(tmp_path, name) -> None:
    config, seeds, _ = fitted(name)
    folders.write(tmp_path / name, config, seeds, None)
    coarse, fine, coarse_static, static = surfaces.home(folders.read(tmp_path / name))
    for found, expected in ((coarse, COARSE), (fine, FINE)):
        for axis in ("lat", "lon"):
            for part in ("centres", "bounds"):
                np.testing.assert_array_equal(
                    getattr(getattr(found, axis), part), getattr(getattr(expected, axis), part)
                )
    assert set(static) == set(TRAINING.static)
    for key, field in TRAINING.static.items():
        np.testing.assert_array_equal(static[key], field)
    np.testing.assert_array_equal(coarse_static["elevation"], TRAINING.coarse_static["elevation"])


def test_each_seed_has_a_network_of_its_own_and_a_baseline_needs_one_alone() -> None:
    told: list[tuple[int, Any, bool]] = []
    _, seeds, curve = models.train(
        "residual", SMALL, [first(TRAINING, 40)], [first(VALIDATION, 10)], FACTS, (3, 5),
        on_epoch=lambda seed, row, late: told.append((seed, row, late)),
    )  # fmt: skip
    assert list(seeds) == [3, 5]
    name = "network.from_weather.weight"
    assert not np.array_equal(seeds[3][name], seeds[5][name])
    assert [(seed, row["epoch"], late) for seed, row, late in told] == [(3, 1, False), (5, 1, False)]
    # What was told of the first seed is what its curve holds.
    header, line = curve.strip().split("\n")
    assert dict(zip(header.split(","), map(float, line.split(",")), strict=True)) == told[0][1]
    _, seeds, curve = models.train("bicubic", BaselineParams(), [TRAINING], [], FACTS, (3, 5))
    assert list(seeds) == [3]
    assert curve is None


def test_the_weights_of_each_seed_can_be_asked_for() -> None:
    config, seeds, _ = models.train(
        "residual", SMALL, [first(TRAINING, 40)], [first(VALIDATION, 10)], FACTS, (3, 5)
    )
    both = StoredModel(config, seeds, None, {})
    alone = {
        seed: downscaled(StoredModel(config, {seed: seeds[seed]}, None, {}), days())[0] for seed in seeds
    }
    for seed in (3, 5):
        np.testing.assert_array_equal(models.Downscaling(both, seed)(days())[0], alone[seed])
    np.testing.assert_array_equal(models.Downscaling(both)(days())[0], alone[3])
    assert not np.array_equal(alone[3], alone[5])


def test_checkpoints_are_asked_for_by_seed(tmp_path) -> None:
    from convoy.training.checkpoints import Checkpoint

    asked: list[int] = []

    def checkpoint(seed: int) -> Checkpoint:
        asked.append(seed)
        return Checkpoint(tmp_path, f"residual-{seed}", "key")

    often = SMALL.model_copy(update={"training": SMALL.training.model_copy(update={"checkpoint_seconds": 0})})
    domains = [first(TRAINING, 20)], [first(VALIDATION, 10)]
    models.train("residual", often, *domains, FACTS, (1, 2), checkpoint)
    assert asked == [1, 2]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ALL)
def test_who_knows_one_place_alone_says_so_elsewhere(name) -> None:
    found = models.downscale(stored(name), AWAY)
    if models.MODELS[name].per_pixel:
        assert found is None
    else:
        assert found[0].shape == AWAY.target.shape


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("ridge", "psl"),
        ("residual", "psl"),
        ("ridge", "tasmax"),
        ("residual", "tasmax"),
        ("bicubic", "tasmax"),
    ],
)
def test_a_domain_that_lacks_an_input_is_refused(name, lacking) -> None:
    domain = replace(days(), inputs={k: v for k, v in days().inputs.items() if k != lacking})
    with pytest.raises(ConvoyError, match=f"home: no variable {lacking}, which the model needs"):
        models.downscale(stored(name), domain)


def test_a_domain_that_lacks_a_static_field_is_refused_where_it_is_needed() -> None:
    domain = replace(days(), static={"elevation": HOME.static["elevation"]})
    assert models.downscale(stored("ridge"), domain) is not None
    with pytest.raises(ConvoyError, match="home: no variable valley, which the model needs"):
        models.downscale(stored("residual"), domain)


@pytest.mark.parametrize("name", ["ridge", "residual"])
def test_inputs_may_come_in_any_order_and_with_others(name) -> None:
    expected, _ = downscaled(stored(name), days())
    inputs = dict(reversed(list(days().inputs.items())))
    shuffled = replace(days(), inputs={"pr": np.zeros_like(inputs["psl"]), **inputs})
    found, _ = downscaled(stored(name), shuffled)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["ridge", "residual"])
def test_one_model_serves_slice_after_slice(name) -> None:
    ready = models.Downscaling(stored(name))
    whole, *parts = (ready(part) for part in (days(20), *(days(20).at(slice(n, n + 8)) for n in (0, 8, 16))))
    np.testing.assert_allclose(np.concatenate([part[0] for part in parts]), whole[0], atol=1e-3)


def test_a_day_without_a_coarse_field_has_no_fine_one() -> None:
    field = days().inputs["tasmax"].copy()
    field[4] = np.nan
    for name in ("bicubic", "lapse_daily", "ridge", "residual"):
        found, _ = downscaled(stored(name), with_inputs(days(), tasmax=field))
        assert np.isnan(found[4]).all(), name
        assert np.isfinite(np.delete(found, 4, axis=0)).all(), name


def test_a_model_of_one_place_keeps_the_surface_of_that_place() -> None:
    domains = [AWAY, first(TRAINING, 60)]
    config, seeds, _ = models.train("monthly_residual", BaselineParams(), domains, [], FACTS, (0,))
    assert config["place"] == "home"
    *_, static = surfaces.home(StoredModel(config, seeds, None, {}))
    np.testing.assert_array_equal(static["elevation"], TRAINING.static["elevation"])


def test_the_networks_are_the_trunks() -> None:
    from convoy.nn.downscaling import TRUNKS

    assert tuple(TRUNKS) == names_of(models.MODELS, "network")


def test_params_by_name() -> None:
    assert models.MODELS["ridge"].params is BaselineParams
    assert models.MODELS["unet"].params is NetworkParams
    with pytest.raises(ConvoyError, match=r"model 'gan': expected one of nearest, .*, unet"):
        model_named(models.MODELS, "gan")


def test_a_baseline_does_not_wait_for_torch() -> None:
    modules = "convoy.climate.downscaling.models.specs, convoy.climate.downscaling.evaluation.evaluate"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_network_that_learnt_each_pixel_stays_on_its_surface() -> None:
    config, seeds, _ = models.train(
        "residual", SMALL, [first(TRAINING, 40)], [first(VALIDATION, 10)], FACTS, (0,)
    )
    bound = StoredModel(config, seeds, None, {})
    assert config["place"] == "home"
    assert downscaled(bound, days())[0].shape == (10, *FINE.shape)
    assert models.downscale(bound, AWAY) is None
    assert models.downscale(stored("residual"), AWAY) is not None


def test_baselines_by_height_are_copies_of_bicubic_without_heights_and_for_other_variables() -> None:
    by_height = ["lapse_fixed", "lapse_monthly", "lapse_daily"]
    assert models.copies([HOME, AWAY], "tasmax") == {}
    none = np.zeros(HOME.fine.shape, np.float32)
    flat = replace(HOME, static={"elevation": none}, coarse_static={"elevation": none[:4, :5]})
    assert models.copies([flat, AWAY], "tasmax") == {}, "heights are known somewhere"
    rain = replace(HOME, inputs={"pr": HOME.inputs["tasmax"]})
    for domain, target, reason in (
        (flat, "tasmax", "there are no heights: the source has no orography"),
        (rain, "pr", "pr is no temperature"),
    ):
        found = models.copies([domain], target)
        assert list(found) == by_height
        assert all(note == {"same_as": "bicubic", "because": reason} for note in found.values())
        part = first(domain, 40)
        facts = {**FACTS, "target": target, "inputs": [target]}
        fields = {}
        for name in ("bicubic", *by_height):
            config, seeds, _ = models.train(name, BaselineParams(), [part], [], facts, (0,))
            fields[name] = downscaled(StoredModel(config, seeds, None, {}), part)[0]
        for name in by_height:
            np.testing.assert_allclose(fields[name], fields["bicubic"], rtol=1e-6)
