"""Runs in MLflow: found by a tag or made once; sending points again does not duplicate them."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from convoy.tracking import store
from convoy.tracking.scratch_io import scratch as scratch_folder
from convoy.training.event_log import Event, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

_EPOCHS = "training.epochs"
NOTE, PARENT = "mlflow.note.content", "mlflow.parentRunId"
MEASURED, REBUILT = "measured", "rebuilt from DVC's outputs: times and system metrics are not known"
_METRICS, _OTHERS, _LONGEST = 1000, 100, 5000  # of one request; characters of a value
_NOT_FIGURES = {"event", "time", "seed", "epoch"}


def experiment(client: "MlflowClient", name: str, description: str = "", **tags: str) -> str:
    """The id of the experiment, made where it is missing, restored where it was deleted.

    A server chooses the location of its artifacts.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            client.create_experiment(name, store.artifact_location(name))
        except MlflowException:  # another process was first
            if client.get_experiment_by_name(name) is None:
                raise
        found = client.get_experiment_by_name(name)
    assert found is not None
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        print(f"{name}: its experiment was deleted in MLflow; it is restored with its runs", flush=True)
    wanted = {NOTE: description, **tags} if description else tags
    for key, value in wanted.items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
    return found.experiment_id


def find(client: "MlflowClient", experiment_id: str, **tags: str) -> "list[Run]":
    """The runs with these tags (`event_log` stands for `convoy.event_log`), oldest first."""
    from mlflow.entities import ViewType

    return _found(client, experiment_id, tags, ViewType.ACTIVE_ONLY)


def restored(client: "MlflowClient", experiment_id: str, **tags: str) -> "list[Run]":
    """Restore the first deleted run with these tags; empty where there is none."""
    from mlflow.entities import ViewType

    for run in _found(client, experiment_id, tags, ViewType.DELETED_ONLY)[:1]:
        client.restore_run(run.info.run_id)
        print(f"publish: run {run.info.run_name} was deleted in MLflow; it is restored", flush=True)
        return [client.get_run(run.info.run_id)]
    return []


def _found(client: "MlflowClient", experiment_id: str, tags: Mapping[str, str], view: int) -> "list[Run]":
    terms = [f"tags.`convoy.{key}` = '{value}'" for key, value in tags.items()]
    found = client.search_runs([experiment_id], " and ".join(terms), view, max_results=1000)
    return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))


def lacks(client: "MlflowClient", run_id: str, paths: Iterable[str]) -> bool:
    """Whether any of the run's artifacts at `paths` is missing."""
    found: dict[str, set[str]] = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder not in found:
            found[folder] = {file.path for file in client.list_artifacts(run_id, folder or None)}
        if path not in found[folder]:
            return True
    return False


def sole(
    client: "MlflowClient", experiment_id: str, start_ms: int, name: str, tags: Mapping[str, str]
) -> "Run":
    """The run with the first of `tags`, made where there is none.

    A slow server may still complete a request that timed out: of several runs the oldest is kept.
    """
    (first, value), *_ = tags.items()
    mark = {first.removeprefix("convoy."): value}
    if not find(client, experiment_id, **mark):
        client.create_run(experiment_id, start_time=start_ms, tags=dict(tags), run_name=name)
    kept, *others = find(client, experiment_id, **mark)
    for run in others:
        client.delete_run(run.info.run_id)
    return kept


