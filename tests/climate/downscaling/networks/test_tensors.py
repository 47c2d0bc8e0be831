"""Days as tensors: what is scaled by what, which day belongs to which terrain, and what a batch holds."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from convoy.climate.data.domains import Domain
from convoy.climate.data.lapse import at_height, daily_lapse
from convoy.climate.downscaling.networks.tensors import GridBatches, Scaling, geometry, scaling, scaling_from
from convoy.core.files import write_json
from convoy.training.batches import Batch
from tests.support.climates import COARSE, FINE, block_means, first, noisy, with_inputs, world

HOME, AWAY = first(world(noisy), 90), first(world(noisy, name="away", seed=1), 40)
LATER = replace(first(world(noisy), 120).at(np.arange(90, 120)), name="later")
SCALE = scaling([HOME, AWAY, LATER], "tasmax")


def examples(*domains: Domain) -> GridBatches:
    return GridBatches(list(domains) or [HOME, AWAY, LATER], "tasmax", SCALE)


def changed(domain: Domain, name: str, index: tuple, value: float) -> Domain:
    field = domain.inputs[name].copy()
    field[index] = value
    return with_inputs(domain, **{name: field})


def test_channels_have_mean_0_and_deviation_1_over_the_training_days() -> None:
    weather = examples(HOME).weather.numpy()
    # Level less its daily mean, pressure, humidity, lapse rate, height.
    assert weather.shape == (90, 5, *COARSE.shape)
    of_all = examples().weather.numpy()
    np.testing.assert_allclose(of_all.std(axis=(0, 2, 3)), 1, atol=1e-3)
    parts = [examples(domain).weather.numpy().mean(axis=(0, 2, 3)) for domain in (HOME, AWAY, LATER)]
    np.testing.assert_allclose(np.mean(parts, axis=0), 0, atol=1e-3)


def test_each_channel_by_hand() -> None:
    weather = examples(HOME).weather.numpy().astype(np.float64)
    lapse = daily_lapse(HOME, "tasmax")[:, None, None]
    height = HOME.coarse_static["elevation"] / 1000
    level = HOME.inputs["tasmax"] + lapse * height
    level = level - level.mean(axis=(1, 2), keepdims=True)
    expected = [level, HOME.inputs["psl"], np.log(HOME.inputs["huss"]), lapse + 0 * level, height + 0 * level]
    for channel, plain in enumerate(expected):
        found = weather[:, channel] * SCALE.weather_std[channel] + SCALE.weather_mean[channel]
        np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-3)


def test_the_level_of_a_warmer_world_is_no_news() -> None:
    warmer = with_inputs(HOME, tasmax=HOME.inputs["tasmax"] + 4)
    torch.testing.assert_close(examples(warmer).weather, examples(HOME).weather, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(examples(warmer).coarse, examples(HOME).coarse + 4, atol=1e-3, rtol=1e-3)


def test_precipitation_is_taken_as_its_root() -> None:
    rain = np.random.default_rng(0).gamma(0.3, 1e-4, HOME.inputs["psl"].shape).astype(np.float32)
    domain = replace(HOME, inputs={"tasmax": HOME.inputs["tasmax"], "pr": rain})
    scale = scaling([domain], "tasmax")
    found = GridBatches([domain], "tasmax", scale).weather.numpy()[:, 1]
    np.testing.assert_allclose(found, (np.sqrt(rain) - np.sqrt(rain).mean()) / np.sqrt(rain).std(), atol=1e-3)


def test_levels_and_residuals() -> None:
    levels = [domain.inputs["tasmax"].mean() for domain in (HOME, AWAY, LATER)]
    assert SCALE.level == pytest.approx(np.mean(levels), abs=1e-3)
    data = examples(AWAY)
    np.testing.assert_allclose(data.truth.numpy() + SCALE.level, AWAY.target, atol=1e-3)
    np.testing.assert_allclose(data.coarse.numpy() + SCALE.level, AWAY.inputs["tasmax"], atol=1e-3)
    np.testing.assert_allclose(data.lapse.numpy(), daily_lapse(AWAY, "tasmax"))
    errors = [
        np.mean((domain.target - at_height(domain, "tasmax", daily_lapse(domain, "tasmax"))) ** 2)
        for domain in (HOME, AWAY, LATER)
    ]
    assert SCALE.residual == pytest.approx(np.sqrt(np.mean(errors)), rel=1e-4)


def test_the_surface_is_standardised_once_per_place() -> None:
    data = examples()
    assert data.surface.static.shape == (2, 2, *FINE.shape)
    np.testing.assert_allclose(data.surface.static.numpy().mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(data.surface.static.numpy().std(axis=(0, 2, 3)), 1, atol=1e-3)
    np.testing.assert_allclose(data.surface.elevation_km[1].numpy(), AWAY.static["elevation"] / 1000)
    expected = AWAY.coarse_static["elevation"] / 1000
    np.testing.assert_allclose(data.surface.coarse_elevation_km[1].numpy(), expected)
    assert data.domain.tolist() == [0] * 90 + [1] * 40 + [0] * 30


def test_the_season_is_two_waves() -> None:
    angle = HOME.days.season
    expected = [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    np.testing.assert_allclose(examples(HOME).season.numpy(), np.stack(expected, axis=1), atol=1e-6)


def test_the_geometry_brings_means_back_and_spreads_as_little_as_can_be() -> None:
    between = geometry(COARSE, FINE)
    fine = np.random.default_rng(0).normal(size=(3, *FINE.shape))
    found = between.mean_lat.numpy() @ fine @ between.mean_lon.numpy().T
    np.testing.assert_allclose(found, block_means(fine), atol=1e-5)
    coarse = np.random.default_rng(1).normal(size=COARSE.shape)
    change = between.spread_lat.numpy() @ coarse @ between.spread_lon.numpy().T
    np.testing.assert_allclose(block_means(change), coarse, atol=1e-5)
    # Any other change with these means is larger: the difference has means of 0, and stands upright on it.
    other = np.kron(coarse, np.ones((4, 4)))
    assert (change**2).sum() <= (other**2).sum()
    assert np.vdot(change, other - change) == pytest.approx(0, abs=1e-3)


def test_one_missing_cell_is_as_its_neighbour_at_its_height() -> None:
    holed = changed(HOME, "tasmax", (slice(None), 1, 1), np.nan)
    data = examples(holed)
    assert torch.isfinite(data.weather).all()
    level = holed.inputs["tasmax"] + (
        daily_lapse(holed, "tasmax")[:, None, None] * holed.coarse_static["elevation"] / 1000
    )
    found = data.coarse.numpy()[:, 1, 1] + SCALE.level
    found += daily_lapse(holed, "tasmax") * holed.coarse_static["elevation"][1, 1] / 1000
    beside = [level[:, row, column] for row, column in ((0, 1), (2, 1), (1, 0), (1, 2))]
    assert min(np.abs(found - neighbour).max() for neighbour in beside) < 1e-2
    np.testing.assert_array_equal(data.coarse[:, 2:], examples(HOME).coarse[:, 2:])


@pytest.mark.parametrize("name", ["psl", "huss"])
def test_a_day_without_a_variable_is_taken_for_average_and_spoils_no_scale(name) -> None:
    holed = changed(HOME, name, (7,), np.nan)
    channel = 1 if name == "psl" else 2
    np.testing.assert_array_equal(examples(holed).weather[7, channel], 0)
    assert torch.isfinite(examples(holed).weather).all()
    found = scaling([holed], "tasmax")
    assert found.weather_std[channel] == pytest.approx(
        scaling([HOME], "tasmax").weather_std[channel], rel=0.1
    )


def test_a_day_without_the_coarse_field_has_no_fine_one() -> None:
    data = examples(changed(HOME, "tasmax", (7,), np.nan))
    assert np.flatnonzero(torch.isnan(data.lapse)).tolist() == [7]
    assert torch.isfinite(data.weather).all()


def test_missing_truths_stay_missing_and_static_holes_are_average() -> None:
    holed = replace(HOME, target=HOME.target.copy(), static={k: v.copy() for k, v in HOME.static.items()})
    holed.target[3, 4, 5] = np.nan
    holed.static["valley"][2, 2] = np.nan
    data = examples(holed)
    assert torch.isnan(data.truth).sum() == 1
    assert torch.isnan(data.truth[3, 4, 5])
    assert data.surface.static[0, 1, 2, 2] == 0


def test_a_batch_holds_its_days() -> None:
    data = examples()
    items = torch.tensor([3, 95, 140])
    inputs, targets = data.draw(Batch(items, (3,)), training=True)
    torch.testing.assert_close(inputs.weather, data.weather[items])
    assert inputs.domain.tolist() == [0, 1, 0]
    torch.testing.assert_close(targets, data.truth[items])
    assert data.names([3, 95, 140]) == ["home 2001-01-04", "away 2001-01-06", "later 2001-04-11"]
    assert len(data) == 160


def test_without_a_truth_the_coarse_field_stands_in() -> None:
    data = examples(replace(HOME, target=None))
    assert data.truth is None
    _, targets = data.draw(Batch(torch.tensor([1, 2]), (2,)), training=False)
    torch.testing.assert_close(targets, data.coarse[1:3])


@pytest.mark.parametrize(("days", "size"), [(40, 16), (33, 16), (17, 16), (2, 16), (32, 16), (3, 2)])
def test_training_batches_hold_every_day_once_and_never_one_alone(days, size) -> None:
    plan = examples(first(HOME, days)).plan(size, np.random.default_rng(0))
    assert sorted(plan.order.tolist()) == list(range(days))
    sizes = plan.sizes()
    assert [batch.shape for batch in plan] == [(size,) for size in sizes]
    assert sum(sizes) == days
    assert min(sizes) > 1
    assert max(sizes) <= size + 1
    other = examples(first(HOME, days)).plan(size, np.random.default_rng(1))
    assert days < 4 or plan.order.tolist() != other.order.tolist()


def test_without_a_generator_days_keep_their_order() -> None:
    plan = examples(first(HOME, 33)).plan(16, None)
    assert [items.tolist() for items, _ in plan] == [[*range(16)], [*range(16, 32)], [32]]


def test_moving_to_a_device_keeps_everything() -> None:
    data = examples()
    moved = data.to(torch.device("cpu"))
    for name in ("weather", "coarse", "lapse", "season", "domain", "truth"):
        torch.testing.assert_close(getattr(moved, name), getattr(data, name))
    assert moved.names([0]) == data.names([0])
    assert examples(replace(HOME, target=None)).to(torch.device("cpu")).truth is None


def test_a_scaling_comes_back_from_json(tmp_path) -> None:
    import json

    write_json(tmp_path / "scaling.json", asdict(SCALE))
    found = scaling_from(json.loads((tmp_path / "scaling.json").read_text()))
    assert isinstance(found, Scaling)
    assert found == SCALE
