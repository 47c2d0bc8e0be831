"""The TaskSpec: metrics in words, the served model, and a version measured again."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from convoy.classifiers.evaluation.io import Predictions
from convoy.climate.events import serving
from convoy.climate.events.data.io import TEST, write
from convoy.climate.events.promotion import remeasure
from convoy.climate.events.tables import table_of
from convoy.climate.events.task import TASK, data_name, examples, figures
from convoy.core.errors import ConvoyError
from convoy.core.models import names_of
from convoy.core.params import load_names
from convoy.tasks import Evaluated

METRICS = {
    "test": {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92, "macro_f1": 0.9, "log_loss": 0.3,
             "ece": 0.02, "n": 1000},
    "gradcam": {"n": 700, "pointing": 0.95, "energy_inside": 0.4, "iou": 0.3},
    "parameters": 77677, "flops": 33_000_000,
}  # fmt: skip


@pytest.fixture
def served(cnn):
    return serving.serve(cnn)


def test_figures_and_words_of_a_model():
    found = figures("simple_cnn", METRICS)
    assert found["gradcam_pointing"] == 0.95
    assert found["flops"] == 33e6
    one = Evaluated("simple_cnn", METRICS)
    assert TASK.pages.headline(one) == (
        "SimpleCNN: accuracy 90.0% on test images, Grad-CAM points into 95.0% of events"
    )
    assert TASK.pages.table_row(one) == ("90.0%", "88.0% to 92.0%", "95.0%")
    assert set(TASK.pages.columns) >= {"test_accuracy", "gradcam_pointing"}


def test_the_data_in_words():
    synthetic = {"source": "synthetic", "synthetic": {"train": 3000, "validation": 500, "test": 1000}}
    assert data_name({"climate.events.images": synthetic}) == "synthetic 4,500"
    assert data_name({"climate.events.images": {"source": "photos/cats"}}) == "cats"


def test_the_served_model_answers_as_the_stage_predicts(served, maps):
    from convoy.climate.events.models.specs import probabilities
    from convoy.core.artifact import StoredModel

    rows = maps.rows(TEST)[:8]
    answer = served.predict(table_of(maps, rows))
    assert list(answer) == ["class", "probability", "probabilities"]
    stored: StoredModel = served._judge._stored
    expected = probabilities(stored, maps.values[rows])[0]
    assert np.stack(answer["probabilities"]) == pytest.approx(expected, abs=1e-5)
    assert [maps.facts.classes.index(name) for name in answer["class"]] == expected.argmax(1).tolist()
    assert served.fault() is None
    assert len(served.predict(table_of(maps, rows[:0]))) == 0


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: t.drop(columns="humidity"), "expected the columns temperature, pressure, humidity"),
        (lambda t: t.assign(humidity=[[1.0, 2.0]] * len(t)), "humidity, row 1: expected 4096 finite numbers"),
        (lambda t: t.assign(humidity=["x"] * len(t)), "humidity, row 1: expected 4096 finite numbers"),
        (lambda t: t.assign(pressure=[np.full(4096, np.nan)] * len(t)), "pressure, row 1"),
        (lambda t: t.assign(pressure=[["1.0"] * 4096] * len(t)), "pressure, row 1"),
        (lambda t: t.assign(pressure=[[10**400] * 4096] * len(t)), "pressure, row 1"),
        (lambda t: t.assign(pressure=[[1e39] * 4096] * len(t)), "found missing or infinite ones"),
        (lambda t: t.assign(pressure=[[1e38] * 4096] * len(t)), "no finite probabilities"),
        (lambda t: "no table", "expected a table, found str"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_refused(served, maps, change, line):
    with pytest.raises(ConvoyError) as caught:
        served.predict(change(table_of(maps, maps.rows(TEST)[:2])))
    assert line in str(caught.value)


def test_a_version_is_measured_again_on_the_candidates_images(served, maps):
    rows = maps.rows(TEST)[:10][::-1]
    names = pa.array(maps.facts.classes).take(pa.array(maps.labels[rows]))
    candidate = Predictions(maps.ids.take(pa.array(rows)), names, {0: names})
    found = remeasure(maps, candidate, served)
    assert found.item_ids.equals(candidate.item_ids)
    expected = served.predict(table_of(maps, rows))["class"].tolist()
    assert found.predicted[0].to_pylist() == expected
    other = Predictions(pa.array(["x"] * 10), names, {0: names})
    with pytest.raises(ConvoyError, match="lack 10 of the candidate's"):
        remeasure(maps, other, served)


def test_examples_are_test_images(served, maps, tmp_path):
    write(tmp_path / "events/images", maps)
    rows = examples(tmp_path)
    assert isinstance(rows, pd.DataFrame)
    assert len(served.predict(rows)) == 2


def test_the_default_networks_are_those_of_the_registry():
    assert set(load_names("climate.events.networks")) <= set(names_of(TASK.models, "network"))
    assert set(load_names("climate.events.baselines")) == set(names_of(TASK.models, "baseline"))
