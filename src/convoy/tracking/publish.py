"""From DVC's outputs to MLflow: every trained and evaluated model of dvc.lock has one run.

What is there already stays as it is; what is missing is made. A run that was seen live is taken over with its
own times; without its journal the curve is drawn from the outputs, and the run says so.
"""

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.core.errors import ConvoyError
from convoy.report.themes import LIGHT
from convoy.tracking import decisions, dvclock, live, pictures, runs, store, versions, views, words
from convoy.tracking.dvclock import Entry
from convoy.tracking.task import EVALUATION, Task, Trained
from convoy.tracking.tasks import TASKS
from convoy.tracking.words import Shown
from convoy.training import event_log as journal
from convoy.training.event_log import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FORMAT = "1"  # of what is published: another one publishes all anew


def publish(lock_file: Path = Path("dvc.lock")) -> dict[str, Any]:
    """Reconcile the store with `lock_file` and the outputs beside it.

    Returns what DVC may keep: by task the models with their keys, contents and data; no ids, no times.
    Raises ConvoyError for outputs that are missing or not those of the lock, and for a store out of reach.
    """
    lock = dvclock.read(lock_file)
    published = {}
    found = _here([(task, models) for task in TASKS if (models := task.trained(lock))])
    if not found:
        raise ConvoyError(f"{lock_file}: no trained and evaluated model in it; run `dvc repro`")
    for task, models in found:
        compared = task.comparison(lock)
        if compared is not None:
            for path in compared.outs:
                dvclock.check(compared, path)
        for model in models:
            for entry in model.stages:
                for path in entry.outs:
                    dvclock.check(entry, path)
    client = store.client()
    with store.reachable():
        late = live.deliver_all(client)
        print(f"publish: {store.shown()}" + (f"; {late} live runs sent" if late else ""))
        for task, models in found:
            with store.turn("publish"):
                _task(client, task, models, lock)
            published[task.experiment] = {
                model.kind: {"key": model.key, "content": model.content, "data": dict(model.data)}
                for model in models
            }
    return published


def _here(found: list[tuple[Task, list[Trained]]]) -> list[tuple[Task, list[Trained]]]:
    """The tasks of which there are outputs: who works on one of them need not have those of the other."""
    here = [(task, models) for task, models in found if any(model.folder.exists() for model in models)]
    for task, models in found:
        if here and (task, models) not in here:
            print(
                f"publish: {task.experiment}: left out, its outputs are not here; `dvc checkout` brings them"
            )
    return here or found


def _task(client: "MlflowClient", task: Task, models: Sequence[Trained], lock: Mapping[str, Entry]) -> None:
    experiment = runs.experiment(client, task.experiment)
    records = {record.end["content"]: record for record in journal.records() if record.end is not None}
    made = [_Model(client, task, experiment, model, lock, records.get(model.content)) for model in models]
    new = sum([model.publish() for model in made])
    versions.describe(client, task)
    versions.challenge(client, task, [model.trained for model in made if model.new_version])
    is_new, parent = _parent(client, task, experiment, made, lock)
    new += is_new
    shown = [model.shown for model in made]
    told = words.overview(task, experiment, shown, parent)
    runs.experiment(client, task.experiment, told, **views.tags(task), **words.in_lists(task, shown))
    decisions.replay(client, task.registered)
    print(f"publish: {task.experiment}: {new} new of {len(made) + 1} runs")


