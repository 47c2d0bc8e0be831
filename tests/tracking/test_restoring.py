"""What somebody deleted in MLflow is there again after one publish; a second one changes nothing."""

import shutil

import pytest

from convoy.climate.downscaling.task import TASK as DOWNSCALING
from convoy.projects import TASKS
from convoy.tracking import runs, store
from convoy.tracking.publish import publish
from convoy.tracking.registry import loading
from tests.tracking import climates, shelves

MODEL, EXPERIMENT = DOWNSCALING.registered, DOWNSCALING.experiment


@pytest.fixture
def published(climate, repository, client):
    """A repository whose climate was published, as the current folder."""
    shutil.copytree(climate, repository, dirs_exist_ok=True)
    publish(TASKS)
    return repository


def seen(client, repository):
    """What a person finds: runs with their artifacts, contents with their aliases, versions that load."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment.lifecycle_stage == "active"
    found = client.search_runs([experiment.experiment_id], max_results=100)
    names = sorted(run.info.run_name for run in found)
    artifacts = sorted(
        path.name
        for run in found
        for path in (repository / "mlruns/artifacts").rglob(f"{run.info.run_id}/**/*")
    )
    versions = client.search_model_versions(f"name = '{MODEL}'")
    for version in versions:
        loading.load(client, f"models:/{MODEL}/{version.version}", DOWNSCALING.serving)
        assert client.get_run(version.run_id).info.lifecycle_stage == "active"
    numbers = client.get_registered_model(MODEL).aliases
    aliases = {
        alias: client.get_model_version(MODEL, number).tags["convoy.content"]
        for alias, number in numbers.items()
    }
    return names, artifacts, sorted(version.tags["convoy.content"] for version in versions), aliases


def registered_model(client, repository):
    client.delete_registered_model(MODEL)


def one_version(client, repository):
    version = client.get_model_version_by_alias(MODEL, "challenger")
    client.delete_model_version(MODEL, version.version)


def artifacts(client, repository):
    shutil.rmtree(repository / "mlruns" / "artifacts")


def one_run(client, repository):
    version = client.get_model_version_by_alias(MODEL, "challenger")
    client.delete_run(version.run_id)


def run_of_all_models(client, repository):
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (run,) = client.search_runs([experiment], "tags.`convoy.model` = 'all'")
    client.delete_run(run.info.run_id)


def experiment(client, repository):
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)


LOSSES = (registered_model, one_version, artifacts, one_run, run_of_all_models, experiment)


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_what_was_lost_is_there_again(published, lose):
    client = store.client()
    before = seen(client, published)
    assert len(before[2]) == len(climates.NETWORKS)
    lose(client, published)
    publish(TASKS)
    assert seen(client, published) == before
    rows = shelves.rows(published)
    publish(TASKS)
    assert shelves.rows(published) == rows


def test_an_experiment_that_is_restored_is_named(published, capsys):
    client = store.client()
    experiment(client, published)
    runs.experiment(client, EXPERIMENT)
    assert capsys.readouterr().out == (
        f"{EXPERIMENT}: its experiment was deleted in MLflow; it is restored with its runs\n"
    )
