"""The events task in MLflow: runs, versions, pictures, and a served version."""

import json
import shutil

import numpy as np
import pytest

from convoy.classifiers.evaluation.io import read_predictions
from convoy.climate.events.data.io import TEST, read
from convoy.climate.events.models.specs import probabilities
from convoy.climate.events.promotion import remeasure
from convoy.climate.events.tables import table_of
from convoy.climate.events.task import TASK
from convoy.core import artifact
from convoy.projects import TASKS
from convoy.tracking import store
from convoy.tracking.publish import publish
from convoy.tracking.registry import loading
from tests.support import events
from tests.support.events import BASELINES, DATA, METRICS, NETWORK

MODEL, EXPERIMENT = "climate-events", "climate/events"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    events.make(folder)
    return folder


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
    assert network.data.metrics["gradcam_pointing"] == metrics["gradcam"]["pointing"]
    files = {file.path for file in published.list_artifacts(found["all"].info.run_id)}
    assert {"report.html", "comparison.json", "accuracy.png", "gate.json"} <= files
    (version,) = published.search_model_versions(f"name = '{MODEL}'")
    assert version.tags["convoy.model"] == NETWORK

    images = read(DATA / "images")
    rows = images.rows(TEST)[:3]
    model = loading.load(published, f"models:/{MODEL}/{version.version}", TASK.serving)
    answer = model.predict(table_of(images, rows))
    expected = probabilities(artifact.read(DATA / "models" / NETWORK), images.values[rows])[0]
    assert answer["class"].tolist() == [images.facts.classes[best] for best in expected.argmax(1)]
    np.testing.assert_allclose(answer["probability"], expected.max(1), rtol=1e-4)


def test_a_served_model_has_the_predictions_of_the_evaluate_stage(outputs):
    """So that a champion is measured on the candidate's test images."""
    images = read(outputs / DATA / "images")
    predictions = read_predictions(outputs / DATA / "evaluation/networks" / NETWORK / "predictions.parquet")
    served = TASK.serving.serve(artifact.read(outputs / DATA / "models" / NETWORK))
    assert remeasure(images, predictions, served).predicted[0].equals(predictions.predicted[0])


def test_the_report_is_one_page_with_overlays(outputs):
    page = (outputs / DATA / "report.html").read_text()
    assert "Where SimpleCNN looks" in page
    assert "Grad-CAM of SimpleCNN points into the event" in page
    of_network = outputs / DATA / "evaluation/networks" / NETWORK / "plots/overlays.png"
    assert (outputs / DATA / "plots/comparison/overlays.png").read_bytes() == of_network.read_bytes()
