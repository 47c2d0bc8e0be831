"""The network of site-years: standardised inputs, training, and what it learns."""

import numpy as np
import pytest
import torch

from convoy.climate.series.data.site_years import SiteYears, texts
from convoy.climate.series.models.params import SeriesTraining, TemporalCNNParams
from convoy.climate.series.models.specs import MODELS, probabilities, train
from convoy.climate.series.networks import fit
from convoy.climate.series.networks.batches import SeriesBatches
from convoy.climate.series.sources.io import SeriesParams, made
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError

QUICK = TemporalCNNParams(
    n_filters=8, n_layers=2, output_dim=8,
    training=SeriesTraining(epochs=10, batch_size=16, threads=1, device="cpu", precision="float32"),
)  # fmt: skip


@pytest.fixture(scope="module")
def held():
    return made(SeriesParams.model_validate({"synthetic": {"sites": 60, "years": 1}}))[0]


def noise(count=180):
    """Two classes with equal distributions of single days: one smooth from day to day, one white."""
    rng = np.random.default_rng(0)
    label = np.arange(count) % 2
    splits = ("train", "train", "train", "validation", "test", "test")
    shocks = rng.standard_normal((count, 365))
    smooth = shocks.copy()
    for day in range(1, 365):
        smooth[:, day] = 0.7 * smooth[:, day - 1] + np.sqrt(1 - 0.49) * shocks[:, day]
    values = 280 + 5 * np.where(label[:, None] == 0, smooth, shocks)
    return SiteYears(
        variables=("tas",), categories=("smooth", "white"), values=values.astype(np.float32)[:, None],
        site=texts(f"s{number}" for number in range(count)), year=np.full(count, 2001),
        label=texts(("smooth", "white")[number] for number in label),
        split=texts(splits[number // 2 % 6] for number in range(count)),
        latitude=np.full(count, 50.0), interpolated=np.zeros(count, np.int64),
    )  # fmt: skip


def stored(config, tensors):
    return StoredModel({**config, "seeds": list(tensors)}, tensors, None, {})


def test_standardised_anomalies_have_no_mean_cycle_and_unit_covariance(held):
    cycle, whitening = fit.standardisation(held.values)
    anomalies = torch.einsum("vw,nwt->nvt", whitening, torch.from_numpy(held.values) - cycle).numpy()
    covariance = np.einsum("nvt,nwt->vw", anomalies, anomalies) / (len(held) * 365)
    np.testing.assert_allclose(covariance, np.eye(6), atol=2e-3)
    mean = anomalies.mean(axis=0)
    assert abs(mean @ np.cos(2 * np.pi * np.arange(365) / 365)).max() / 365 < 1e-3


def test_copies_of_a_variable_can_be_standardised(held):
    twice = np.concatenate([held.values[:, :1], held.values[:, :1]], axis=1)
    cycle, whitening = fit.standardisation(twice)
    assert torch.isfinite(cycle).all()
    assert torch.isfinite(whitening).all()


def test_the_network_learns_an_order_of_days_that_quantiles_cannot_see():
    years = noise()
    config, tensors, curve = train("temporal_cnn", QUICK, years, (0,))
    test = years.of("test")
    found = probabilities(stored(config, tensors), test.values)[0]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == test.labels).mean() > 0.9
    assert curve.splitlines()[0].startswith("epoch,train_loss,validation_loss,validation_accuracy")
    blind = train("quantiles", MODELS["quantiles"].params(), years, (0,))
    guessed = probabilities(stored(*blind[:2]), test.values)[0]
    assert (guessed.argmax(axis=1) == test.labels).mean() < 0.75


def test_seeds_differ_and_each_is_reproducible(held):
    quick = QUICK.model_copy(update={"training": QUICK.training.model_copy(update={"epochs": 1})})
    config, tensors, _ = train("temporal_cnn", quick, held, (0, 1))
    again = train("temporal_cnn", quick, held, (0, 1))[1]
    assert config["variables"] == list(held.variables)
    for seed in (0, 1):
        for name, tensor in tensors[seed].items():
            np.testing.assert_array_equal(tensor, again[seed][name])
    assert not np.array_equal(tensors[0]["classifier.weight"], tensors[1]["classifier.weight"])


def test_embeddings_are_the_inputs_of_the_head(held):
    quick = QUICK.model_copy(update={"training": QUICK.training.model_copy(update={"epochs": 1})})
    config, tensors, _ = train("temporal_cnn", quick, held, (0,))
    vectors = fit.embeddings(config, tensors[0], held.values)
    assert vectors.shape == (60, 8)
    logits = np.maximum(vectors, 0) @ tensors[0]["classifier.weight"].T + tensors[0]["classifier.bias"]
    expected = torch.from_numpy(logits).double().softmax(1).numpy()
    np.testing.assert_allclose(fit.probabilities(config, tensors[0], held.values), expected, atol=1e-6)


def test_splits_that_cannot_be_trained_on_are_refused(held):
    with pytest.raises(ConvoyError, match="temporal_cnn: 0 site-years in the validation split"):
        train("temporal_cnn", QUICK, held.at(held.split != "validation"), (0,))
    without = held.at((held.label != "coast") | (held.split != "train"))
    with pytest.raises(ConvoyError, match="no training site-year with the label 'coast'"):
        train("temporal_cnn", QUICK, without, (0,))


def test_batches_are_drawn_by_index():
    values, labels = torch.randn(5, 2, 365), torch.arange(5)
    examples = SeriesBatches(values, labels, ["a", "b", "c", "d", "e"])
    plan = examples.plan(2, np.random.default_rng(0))
    # A last batch of one has no batch statistics: it is joined to the one before.
    assert plan.sizes() == [2, 3]
    x, y = examples.draw(plan[0], training=True)
    torch.testing.assert_close(x, values[plan[0].items])
    assert examples.names(y.tolist()) == ["abcde"[item] for item in plan[0].items]
