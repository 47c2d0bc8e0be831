"""Model versions: a new content of a network becomes a version of its task's registered model."""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.errors import ConvoyError
from convoy.report import io as plots
from convoy.tracking import packaging, runs, store
from convoy.tracking.task import Task, Trained

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER, CHAMPION = "challenger", "champion"
CONTENT = "convoy.content"


def ensure(
    client: "MlflowClient", task: Task, experiment: str, trained: Trained, run: "Run",
    metrics: Mapping[str, Any],
) -> tuple[str, bool]:  # fmt: skip
    """The id of the logged model with this content, and whether its version is new."""
    for version in all_versions(client, task.registered):
        if version.tags.get(CONTENT) == trained.content:
            return str(version.model_id or version.source).rpartition("/")[2], False
    model = _logged(client, task, experiment, trained, run)
    figures = task.figures(trained.kind, metrics)
    tags = {
        CONTENT: trained.content,
        "convoy.model": trained.kind,
        "convoy.lock_key": trained.key,
        "convoy.test_split": test_split(task, trained),
        "convoy.data": json.dumps(dict(trained.data)),
        **{name: f"{figures[name]:.6g}" for name in task.shown_with_versions if name in figures},
    }
    words = task.summary(trained.kind, metrics)
    version = client.create_model_version(
        task.registered, f"models:/{model.model_id}", run.info.run_id, tags,
        description=words, model_id=model.model_id,
    )  # fmt: skip
    # A server does this by itself; without it the model's page says "not registered".
    known = json.dumps([{"name": task.registered, "version": version.version}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": known, runs.NOTE: words})
    return model.model_id, True


def describe(client: "MlflowClient", task: Task) -> None:
    """Say on the registered model what goes in and out."""
    if _registered(client, task).description != task.version_note:
        client.update_registered_model(task.registered, task.version_note)


def challenge(client: "MlflowClient", task: Task, new: Sequence[Trained]) -> None:
    """Give the alias `challenger` to the best of the new versions, by validation, never by test."""
    if not new:
        return
    best = task.best(new, lambda trained: _validation(task, trained))
    for version in all_versions(client, task.registered):
        if version.tags.get(CONTENT) == best.content:
            client.set_registered_model_alias(task.registered, CHALLENGER, version.version)
            return


def all_versions(client: "MlflowClient", registered: str) -> "list[ModelVersion]":
    """Every version with its tags and aliases, newest first; none where nothing is registered."""
    found = client.search_model_versions(f"name = '{registered}'", max_results=10_000)
    return sorted(found, key=lambda version: -int(version.version))


def none_such(uri: str, known: "Iterable[ModelVersion]") -> ConvoyError:
    """Of a URI that names none of the versions that there are."""
    names = ", ".join(f"models:/{version.name}/{version.version}" for version in known)
    return ConvoyError(
        f"{uri}: no such version at {store.shown()}; there are {names or 'none, run `convoy publish`'}"
    )


def metrics(
    task: Task, figures: Mapping[str, float], time_ms: int, model_id: str, run_id: str, digest: str
) -> "list[Metric]":
    """Final metrics as those of the model on its data, beside those of the run."""
    from mlflow.entities import Metric

    of = {"model_id": model_id, "run_id": run_id, "dataset_name": task.dataset, "dataset_digest": digest}
    return [Metric(name, value, time_ms, 0, **of) for name, value in figures.items()]


def test_split(task: Task, trained: Trained) -> str:
    """A hash of what a model was tested on: models with the same one may be compared in pairs."""
    return task.judge.test_split(trained.evaluation[task.judge.file], trained.data)


def _registered(client: "MlflowClient", task: Task) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(task.registered)
    except MlflowException:
        try:
            return client.create_registered_model(task.registered, {}, task.version_note)
        except MlflowException:  # another process was first
            return client.get_registered_model(task.registered)


def _logged(
    client: "MlflowClient", task: Task, experiment: str, trained: Trained, run: "Run"
) -> "LoggedModel":
    """The uploaded model with this content; what an interrupted upload left is removed."""
    from mlflow.entities import LoggedModelOutput

    _registered(client, task)
    found = client.search_logged_models([experiment], f"source_run_id = '{run.info.run_id}'")
    for model in found:
        if model.tags.get(CONTENT) == trained.content and str(model.status) == "READY":
            return model
        client.delete_logged_model(model.model_id)
    tags = {CONTENT: trained.content, "convoy.model": trained.kind}
    params = {key: str(value) for key, value in runs.flat(trained.config["network"]).items()}
    model = client.create_logged_model(experiment, trained.kind, run.info.run_id, tags, params, trained.kind)
    with tempfile.TemporaryDirectory(prefix="convoy-model-") as folder:
        saved = packaging.save(
            trained.folder, task.examples(), Path(folder) / "model", run.info.run_id, model.model_id
        )
        client.log_model_artifacts(model.model_id, str(saved))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
    return model


def _validation(task: Task, trained: Trained) -> dict[str, float]:
    """The figure of the epoch whose weights were kept."""
    text = plots.read_curve(trained.folder)
    if text is None:
        return {}
    curve = plots.columns(text, trained.folder / "curve.csv")
    kept = min(range(len(curve["epoch"])), key=lambda row: float(curve["validation_loss"][row]))
    return {task.best_metric: float(curve[task.validation][kept])}
