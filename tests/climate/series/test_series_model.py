"""The served model: a table of site-years in, regimes out; every fault of the input in one line."""

import numpy as np
import pandas as pd
import pytest

from convoy.climate.series.models.params import SeriesTraining, TemporalCNNParams
from convoy.climate.series.models.specs import MODELS, probabilities, train
from convoy.climate.series.promotion import table_of
from convoy.climate.series.series_model import SeriesModel
from convoy.climate.series.sources.io import SeriesParams, made
from convoy.core.artifact import StoredModel
from convoy.core.errors import ConvoyError

QUICK = TemporalCNNParams(
    n_filters=2, n_layers=2, output_dim=3,
    training=SeriesTraining(epochs=1, threads=1, device="cpu", precision="float32"),
)  # fmt: skip


@pytest.fixture(scope="module")
def held():
    return made(
        SeriesParams.model_validate({"synthetic": {"sites": 60, "years": 1}, "inputs": ("tas", "psl")})
    )[0]


def stored(name, held):
    params = QUICK if MODELS[name].is_network else MODELS[name].params()
    config, tensors, _ = train(name, params, held, (0,))
    return StoredModel({**config, "seeds": [0]}, tensors, None, {})


@pytest.fixture(scope="module")
def model(held):
    return SeriesModel(stored("temporal_cnn", held))


def test_the_answer_is_that_of_the_stored_model(model, held):
    table = table_of(held.at(slice(0, 4)))
    table.index = pd.Index([7, 8, 9, 10])
    assert [column.name for column in model.columns()] == ["tas", "psl"]
    answer = model.predict(table[["psl", "tas"]])  # columns in any order
    expected = probabilities(stored("temporal_cnn", held), held.values[:4])[0]
    assert answer.index.tolist() == [7, 8, 9, 10]
    assert answer["category"].tolist() == [held.categories[best] for best in expected.argmax(axis=1)]
    np.testing.assert_allclose(answer["probability"], expected.max(axis=1), rtol=1e-5)
    assert np.stack(answer["embedding"]).shape == (4, 3)


def test_an_empty_table_has_an_empty_answer(model, held):
    assert len(model.predict(table_of(held.at(slice(0, 0))))) == 0


def test_a_baseline_has_no_embedding_and_a_sound_model_no_fault(model, held):
    baseline = SeriesModel(stored("quantiles", held))
    assert set(baseline.predict(table_of(held.at(slice(0, 2))))) == {"category", "probability"}
    assert model.fault() is None
    assert baseline.fault() is None


def spoilt(column, value):
    def change(table):
        table[column] = table[column].astype(object)
        table.at[1, column] = value
        return table

    return change


FAULTS = {
    "no table": (lambda table: [1, 2], "expected a table, found list"),
    "a column is missing": (lambda table: table[["tas"]], "expected the columns tas, psl, found tas"),
    "another column": (lambda table: table.assign(x=1), "found tas, psl, x"),
    "a year of 366 days": (spoilt("tas", [280.0] * 366), r"tas, row 2: expected 365 numbers.*\(366,\)"),
    "a text": (spoilt("tas", "warm"), "tas, row 2: expected 365 numbers"),
    "nothing": (spoilt("psl", None), "psl, row 2: expected 365 numbers"),
    "a missing value": (spoilt("tas", [np.nan] * 365), "tas, row 2: expected values from .* K, found nan"),
    "a number beyond double precision": (
        spoilt("tas", [10**400] + [280] * 364), "tas, row 2: expected 365 numbers"
    ),
    "hPa": (spoilt("psl", [1013.0] * 365), "psl, row 2: expected values from 80000 to 115000 Pa, found 1013"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_line_for_a_faulty_table(model, held, fault):
    change, message = FAULTS[fault]
    with pytest.raises(ConvoyError, match=message) as caught:
        model.predict(change(table_of(held.at(slice(0, 3)))))
    assert "\n" not in str(caught.value)
