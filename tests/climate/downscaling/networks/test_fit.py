"""Networks on small worlds: the right loss, training that learns and goes on, fields that conserve."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from convoy.climate.data.domains import Axis, Days, Domain, Grid
from convoy.climate.data.regridding import area_mean
from convoy.climate.downscaling.models.params import NetworkParams
from convoy.climate.downscaling.networks.fit import Fitted, disagreement, train
from convoy.core.errors import ConvoyError
from convoy.training.checkpoints import Checkpoint
from tests.support.climates import COARSE, FINE, YEARS, block_means, first, noisy, plane, with_inputs, world


def params(
    conserve: str = "auto", spread: str = "none", per_pixel: str = "none", **training: Any
) -> NetworkParams:
    changes = {"epochs": 3, "patience": 3, "batch_size": 16, "threads": 1, "device": "cpu", **training}
    changes |= {"checkpoint_seconds": 0.0, "precision": "float32"}
    return NetworkParams(
        width=8, depth=1, hidden=16, layers=2, conserve=conserve, spread=spread, per_pixel=per_pixel,
        training=changes,
    )  # fmt: skip


def days(first_day: int, count: int) -> Days:
    return YEARS.at(slice(first_day, first_day + count))


def valleys(days: Days, z: np.ndarray) -> np.ndarray:
    """Cold pools: the lower the terrain the colder, on every other day only, which the pressure tells."""
    pools = np.where(np.arange(len(days)) % 2, 0.01, 0.0)[:, None, None] * np.minimum(z - 600, 0)
    return plane(FINE) - 6 * z / 1000 + pools


def pooled(count: int = 120, start: int = 0) -> Domain:
    domain = world(valleys, days(start, count))
    psl = 101_300 + 900 * (-1.0) ** np.arange(count)[:, None, None] + domain.inputs["psl"] - 101_300
    return with_inputs(domain, psl=psl.astype(np.float32))


TRAINING, VALIDATION = pooled(), pooled(40, 400)


@cache
def trained(name: str = "residual", seed: int = 0, **changes: Any) -> tuple[dict, dict, str]:
    return train(name, params(**changes), [TRAINING], [VALIDATION], "tasmax", seed)


def fitted(facts: dict, tensors: dict, **changes: Any) -> Fitted:
    return Fitted({**facts, "training": params(**changes).training.model_dump(mode="json")}, tensors)


def rmse(field: np.ndarray, domain: Domain) -> float:
    return float(np.sqrt((np.mean((field - domain.target) ** 2, axis=0) * domain.fine.areas).sum()))


def test_a_loss_that_is_not_finite_is_told_with_its_days() -> None:
    broken = replace(first(TRAINING, 20), target=TRAINING.target[:20].copy())
    broken.target[5, 0, 0] = 1e30
    told = pytest.raises(ConvoyError, match=r"not finite at step \d .* home 2001-01-")
    with np.errstate(over="ignore"), told:
        train("residual", params(), [broken], [VALIDATION], "tasmax", 0)


def test_training_lowers_the_loss_below_every_interpolation() -> None:
    facts, tensors, curve = trained(epochs=10, patience=10, learning_rate=0.02)
    rows = [line.split(",") for line in curve.strip().split("\n")]
    assert rows[0] == ["epoch", "train_loss", "validation_loss", "validation_rmse", "learning_rate"]
    losses = [float(row[1]) for row in rows[1:]]
    assert len(losses) == 10
    assert losses[-1] < 0.5 * losses[0]
    field, spread = fitted(facts, tensors).downscale(VALIDATION, "tasmax")
    assert spread is None
    assert field.shape == VALIDATION.target.shape
    base = facts["scaling"]["residual"]
    assert rmse(field, VALIDATION) < 0.6 * base
    # The weights are those of the best epoch of the curve.
    assert rmse(field, VALIDATION) == pytest.approx(min(float(row[3]) for row in rows[1:]), rel=1e-3)


@pytest.mark.parametrize("name", ["srcnn", "separable", "unet"])
def test_every_other_trunk_trains_and_predicts(name) -> None:
    facts, tensors, _ = trained(name, epochs=1, patience=1)
    assert facts["network"]["trunk"] == name
    field, _ = fitted(facts, tensors).downscale(first(VALIDATION, 5), "tasmax")
    assert field.shape == (5, *FINE.shape)
    assert np.abs(field - VALIDATION.target[:5]).mean() < 4


def test_a_spread_is_positive_and_about_as_large_as_the_errors() -> None:
    training, validation = world(noisy, days(0, 200)), world(noisy, days(400, 60))
    found = train(
        "residual", params(spread="normal", epochs=8, patience=8), [training], [validation], "tasmax", 0
    )
    field, spread = fitted(*found[:2]).downscale(validation, "tasmax")
    assert spread.shape == field.shape
    assert spread.min() > 0
    assert 0.5 < np.sqrt(np.mean(spread**2)) / rmse(field, validation) < 2


def test_equal_seeds_give_equal_weights_and_other_seeds_do_not() -> None:
    _, one, curve = trained(epochs=1, patience=1)
    trained.cache_clear()
    _, again, same_curve = trained(epochs=1, patience=1)
    _, other, _ = trained(seed=1, epochs=1, patience=1)
    assert curve == same_curve
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["from_weather.weight"], other["from_weather.weight"])
    # They begin elsewhere, and see the days in another order.
    still = {"epochs": 1, "patience": 1, "learning_rate": 1e-9, "weight_decay": 0.0}
    begun = [trained(seed=seed, **still)[1]["from_weather.weight"] for seed in (0, 1)]
    assert np.abs(begun[0] - begun[1]).max() > 0.01


@pytest.mark.parametrize("trunk", ["residual", "unet"])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, trunk: str) -> None:
    settings = params(epochs=4, patience=4)
    arguments = (trunk, settings, [TRAINING], [VALIDATION], "tasmax", 0)
    _, unbroken, curve = train(*arguments)
    checkpoint = Checkpoint(tmp_path, f"{trunk}-0", "key")

    def killed(row: Any, _resumed: bool) -> None:
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*arguments, checkpoint, killed)
    told: list[tuple[int, bool]] = []
    _, resumed, again = train(*arguments, checkpoint, lambda row, late: told.append((row["epoch"], late)))
    assert told == [(1, True), (2, True), (3, False), (4, False)]
    assert again == curve
    assert all(np.array_equal(resumed[name], unbroken[name]) for name in unbroken)


def test_where_the_truth_agrees_the_output_conserves() -> None:
    facts, tensors, _ = trained()
    assert facts["conserve"]["setting"] == "auto"
    assert facts["conserve"]["used"] == facts["network"]["conserve"] == "additive"
    assert facts["conserve"]["disagreement"] < 1e-3
    field, _ = fitted(facts, tensors).downscale(VALIDATION, "tasmax")
    np.testing.assert_allclose(block_means(field), VALIDATION.inputs["tasmax"], atol=1e-3)


def biased(domain: Domain, by: float = 0.5) -> Domain:
    return with_inputs(domain, tasmax=domain.inputs["tasmax"] + np.float32(by))


def done(conserve: str, *domains: Domain) -> dict[str, Any]:
    short = params(conserve, epochs=1, patience=1)
    return train("residual", short, list(domains), [first(VALIDATION, 2)], "tasmax", 0)[0]["conserve"]


def test_auto_conserves_nothing_where_the_coarse_model_says_something_else() -> None:
    found = done("auto", first(biased(TRAINING), 20))
    assert found["used"] == "none"
    assert found["disagreement"] == pytest.approx(0.5, abs=1e-2)
    assert "the truth differ from the coarse tasmax by 0.5 (RMSE), more than 0." in found["reason"]
    # One such domain among others is enough to be seen.
    assert done("auto", first(TRAINING, 20), first(biased(TRAINING), 20))["used"] == "none"
    # Who asks for it gets it.
    assert done("additive", first(biased(TRAINING), 20))["used"] == "additive"
    assert done("none", first(TRAINING, 20))["used"] == "none"


def test_auto_conserves_where_the_truth_agrees_in_at_least_half_of_the_area() -> None:
    masked = first(TRAINING, 20)
    masked.target[:, 0, 0] = np.nan
    found = done("auto", masked)
    assert found["used"] == "additive"
    assert found["disagreement"] < 1e-3


def test_auto_conserves_nothing_where_truth_is_missing_or_grids_do_not_nest() -> None:
    masked = first(TRAINING, 20)
    masked.target[:, :, ::7] = np.nan
    assert done("auto", masked) == {
        "setting": "auto",
        "used": "none",
        "disagreement": None,
        "reason": "less than half of the truth is known",
    }
    found = done("auto", unaligned())
    assert found["reason"] == "the grids do not nest"
    assert found["used"] == "none"
    assert found["disagreement"] < 1e-3


def unaligned() -> Domain:
    """Its fine cells do not divide the coarse ones evenly, and yet their means agree."""
    domain = first(TRAINING, 20)
    fine = Grid(Axis.regular(44.1, 0.24, 16), Axis.regular(6.1, 0.24, 20))
    means = area_mean(fine, domain.coarse)(domain.target)
    return replace(with_inputs(domain, tasmax=means), fine=fine)


def test_softmax_is_refused_where_grids_do_not_nest() -> None:
    with pytest.raises(ConvoyError, match="residual: conserve 'softmax' needs grids that nest"):
        done("softmax", unaligned())


def test_disagreement_by_hand() -> None:
    domain = first(TRAINING, 10)
    field = domain.inputs["tasmax"].copy()
    field[:, 2, 3] += 2
    weight = block_weight(2)
    found = disagreement([with_inputs(domain, tasmax=field), domain], "tasmax")
    assert found == pytest.approx(np.sqrt(weight * 4 / 2), rel=1e-3)


def block_weight(row: int) -> float:
    """The share of one coarse cell of this row in the area of all."""
    rows = np.diff(np.sin(np.radians(44 + np.arange(5.0))))
    return float(rows[row] / rows.sum() / 5)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_too_few_days_are_refused(split) -> None:
    parts = {"training": TRAINING, "validation": VALIDATION}
    parts[split] = first(parts[split], 1)
    with pytest.raises(ConvoyError, match=f"residual: fewer than 2 days with values in the {split} split"):
        train("residual", params(), [parts["training"]], [parts["validation"]], "tasmax", 0)


def test_days_without_a_truth_or_a_coarse_field_are_as_days_that_were_not_given() -> None:
    given, left = first(TRAINING, 40), np.ones(40, bool)
    holed = replace(given, target=given.target.copy())
    holed = with_inputs(holed, tasmax=given.inputs["tasmax"].copy())
    holed.target[[3, 39]] = np.nan
    holed.inputs["tasmax"][11] = np.nan
    left[[3, 11, 39]] = False
    empty = replace(first(TRAINING, 3), name="empty", target=np.full((3, *FINE.shape), np.nan, np.float32))
    short = params(epochs=1, patience=1)
    found, expected = (
        train("residual", short, parts, [VALIDATION], "tasmax", 0)
        for parts in ([holed, empty], [given.at(left)])
    )
    assert found[0] == expected[0]
    assert all(np.array_equal(found[1][name], expected[1][name]) for name in expected[1])


def test_a_fitted_network_goes_to_another_and_larger_surface() -> None:
    facts, tensors, _ = trained()
    ready = fitted(facts, tensors)
    here, _ = ready.downscale(first(VALIDATION, 3), "tasmax")
    wide, narrow = (
        Grid(Axis.regular(50.0, step, 6 * factor), Axis.regular(0.0, step, 7 * factor))
        for step, factor in ((1.0, 1), (0.25, 4))
    )
    draw = np.random.default_rng(0)
    z = draw.gamma(2, 400, narrow.shape).astype(np.float32)
    inputs = {name: np.full((3, 6, 7), field.mean(), np.float32) for name, field in VALIDATION.inputs.items()}
    there = Domain(
        "there", "there", wide, narrow, first(VALIDATION, 3).days, inputs, None,
        {"elevation": z, "valley": z - 800}, {"elevation": z.reshape(6, 4, 7, 4).mean(axis=(1, 3))},
    )  # fmt: skip
    field, _ = ready.downscale(there, "tasmax")
    assert field.shape == (3, 24, 28)
    assert np.isfinite(field).all()
    again, _ = ready.downscale(first(VALIDATION, 3), "tasmax")
    np.testing.assert_array_equal(again, here)
    # The same fine cells under coarse ones that lie elsewhere.
    beside = replace(first(VALIDATION, 3), coarse=Grid(COARSE.lat, Axis.regular(6.5, 1.0, 5)))
    field, _ = ready.downscale(beside, "tasmax")
    np.testing.assert_array_equal(field, fitted(facts, tensors).downscale(beside, "tasmax")[0])


def crooked(days: Days, z: np.ndarray) -> np.ndarray:
    """Each fine cell is off by something of its own, which its height does not tell."""
    own = np.random.default_rng(4).normal(size=FINE.shape)
    return plane(FINE) - 6 * z / 1000 + own + np.zeros((len(days), 1, 1))


def test_each_pixels_own_per_pixel_are_learnt_where_there_is_one_surface() -> None:
    training, validation = world(crooked, days(0, 120)), world(crooked, days(400, 40))
    errors = {}
    for per_pixel in ("none", "auto"):
        longer = params("none", per_pixel=per_pixel, epochs=15, patience=15, learning_rate=0.02)
        facts, tensors, _ = train("residual", longer, [training], [validation], "tasmax", 0)
        assert facts["place"] == (None if per_pixel == "none" else training.place)
        errors[per_pixel] = rmse(fitted(facts, tensors).downscale(validation, "tasmax")[0], validation)
    assert errors["auto"] < 0.3 * errors["none"]


def test_pixels_have_no_per_pixel_of_their_own_on_two_surfaces() -> None:
    elsewhere = replace(TRAINING, name="hills", place="hills")
    facts, tensors, _ = train(
        "residual", params(per_pixel="auto", epochs=1, patience=1), [TRAINING, elsewhere], [VALIDATION],
        "tasmax", 0,
    )  # fmt: skip
    assert facts["place"] is None
    assert "per_pixel" not in tensors
    with pytest.raises(
        ConvoyError, match="per-pixel effects 'pixel' needs one terrain, and the training days have 2"
    ):
        train("residual", params(per_pixel="pixel"), [TRAINING, elsewhere], [VALIDATION], "tasmax", 0)


def test_days_may_be_downscaled_in_any_slices() -> None:
    ready = fitted(*trained()[:2])
    whole, _ = ready.downscale(VALIDATION, "tasmax")
    parts = [ready.downscale(VALIDATION.at(slice(n, n + 7)), "tasmax")[0] for n in range(0, 40, 7)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"conserve": "always"}, {"spread": "wide"}, {"widht": 8},
              {"training": {"label_smoothing": 0.1}}, {"training": {"batch_size": 1}}],
)  # fmt: skip
def test_params_out_of_bounds_are_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        NetworkParams(**wrong)
