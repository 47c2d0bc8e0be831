"""Promotions of downscaling models: by paired daily errors, in relative skill, with the reasons told."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from convoy.climate.data import io as grids
from convoy.climate.downscaling.evaluation import daily_io as daily
from convoy.climate.downscaling.evaluation.daily_io import Daily
from convoy.climate.downscaling.fields_model import FieldsModel
from convoy.climate.downscaling.models import specs as models
from convoy.climate.downscaling.promotion import difference, remeasure
from convoy.climate.downscaling.task import TASK as DOWNSCALING
from convoy.climate.downscaling.task import read_grids
from convoy.core import artifact as folders
from convoy.core.errors import ConvoyError
from convoy.core.files import write_json
from convoy.tasks import PromotionParams
from convoy.tracking import dvclock
from convoy.tracking.registry import ledger
from convoy.tracking.registry.decisions import rollback
from convoy.tracking.registry.promotion import RefusedError, promote
from tests.tracking import climates, shelves
from tests.tracking.shelves import aliases, history, lines, tags

MODEL = "climate-downscaling"
DAYS = 120


def errors(rmse, days=DAYS, first=0, seed=0, noise=0.0):
    """Daily squared errors of a model with this RMSE; `noise` is what it does not share with others."""
    rng = np.random.default_rng(1)
    shared = rng.uniform(0.5, 1.5, days)
    own = np.random.default_rng(seed).uniform(1 - noise, 1 + noise, days)
    squared = shared * own
    squared *= rmse**2 / squared.mean()
    return Daily(np.full(days, "home"), np.arange(first, first + days), squared)


def figures(rmse, skill=0.1, low=0.05, **others):
    test = {
        "rmse": rmse, "rmse_low": 0.95 * rmse, "rmse_high": 1.05 * rmse, "mae": 0.8 * rmse, "bias": 0.0,
        "best_baseline": "ridge", "best_baseline_rmse": rmse / (1 - skill), "skill_vs_best_baseline": skill,
        "skill_vs_best_baseline_low": low, "skill_vs_best_baseline_high": skill + 0.05, **others,
    }  # fmt: skip
    return {"test": test, "noise_floor": None}


@pytest.fixture
def add(client, climate, tmp_path):
    """Publishes the residual network with a content and daily errors of its own, as the challenger."""
    stored = folders.read(climate / climates.DATA / "models" / "residual")
    grids.read_facts(climate / climates.DATA / "grids")
    example = DOWNSCALING.serving.examples(climate / climates.DATA)

    def add(found, metrics=None, data=None):
        number = len(list(tmp_path.glob("models/*")))
        folder, evaluation = tmp_path / "models" / str(number), tmp_path / "evaluation" / str(number)
        folders.write(folder, stored.config, stored.seeds, None, curve=str(number))
        daily.write(evaluation / "daily.parquet", {"residual": {"test": found}})
        write_json(evaluation / "metrics.json", metrics or figures(found.rmse))
        return shelves.publish(
            client, folder, evaluation, "residual", data or {"grids": "1"}, DOWNSCALING, example
        )

    return add


def refused(*arguments):
    with pytest.raises(RefusedError) as caught:
        promote(DOWNSCALING, *arguments)
    return str(caught.value)


def test_better_is_promoted_worse_refused_with_the_reason_and_all_of_it_told(client, repository, add):
    add(errors(1.0))
    said = promote(DOWNSCALING)
    assert (
        said == f"promoted: {MODEL} version 1 (residual) is champion: no previous champion; all checks pass"
    )
    add(errors(0.9, seed=2, noise=0.1))
    said = promote(DOWNSCALING)
    assert (
        "RMSE 0.9 compared with 1 on the same 120 test days, skill +10.0% (95% confidence interval +" in said
    )
    assert "so an RMSE more than 1.0% larger is excluded; all checks pass" in said
    assert aliases(client, MODEL) == {"champion": 2}
    line = refused("1")
    assert "RMSE 1 compared with 0.9 on the same 120 test days, skill −11.1%" in line
    assert "so an RMSE more than 1.0% larger cannot be excluded; all checks pass" in line
    assert line.endswith("; version 2 (residual) stays champion")
    assert tags(client, 2, MODEL)["promoted_over"] == "version 1 (residual, RMSE 1)"
    assert history(client, MODEL)[1].startswith("promoted version 2 (residual, RMSE 0.9) over version 1 (")
    assert [one["difference"]["n"] for one in lines(repository)[1:]] == [120, 120]
    rollback(DOWNSCALING)
    assert aliases(client, MODEL)["champion"] == 1


def test_a_loss_within_the_margin_is_allowed(client, add):
    add(errors(1.0))
    promote(DOWNSCALING)
    add(errors(1.005))
    assert "cannot be excluded" in refused("challenger", PromotionParams(rmse_margin=0.001))
    assert "is excluded" in promote(DOWNSCALING)


def test_the_difference_is_skill_and_its_interval_that_of_blocks():
    noisy = errors(1.0, seed=3, noise=0.5)
    found = difference(errors(0.8, seed=4, noise=0.5), noisy, 4000, 0)
    assert found.difference == pytest.approx(0.2)
    assert found.low < 0.2 < found.high
    scaled = Daily(noisy.domain, noisy.ordinal, noisy.squared_error * 0.81)
    same = difference(scaled, noisy, 200, 0)
    assert (same.low, same.high) == pytest.approx((0.1, 0.1))
    # The ratio of two means of blocks, by the delta method.
    first, second = (
        part.squared_error.reshape(4, 30).mean(axis=1) for part in (errors(0.8, seed=4, noise=0.5), noisy)
    )
    spread = np.std(first / first.mean() - second / second.mean()) / math.sqrt(4) / 2 * 0.8
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * spread, rel=0.25)


def test_days_are_paired_whatever_the_order_and_must_be_the_same():
    first, second = errors(0.9, seed=5, noise=0.3), errors(1.0)
    turned = Daily(second.domain[::-1], second.ordinal[::-1], second.squared_error[::-1])
    assert difference(first, turned, 200, 0) == difference(first, second, 200, 0)
    with pytest.raises(ConvoyError, match=r"not of the same test days \(120 and 120\)"):
        difference(first, errors(1.0, first=1), 200, 0)
    with pytest.raises(ConvoyError, match="30 test days in common: an interval needs two blocks of 30 days"):
        difference(errors(0.9, days=30), errors(1.0, days=30), 200, 0)


def test_days_without_an_error_count_in_neither():
    first, second = errors(0.9, seed=5, noise=0.3), errors(1.0)
    first.squared_error[:30] = np.nan
    found = difference(first, second, 200, 0)
    assert found.n == DAYS - 30
    assert found.details["champion_rmse"] == pytest.approx(math.sqrt(second.squared_error[30:].mean()))


def test_several_trainings_count_by_their_mean_and_their_spread():
    flat = Daily(np.full(DAYS, "home"), np.arange(DAYS), np.ones(DAYS))
    lucky = replace(flat, squared_error=np.full(DAYS, 0.64))
    both = replace(lucky, others=(flat.squared_error,))
    sure, unsure = (difference(candidate, flat, 200, 0) for candidate in (lucky, both))
    assert [sure.difference, sure.low, sure.high] == pytest.approx([0.2, 0.2, 0.2])
    assert [unsure.difference, unsure.low, unsure.high] == pytest.approx([0.1, 0.0, 0.2])
    assert unsure.details["rmse"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("metrics", "fault"),
    [
        (figures(0.9), "the RMSE of its days is 1, that of its metrics file 0.9"),
        (figures(1.0, mae=None), "mae not known"),
        (
            figures(1.0, skill=0.02, low=-0.01),
            (
                "not significantly below that of the best baseline, ridge, 1.02 "
                "(skill +2.0%, 95% confidence interval −1.0% to +7.0%)"
            ),
        ),
        (
            figures(1.0, skill=-0.02, low=None),
            "1 is not significantly below that of the best baseline, ridge, 0.98 (skill −2.0%)",
        ),
    ],
)
def test_every_check_refuses(client, repository, add, metrics, fault):
    add(errors(1.0), metrics)
    line = refused()
    assert fault in line
    assert line.endswith("; there is no champion")
    assert fault in lines(repository)[0]["reason"]


def test_a_stored_model_with_a_changed_byte_is_refused(client, repository, add):
    add(errors(1.0))
    (weights,) = repository.glob("mlruns/artifacts/**/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert "its stored model is refused" in refused()


def test_other_test_days_need_the_grids_in_the_workspace(client, repository, add, climate):
    add(errors(1.0))
    promote(DOWNSCALING)
    made = climate / climates.DATA
    own = daily.read(made / "evaluation/networks/residual/daily.parquet")["residual"]["test"]
    better = Daily(own.domain, own.ordinal, own.squared_error * 0.81)
    add(better, data={"grids": "0" * 32})
    with pytest.raises(
        ConvoyError, match=r"tested on different items, and data/climate/grids is not that of"
    ):
        promote(DOWNSCALING)
    shutil.copytree(made / "grids", repository / climates.DATA / "grids")
    add(better, data={"grids": dvclock.md5(made / "grids")})
    promote(DOWNSCALING)
    found = lines(repository)[-1]["difference"]
    assert found["champion_rmse"] == pytest.approx(own.rmse, rel=1e-5)
    assert found["difference"] == pytest.approx(0.1, abs=1e-4)


def test_every_training_of_the_champion_is_measured_again(climate):
    grids_of = climate / climates.DATA / "grids"
    stored = folders.read(climate / climates.DATA / "models" / "residual")
    other = {
        name: (array * 1.5).astype(array.dtype) if "network." in name else array
        for name, array in stored.tensors.items()
    }
    both = replace(stored, seeds={0: stored.tensors, 7: other})
    found = remeasure(read_grids(grids_of), None, FieldsModel(both))
    (domain,) = grids.read(grids_of, "test")
    weights = np.cos(np.radians(domain.fine.lat.centres))[:, None] * np.ones(domain.fine.shape)
    for errors_again, tensors in zip(found.trainings.T, (stored.tensors, other), strict=True):
        field, _ = models.downscale(replace(stored, seeds={0: tensors}), domain)
        by_hand = ((field - domain.target) ** 2 * weights).sum(axis=(1, 2)) / weights.sum()
        np.testing.assert_allclose(errors_again, by_hand, rtol=1e-3)
    assert not np.allclose(*found.trainings.T, rtol=1e-2)


def test_without_its_days_the_last_champion_is_the_one_to_beat(client, repository, add):
    add(errors(1.0))
    promote(DOWNSCALING)
    (line,) = ledger.read(MODEL)
    gone = replace(line.version, content="0" * 64)
    client.delete_registered_model_alias(MODEL, "champion")
    client.delete_registered_model_tag(MODEL, "convoy.champions")
    (repository / "data/decisions.jsonl").unlink()
    ledger.append(replace(line, version=gone))
    add(errors(1.3))
    assert (
        "the last champion, residual, is not in this store; skill −30.0% on the same test days" in refused()
    )
    add(errors(1.01))
    assert "skill −1.0% on the same test days; all checks pass" in promote(DOWNSCALING)