def log(
    client: "MlflowClient", run: "Run", metrics: "Iterable[Metric]" = (),
    params: Mapping[str, Any] | None = None, tags: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Send params, tags and points; existing params are kept, and the store drops points that it has."""
    from mlflow.entities import Param, RunTag

    run_id = run.info.run_id
    new_params = [
        Param(key, str(value)[:_LONGEST])
        for key, value in (params or {}).items()
        if key not in run.data.params
    ]
    new_tags = [
        RunTag(key, str(value)[:_LONGEST])
        for key, value in (tags or {}).items()
        if value is not None and run.data.tags.get(key) != str(value)[:_LONGEST]
    ]
    for batch in _batches(list(metrics), _METRICS):
        client.log_batch(run_id, metrics=batch)
    for batch in _batches(new_params, _OTHERS):
        client.log_batch(run_id, params=batch)
    for batch in _batches(new_tags, _OTHERS):
        client.log_batch(run_id, tags=batch)


def points(events: Iterable[Event], first_seed: int) -> "list[Metric]":
    """Learning curves as metrics by epoch; those of further seeds have the seed in their name."""
    from mlflow.entities import Metric

    return [
        Metric(_of_seed(key, event["seed"], first_seed), value, event["time"], event["epoch"])
        for event in events
        for key, value in event.items()
        if key not in _NOT_FIGURES
    ]


def _of_seed(key: str, seed: int, first_seed: int) -> str:
    return key if seed == first_seed else f"seed_{seed}/{key}"


@dataclass(frozen=True)
class Sample:
    """System metrics at one time, in milliseconds since 1970: metric name -> value."""

    time: int
    figures: Mapping[str, float]


def system_points(samples: Sequence[Sample], first: int) -> "list[Metric]":
    """System metrics from sample number `first` on, under the names that MLflow's pages expect."""
    from mlflow.entities import Metric

    return [
        Metric(f"system/{key}", value, sample.time, step)
        for step, sample in enumerate(samples[first:], first)
        for key, value in sample.figures.items()
    ]


def upload(client: "MlflowClient", run_id: str, files: Mapping[str, Path]) -> None:
    """Copy files into the run's artifacts, each under its path there."""
    with scratch_folder("upload") as folder:
        for name, path in files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        client.log_artifacts(run_id, folder)


def params_of(parts: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """Params of a run: for `training.epochs: None`, by the data, the number of epochs that were trained.

    While that is not known (None) the param is left out, since a run's param cannot be changed.
    """
    found = flat(parts)
    if found.get(_EPOCHS, 0) is None:
        del found[_EPOCHS]
        if epochs is not None:
            found[_EPOCHS] = epochs
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


class Sent(NamedTuple):
    """What of an event log has reached the store: its run, and the number of epochs and of samples."""

    run: "Run | None" = None
    epochs: int = 0
    samples: int = 0


NOTHING = Sent()


def send(client: "MlflowClient", record: Record, samples: Sequence[Sample], sent: Sent = NOTHING) -> Sent:
    """Send what is new of an event log to its run: points with their own times, and the status."""
    run = sent.run or _run_of(client, record)
    log(client, run, points(record.epochs[sent.epochs :], record.start["seeds"][0]))
    log(client, run, system_points(samples, sent.samples))
    if record.status != "RUNNING" and run.info.status == "RUNNING":
        client.set_terminated(run.info.run_id, record.status, record.last_time)
    return Sent(run, len(record.epochs), len(samples))


def _run_of(client: "MlflowClient", record: Record) -> "Run":
    """The run of an event log with its tags and params, made where there is none."""
    start = record.start
    task = experiment(client, start["task"])
    tags = {
        "convoy.event_log": record.id,
        "convoy.task": start["task"],
        "convoy.model": start["model"],
        "convoy.stage": start["stage"] or "",
        "convoy.seeds": ", ".join(str(seed) for seed in start["seeds"]),
        "convoy.device": start["device"],
        "convoy.times": MEASURED,
        "convoy.dirty": str(start["dirty"]).lower(),
        **({"mlflow.source.git.commit": start["commit"]} if start["commit"] else {}),
        **({"DVC_EXP_NAME": start["experiment"]} if start["experiment"] else {}),
        "mlflow.source.name": start["stage"] or "convoy",
        "mlflow.source.type": "PROJECT",
        "mlflow.user": start["user"],
    }
    run = sole(client, task, start["time"], f"{start['model']} · live", tags)
    log(client, run, params=params_of(start["params"], None))
    return run


def _batches(items: "list[Any]", size: int) -> "list[list[Any]]":
    return [items[first : first + size] for first in range(0, len(items), size)]
