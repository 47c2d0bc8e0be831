"""Publishes model versions: a network with new content becomes a version of its task's registered model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from convoy.core import artifact
from convoy.core.files import MANIFEST, read_json
from convoy.core.mlmodel import DATA, MLMODEL
from convoy.core.plots_io import columns, read_curve
from convoy.tasks import RegisteredTask
from convoy.tracking import runs
from convoy.tracking.outputs import Trained
from convoy.tracking.registry import packaging
from convoy.tracking.registry.listing import CHALLENGER, CONTENT, WEIGHTS, all_versions
from convoy.tracking.scratch_io import scratch as scratch_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


class Ensured(NamedTuple):
    """The id of a logged model, and whether its version is new."""

    model_id: str
    new: bool


def ensure(client: "MlflowClient", experiment: str, trained: Trained, run: "Run") -> Ensured:
    """The logged model with this content and its version, made where there is none."""
    task = trained.registered
    for version in _versions(client, trained):
        model_id = _model_id(version)
        if not _has_files(client, model_id):
            _upload(client, trained, run.info.run_id, model_id)
        return Ensured(model_id, new=False)
    model = _logged(client, experiment, trained, run)
    figures = trained.figures
    # Pages show tags in this order, and only the first ones in lists.
    tags = {
        **{name: f"{figures[name]:.6g}" for name in task.pages.version_tags if name in figures},
        "convoy.model": trained.model,
        CONTENT: trained.content,
        WEIGHTS: read_json(trained.folder / MANIFEST)["files"][artifact.WEIGHTS]["sha256"],
        "convoy.lock_key": trained.key,
        "convoy.test_split": trained.test_split,
        "convoy.data": json.dumps(dict(trained.data)),
    }
    summary = task.pages.summary(trained.evaluated)
    version = client.create_model_version(
        task.registered, f"models:/{model.model_id}", run.info.run_id, tags,
        description=summary, model_id=model.model_id,
    )  # fmt: skip
    # A server does this by itself; without it the model's page shows "not registered".
    known = json.dumps([{"name": task.registered, "version": version.version}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": known, runs.NOTE: summary})
    return Ensured(model.model_id, new=True)


def is_complete(client: "MlflowClient", trained: Trained) -> bool:
    """Whether there is a version with this content, and its files are in the store."""
    return any(_has_files(client, _model_id(version)) for version in _versions(client, trained))


def describe(client: "MlflowClient", task: RegisteredTask) -> None:
    """Set the registered model's description of its input and output."""
    if _registered(client, task).description != task.pages.version_note:
        client.update_registered_model(task.registered, task.pages.version_note)


def challenge(client: "MlflowClient", task: RegisteredTask, new: Sequence[Trained]) -> None:
    """Set the alias `challenger` to the new version with the best validation figure (never a test figure)."""
    if not new:
        return
    best = task.ranking.best(new, _validation)
    for version in all_versions(client, task.registered):
        if version.tags.get(CONTENT) == best.content:
            client.set_registered_model_alias(task.registered, CHALLENGER, version.version)
            return


def metrics(trained: Trained, time_ms: int, model_id: str, run_id: str) -> "list[Metric]":
    """Final metrics linked to the model and its data, in addition to those of the run."""
    from mlflow.entities import Metric

    dataset = trained.task.outputs.dataset
    digest = trained.data.get(dataset, "")
    of = {"model_id": model_id, "run_id": run_id, "dataset_name": dataset, "dataset_digest": digest}
    return [Metric(name, value, time_ms, 0, **of) for name, value in trained.figures.items()]


def _registered(client: "MlflowClient", task: RegisteredTask) -> "RegisteredModel":
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(task.registered)
    except MlflowException:
        try:
            return client.create_registered_model(task.registered, {}, task.pages.version_note)
        except MlflowException:  # another process was first
            return client.get_registered_model(task.registered)


def _logged(client: "MlflowClient", experiment: str, trained: Trained, run: "Run") -> "LoggedModel":
    """The uploaded model with this content; leftovers of interrupted uploads are removed."""
    from mlflow.entities import LoggedModelOutput

    task, run_id = trained.registered, run.info.run_id
    _registered(client, task)
    for model in client.search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if model.tags.get(CONTENT) == trained.content and str(model.status) == "READY":
            if not _has_files(client, model.model_id):
                _upload(client, trained, run_id, model.model_id)
            return model
        client.delete_logged_model(model.model_id)
    tags = {CONTENT: trained.content, "convoy.model": trained.model}
    params = {key: str(value) for key, value in runs.flat(trained.config["network"]).items()}
    model = client.create_logged_model(experiment, trained.model, run_id, tags, params, trained.model)
    _upload(client, trained, run_id, model.model_id)
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
    return model


def _upload(client: "MlflowClient", trained: Trained, run_id: str, model_id: str) -> None:
    serving = trained.registered.serving
    examples = serving.examples(trained.task.outputs.root)
    with scratch_folder("model") as folder:
        target = packaging.save(serving, trained.folder, examples, Path(folder) / "model", run_id, model_id)
        client.log_model_artifacts(model_id, str(target))


def _versions(client: "MlflowClient", trained: Trained) -> "list[ModelVersion]":
    """The versions with this content, newest first."""
    known = all_versions(client, trained.registered.registered)
    return [version for version in known if version.tags.get(CONTENT) == trained.content]


def _model_id(version: "ModelVersion") -> str:
    return str(version.model_id or version.source).rpartition("/")[2]


def _has_files(client: "MlflowClient", model_id: str) -> bool:
    """Whether the store has the files of a logged model."""
    found = {file.path for file in client.list_logged_model_artifacts(model_id)}
    return {MLMODEL, DATA} <= found


def _validation(trained: Trained) -> float | None:
    """The figure of the epoch whose weights were kept."""
    text = read_curve(trained.folder)
    if text is None:
        return None
    curve = columns(text, trained.folder / "curve.csv")
    kept = min(range(len(curve["epoch"])), key=lambda row: float(curve["validation_loss"][row]))
    return float(curve[trained.task.ranking.validation][kept])