class _Model:
    """One trained model on its way into the store."""

    def __init__(
        self, client: "MlflowClient", task: Task, experiment: str, trained: Trained,
        lock: Mapping[str, Entry], record: Record | None,
    ) -> None:  # fmt: skip
        self.client, self.task, self.experiment, self.trained = client, task, experiment, trained
        self.record, self.data_name = record, task.data_name(lock)
        self.metrics = trained.metrics
        self.config = trained.config
        self.new_version = False
        self.run: Run

    def publish(self) -> bool:
        """Make or complete the run and its version; False where all was there."""
        for run in runs.find(self.client, self.experiment, lock_key=self.trained.key, published=FORMAT):
            self.run = run
            return False
        self.run = self._run()
        self._curve()
        if self.task.delivers(self.trained.kind):
            model_id, self.new_version = versions.ensure(
                self.client, self.task, self.experiment, self.trained, self.run, self.metrics
            )
        else:
            model_id = None
        self._results(model_id)
        if self.run.info.status == "RUNNING":
            self.client.set_terminated(self.run.info.run_id, "FINISHED", self.time)
        runs.log(self.client, self.run, tags={"convoy.published": FORMAT})
        self.run = self.client.get_run(self.run.info.run_id)
        return True

    @property
    def time(self) -> int:
        """Of the end of the training where it is known, in milliseconds; else of the run's making."""
        return self.record.last_time if self.record is not None else self.run.info.start_time

    def _run(self) -> "Run":
        """The live run of this very content unless another key has it; else one of its own."""
        tags = {"convoy.lock_key": self.trained.key, "convoy.task": self.task.experiment}
        if self.record is None:
            return runs.sole(self.client, self.experiment, _now(), self.name, tags)
        for run in runs.find(self.client, self.experiment, journal=self.record.id):
            if run.data.tags.get("convoy.lock_key", self.trained.key) == self.trained.key:
                runs.log(self.client, run, tags=tags)
                self.client.update_run(run.info.run_id, name=self.name)
                return self.client.get_run(run.info.run_id)
        return runs.sole(self.client, self.experiment, self.record.start["time"], self.name, tags)

    @property
    def name(self) -> str:
        return f"{self.trained.kind} · {self.data_name}"

    @property
    def shown(self) -> Shown:
        return Shown(self.trained.kind, self.run.info.run_id, self.data_name, self.metrics)

    def _curve(self) -> None:
        """Learning curves, and beside them as level lines what is possible at best."""
        from mlflow.entities import Metric

        seeds = self.config["seeds"]
        if self.record is not None:
            events = self.record.epochs
        else:
            events = curve(self.trained.folder / "curve.csv", seeds[0], self.time)
        params = runs.flat({key: self.config.get(key, {}) for key in ("network", "training", "text")})
        runs.log(self.client, self.run, runs.points(events, seeds[0]), params)
        figures = self.task.figures(self.trained.kind, self.metrics)
        horizons = [
            Metric(name, figures[name], event["time"], event["epoch"])
            for name in self.task.horizons
            for event in events
            if name in figures and event["seed"] == seeds[0]
        ]
        runs.log(self.client, self.run, horizons)

    def _results(self, model_id: str | None) -> None:
        """Final metrics, what they were measured on, pictures and tables."""
        from mlflow.entities import Metric

        run_id, digest = self.run.info.run_id, self.trained.data.get(self.task.dataset, "")
        self._inputs()
        figures = self.task.figures(self.trained.kind, self.metrics)
        runs.log(self.client, self.run, [Metric(key, value, self.time, 0) for key, value in figures.items()])
        if model_id is not None:
            runs.log(
                self.client,
                self.run,
                versions.metrics(self.task, figures, self.time, model_id, run_id, digest),
            )
        files = {f"{EVALUATION}/{name}": file for name, file in self.trained.evaluation.items()}
        drawn: list[Path] = []
        if self.trained.plots is not None:
            files |= {f"plots/{file.name}": file for file in self.trained.plots.iterdir()}
            drawn = [self.trained.plots / f"{name}.png" for name in self.task.pictures]
        markdown = pictures.upload(self.client, run_id, files, [path for path in drawn if path.is_file()])
        summary = self.task.summary(self.trained.kind, self.metrics)
        measured = self.record is not None
        tags = {
            "convoy.model": self.trained.kind,
            "convoy.content": self.trained.content,
            "convoy.data": self.data_name,
            "convoy.test_split": versions.test_split(self.task, self.trained),
            "convoy.seeds": ", ".join(str(seed) for seed in self.config["seeds"]),
            "convoy.core.stage": self.trained.stages[0].stage,
            "convoy.times": runs.MEASURED if measured else runs.REBUILT,
            "mlflow.source.name": self.trained.stages[0].stage,
            "mlflow.source.type": "PROJECT",
            "mlflow.runColor": LIGHT.series[self.task.models[self.trained.kind].colour],
            runs.NOTE: "\n\n".join(
                [summary, *([] if measured else [f"*This run was {runs.REBUILT}.*"]), *markdown]
            ),
        }
        runs.log(self.client, self.run, tags=tags | pictures.LOGGED | _repository_tags(self.run, measured))

    def _inputs(self) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = self.run.inputs
        present = {entry.dataset.name for entry in inputs.dataset_inputs} if inputs is not None else set()
        datasets = [
            DatasetInput(
                Dataset(name, md5, "dvc", f'{{"path": "{self.task.data / name}", "md5": "{md5}"}}'),
                [
                    InputTag(
                        "mlflow.data.context", "training and test" if name == self.task.dataset else "source"
                    )
                ],
            )
            for name, md5 in self.trained.data.items()
            if name not in present
        ]
        if datasets:
            self.client.log_inputs(self.run.info.run_id, datasets)


