"""The series task in MLflow: runs, versions, and a served version."""

import json
import shutil

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from convoy.classifiers.evaluation.io import read_predictions
from convoy.climate.series.data import io
from convoy.climate.series.models.specs import probabilities
from convoy.climate.series.promotion import remeasure, table_of
from convoy.climate.series.task import TASK
from convoy.core import artifact
from convoy.core.errors import ConvoyError
from convoy.projects import TASKS
from convoy.tracking import store
from convoy.tracking.publish import publish
from convoy.tracking.registry import loading
from tests.support import sites
from tests.support.once import once
from tests.support.sites import BASELINES, DATA, METRICS, NETWORK

MODEL, EXPERIMENT = "climate-series", "climate/series"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    return once(tmp_path_factory, "series", sites.make)


@pytest.fixture
def published(outputs, repository, client):
    shutil.copytree(outputs, repository, dirs_exist_ok=True)
    publish(TASKS)
    return store.client()


def test_models_are_runs_and_the_network_is_a_served_version(published):
    experiment = published.get_experiment_by_name(EXPERIMENT)
    found = {
        run.data.tags["convoy.model"]: run
        for run in published.search_runs([experiment.experiment_id], max_results=100)
    }
    assert set(found) == {*BASELINES, NETWORK, "all"}
    metrics = json.loads((METRICS / f"{NETWORK}.json").read_text())
    network = found[NETWORK]
    assert network.data.metrics["test_accuracy"] == metrics["test"]["accuracy"]
    assert network.data.metrics["bayes"] == metrics["bayes"]["full"]
    assert network.info.run_name == f"{NETWORK} · synthetic 120 sites"
    history = published.get_metric_history(network.info.run_id, "validation_accuracy")
    assert [point.step for point in history] == [1, 2]
    files = {file.path for file in published.list_artifacts(found["all"].info.run_id)}
    assert {"report.html", "comparison.json", "accuracy.png", "gate.json"} <= files
    (version,) = published.search_model_versions(f"name = '{MODEL}'")
    assert version.tags["convoy.model"] == NETWORK

    held = io.read(DATA / "site_years").of("test")
    table = table_of(held.at(slice(0, 3)))
    model = loading.load(published, f"models:/{MODEL}/{version.version}", TASK.serving)
    answer = model.predict(table)
    stored = artifact.read(DATA / "models" / NETWORK)
    expected = probabilities(stored, held.values[:3])[0]
    assert answer["category"].tolist() == [held.categories[best] for best in expected.argmax(axis=1)]
    np.testing.assert_allclose(answer["probability"], expected.max(axis=1), rtol=1e-5)
    assert np.stack(answer["embedding"]).shape == (3, 8)
    with pytest.raises((ConvoyError, MlflowException), match="expected the columns tas, tasmax"):
        model.predict(table.drop(columns="tas"))


def test_a_served_model_has_the_predictions_of_the_evaluate_stage(outputs):
    """So that a champion is measured on the candidate's test sites."""
    held = io.read(outputs / DATA / "site_years")
    predictions = read_predictions(outputs / DATA / "evaluation/networks" / NETWORK / "predictions.parquet")
    served = TASK.serving.serve(artifact.read(outputs / DATA / "models" / NETWORK))
    assert served.fault() is None
    again = remeasure(held, predictions, served)
    assert again.predicted[0].equals(predictions.predicted[0])
    with pytest.raises(ConvoyError, match="the site-years lack"):
        remeasure(held.of("train"), predictions, served)
