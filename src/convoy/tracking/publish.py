"""Publishes DVC's outputs to MLflow: every trained and evaluated model of dvc.lock has one run.

A run that is complete is not changed; a missing one is made. A live run of the same content is completed and
keeps its times; without an event log the curve is rebuilt from the outputs, which the run's description
states.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from convoy.core.errors import ConvoyError
from convoy.tasks import RegisteredTask, TaskSpec
from convoy.tracking import dvclock, live, outputs, runs, store
from convoy.tracking.dashboard import pictures, texts, views
from convoy.tracking.model_run import FORMAT, ModelRun, repository_tags
from convoy.tracking.outputs import Lock, Trained
from convoy.tracking.registry import decisions, versions
from convoy.training import event_log

if TYPE_CHECKING:
    from mlflow import MlflowClient


class PublishedModel(TypedDict):
    """Values that identify a published model; neither ids nor times."""

    key: str
    content: str
    data: dict[str, str]


Published = dict[str, dict[str, PublishedModel]]
"""Experiment -> model -> its identifying values."""


class _ParentRun(NamedTuple):
    run_id: str
    new: bool


def publish(tasks: Iterable[TaskSpec], lock_file: Path = Path("dvc.lock")) -> Published:
    """Reconcile the store with `lock_file` and the outputs; return the published models, for DVC to store.

    Raises ConvoyError for outputs that are missing or differ from the lock, and for an unreachable store.
    """
    lock = dvclock.read(lock_file)
    published: Published = {}
    found = _here([(task, models) for task in tasks if (models := outputs.trained(task, lock))])
    if not found:
        raise ConvoyError("no trained and evaluated model in it", path=lock_file, hint="run `dvc repro`")
    for task, models in found:
        _check(task, models, lock)
    client = store.client()
    with store.reachable():
        late = live.deliver_all(client)
        print(f"publish: {store.shown()}" + (f"; {late} live runs sent" if late else ""))
        for task, models in found:
            with store.turn("publish"):
                _publish(client, task, models, lock)
            published[task.experiment] = {
                one.model: {"key": one.key, "content": one.content, "data": dict(one.data)} for one in models
            }
    return published


def _here(found: list[tuple[TaskSpec, list[Trained]]]) -> list[tuple[TaskSpec, list[Trained]]]:
    """The tasks whose outputs are in the workspace; the outputs of a project may be missing as a whole."""
    here = [(task, models) for task, models in found if any(one.folder.exists() for one in models)]
    for task, models in found:
        if here and (task, models) not in here:
            print(
                f"publish: {task.experiment}: skipped, its outputs are missing; `dvc checkout` restores them"
            )
    return here or found


def _check(task: TaskSpec, models: Sequence[Trained], lock: Lock) -> None:
    """Raise ConvoyError for outputs of the workspace that differ from the lock."""
    compared = lock.get(task.outputs.compare_stage)
    entries = [
        *([compared] if compared is not None else []),
        *(entry for one in models for entry in one.stages),
    ]
    for entry in {entry.stage: entry for entry in entries}.values():
        for path in entry.outs:
            dvclock.check(entry, path)


def _publish(client: "MlflowClient", task: TaskSpec, models: Sequence[Trained], lock: Lock) -> None:
    experiment = runs.experiment(client, task.experiment)
    records = {record.end["content"]: record for record in event_log.records() if record.end is not None}
    name = task.data_name(outputs.data_params(task, lock))
    made = [ModelRun(client, experiment, one, name, records.get(one.content)) for one in models]
    new = sum([model.publish() for model in made])
    if isinstance(task, RegisteredTask):
        versions.describe(client, task)
        versions.challenge(client, task, [model.trained for model in made if model.new_version])
    parent = _parent(client, task, experiment, made, lock)
    shown = [model.shown for model in made]
    overview = texts.overview(task, experiment, shown, parent.run_id)
    runs.experiment(client, task.experiment, overview, **views.tags(task), **texts.in_lists(task, shown))
    if isinstance(task, RegisteredTask):
        decisions.replay(client, task)
    print(f"publish: {task.experiment}: {new + parent.new} new of {len(made) + 1} runs")


def _parent(
    client: "MlflowClient", task: TaskSpec, experiment: str, models: Sequence[ModelRun], lock: Lock
) -> _ParentRun:
    """The run of all models: comparison, report, picture; its child runs are the models.

    It has no metrics: in tables they would duplicate those of the best model.
    """
    compared = lock.get(task.outputs.compare_stage)
    content = None if compared is None else outputs.comparison(task)
    entries = [entry for model in models for entry in model.trained.stages]
    names = " ".join(model.trained.model for model in models)
    key = dvclock.key([*entries, *([compared] if compared is not None else [])], names)
    files = {} if content is None else outputs.comparison_files(task)
    of = {"lock_key": key, "published": FORMAT}
    for run in runs.find(client, experiment, **of) or runs.restored(client, experiment, **of):
        if not runs.lacks(client, run.info.run_id, files):
            return _ParentRun(run.info.run_id, new=False)
    started = min(model.run.info.start_time for model in models)
    ended = max(model.run.info.end_time or model.time for model in models)
    tags = {"convoy.lock_key": key, "convoy.task": task.experiment, "convoy.model": "all"}
    run = runs.sole(client, experiment, started, f"All models · {models[0].data_name}", tags)
    run_id = run.info.run_id
    measured = all(model.measured for model in models)
    paragraphs = _compared(client, task, experiment, models, run_id, content, files)
    if not measured:
        paragraphs.append(f"*Runs below this one were {runs.REBUILT}.*")
    note = {
        runs.NOTE: "\n\n".join(paragraphs),
        "convoy.best": texts.best(task, [model.shown for model in models]).evaluated.model,
        "mlflow.source.name": "dvc repro",
    }
    tags = note | pictures.LOGGED | repository_tags(run, measured)
    runs.log(client, run, params=runs.flat(outputs.data_params(task, lock)), tags=tags)
    for model in models:
        if runs.PARENT not in model.run.data.tags:
            client.set_tag(model.run.info.run_id, runs.PARENT, run_id)
    client.set_terminated(run_id, "FINISHED", ended)
    runs.log(client, run, tags={"convoy.published": FORMAT})
    return _ParentRun(run_id, new=True)


def _compared(
    client: "MlflowClient", task: TaskSpec, experiment: str, models: Sequence[ModelRun], run_id: str,
    content: Mapping[str, Any] | None, files: Mapping[str, Path],
) -> list[str]:  # fmt: skip
    """Upload the files of the comparison; return the paragraphs about it, without a comparison the table."""
    shown = [model.shown for model in models]
    if content is None:
        return [texts.table(task, experiment, shown)]
    drawn = [path for path in files.values() if path.suffix == ".png"]
    markdown = pictures.upload(client, run_id, files, drawn)
    page = next((name for name in files if name.endswith(".html")), None)
    report = None if page is None else views.run_link(experiment, run_id, page)
    return [*texts.comparison(task, experiment, shown, content, report), *markdown]