def curve(path: Path, seed: int, time_ms: int) -> tuple[dict[str, Any], ...]:
    """The learning curve of a model folder as epochs that all bear one time; none for a baseline."""
    if not path.is_file():
        return ()
    with open(path, encoding="utf-8", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return tuple({**row, "epoch": int(row["epoch"]), "seed": seed, "time": time_ms} for row in rows)


def _parent(
    client: "MlflowClient", task: Task, experiment: str, models: Sequence[_Model], lock: Mapping[str, Entry]
) -> tuple[bool, str]:
    """The run of the whole: comparison in words, report, picture; its children are the models.

    It has no figures of its own, which would stand beside those of the best model as if there were two.
    Returns whether it is new, and its id.
    """
    compared = task.comparison(lock)
    entries = [entry for model in models for entry in model.trained.stages]
    key = dvclock.key([*entries, *([compared] if compared is not None else [])])
    for run in runs.find(client, experiment, lock_key=key, published=FORMAT):
        return False, run.info.run_id
    started = min(model.run.info.start_time for model in models)
    ended = max(model.run.info.end_time or model.time for model in models)
    tags = {"convoy.lock_key": key, "convoy.task": task.experiment, "convoy.model": "all"}
    run = runs.sole(client, experiment, started, f"All models · {models[0].data_name}", tags)
    run_id = run.info.run_id
    shown = [model.shown for model in models]
    told = [words.table(task, experiment, shown)]
    if compared is not None:
        files = task.comparison_files()
        drawn = [path for path in files.values() if path.suffix == ".png"]
        markdown = pictures.upload(client, run_id, files, drawn)
        report = views.run_link(experiment, run_id, "report.html") if "report.html" in files else None
        told = [*words.comparison(task, experiment, shown, report), *markdown]
    if any(model.record is None for model in models):
        told.append(f"*Runs below this one were {runs.REBUILT}.*")
    note = {
        runs.NOTE: "\n\n".join(told),
        "convoy.best": words.best(task, shown).kind,
        "mlflow.source.name": "dvc repro",
    }
    measured = all(model.record is not None for model in models)
    tags = note | pictures.LOGGED | _repository_tags(run, measured)
    runs.log(client, run, params=runs.flat(task.data_params(lock)), tags=tags)
    for model in models:
        if runs.PARENT not in model.run.data.tags:
            client.set_tag(model.run.info.run_id, runs.PARENT, run_id)
    client.set_terminated(run_id, "FINISHED", ended)
    runs.log(client, run, tags={"convoy.published": FORMAT})
    return True, run_id


def _repository_tags(run: "Run", measured: bool) -> dict[str, str]:
    """What is known of the repository; of a rebuilt run not the commit that it was trained at."""
    now = journal.circumstances()
    tags = {"DVC_EXP_NAME": now["experiment"]}
    if measured:
        tags |= {"mlflow.source.git.commit": now["commit"], "convoy.dirty": str(now["dirty"]).lower()}
    else:
        tags["convoy.rebuilt_at_commit"] = now["commit"]
    return {key: value for key, value in tags.items() if value and key not in run.data.tags}


def _now() -> int:
    return round(time.time() * 1000)
