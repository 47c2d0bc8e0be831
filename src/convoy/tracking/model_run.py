"""The run of one trained and evaluated model: its curve, metrics, pictures, tables and version."""

import csv
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convoy.report.themes import LIGHT
from convoy.tasks import RegisteredTask
from convoy.tracking import outputs, runs
from convoy.tracking.dashboard import pictures
from convoy.tracking.dashboard.texts import Shown
from convoy.tracking.outputs import EVALUATION, Trained
from convoy.tracking.registry import versions
from convoy.training import event_log
from convoy.training.event_log import Record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_CONFIG = ("network", "training", "text", "vectors", "start")  # sections that are a run's params
FORMAT = "3"  # of the published runs: a change publishes all of them again


class ModelRun:
    """Publishes one trained model."""

    def __init__(
        self, client: "MlflowClient", experiment: str, trained: Trained, data_name: str, record: Record | None
    ) -> None:
        self.client, self.task, self.experiment, self.trained = client, trained.task, experiment, trained
        self.record, self.data_name = record, data_name
        self.new_version = False
        self.run: Run

    def publish(self) -> bool:
        """Make or complete the run and its version; return False where both were complete."""
        of = {"lock_key": self.trained.key, "published": FORMAT}
        found = runs.find(self.client, self.experiment, **of)
        found = found or runs.restored(self.client, self.experiment, **of)
        self.run = found[0] if found else self._run()
        if found and self._complete():
            return False
        self._curve()
        model_id = None
        if self._is_served:
            version = versions.ensure(self.client, self.experiment, self.trained, self.run)
            model_id, self.new_version = version
        self._results(model_id)
        if self.run.info.status == "RUNNING":
            self.client.set_terminated(self.run.info.run_id, "FINISHED", self.time)
        runs.log(self.client, self.run, tags={"convoy.published": FORMAT})
        self.run = self.client.get_run(self.run.info.run_id)
        return True

    @property
    def _is_served(self) -> bool:
        return "served" in self.task.models[self.trained.model].exports

    def _complete(self) -> bool:
        """Whether the store still has the run's artifacts, and the version with its files."""
        if runs.lacks(self.client, self.run.info.run_id, self._files()):
            return False
        return not self._is_served or versions.is_complete(self.client, self.trained)

    def _files(self) -> dict[str, Path]:
        """The artifacts of the run by their paths there, without the pictures for its pages."""
        files = {f"{EVALUATION}/{name}": file for name, file in self.trained.evaluation.items()}
        if self.trained.plots is not None:
            files |= {f"plots/{file.name}": file for file in self.trained.plots.iterdir()}
        return files

    @property
    def time(self) -> int:
        """End of the training where it is known, else time of making the run, in milliseconds."""
        return self.record.last_time if self.record is not None else self.run.info.start_time

    @property
    def measured(self) -> bool:
        """Whether the training's own times are known."""
        return self.record is not None

    def _run(self) -> "Run":
        """The live run with this content unless another key has it; else a new one."""
        tags = {"convoy.lock_key": self.trained.key, "convoy.task": self.task.experiment}
        if self.record is None:
            return runs.sole(self.client, self.experiment, _now(), self.name, tags)
        for run in runs.find(self.client, self.experiment, event_log=self.record.id):
            if run.data.tags.get("convoy.lock_key", self.trained.key) == self.trained.key:
                runs.log(self.client, run, tags=tags)
                self.client.update_run(run.info.run_id, name=self.name)
                return self.client.get_run(run.info.run_id)
        return runs.sole(self.client, self.experiment, self.record.start["time"], self.name, tags)

    @property
    def name(self) -> str:
        return f"{self.trained.model} · {self.data_name}"

    @property
    def shown(self) -> Shown:
        return Shown(self.trained.evaluated, self.run.info.run_id, self.data_name)

    def _curve(self) -> None:
        """Log learning curves, and reference metrics as horizontal lines."""
        from mlflow.entities import Metric

        first = self.trained.config["seeds"][0]
        if self.record is not None:
            events = self.record.epochs
        else:
            events = curve(self.trained.folder / "curve.csv", first, self.time)
        parts = {key: self.trained.config.get(key, {}) for key in _CONFIG}
        epochs = max((event["epoch"] for event in events if event["seed"] == first), default=None)
        params = runs.params_of(parts, epochs)
        runs.log(self.client, self.run, runs.points(events, first), params)
        figures = self.trained.figures
        level = [
            Metric(name, figures[name], event["time"], event["epoch"])
            for name in self.task.pages.charts.reference_lines
            for event in events
            if name in figures and event["seed"] == first
        ]
        runs.log(self.client, self.run, level)

    def _results(self, model_id: str | None) -> None:
        """Log final metrics with their data, pictures and tables."""
        from mlflow.entities import Metric

        run_id, figures = self.run.info.run_id, self.trained.figures
        self._inputs()
        runs.log(self.client, self.run, [Metric(key, value, self.time, 0) for key, value in figures.items()])
        if model_id is not None:
            of_model = versions.metrics(self.trained, self.time, model_id, run_id)
            runs.log(self.client, self.run, of_model)
        markdown = pictures.upload(self.client, run_id, self._files(), self._pictures())
        rebuilt = [] if self.measured else [f"*This run was {runs.REBUILT}.*"]
        note = "\n\n".join([self.task.pages.summary(self.trained.evaluated), *rebuilt, *markdown])
        stage = self.trained.stages[0].stage
        tags = {
            "convoy.model": self.trained.model,
            "convoy.content": self.trained.content,
            "convoy.data": self.data_name,
            "convoy.seeds": ", ".join(str(seed) for seed in self.trained.config["seeds"]),
            "convoy.stage": stage,
            "convoy.times": runs.MEASURED if self.measured else runs.REBUILT,
            "mlflow.source.name": stage,
            "mlflow.source.type": "PROJECT",
            "mlflow.runColor": LIGHT.series[self.task.models[self.trained.model].colour],
            runs.NOTE: note,
        }
        if isinstance(self.task, RegisteredTask):
            tags["convoy.test_split"] = self.trained.test_split
        runs.log(
            self.client, self.run, tags=tags | pictures.LOGGED | repository_tags(self.run, self.measured)
        )

    def _pictures(self) -> list[Path]:
        """The pictures for its pages: its own, or where a task draws none of a network, the comparison's."""
        of_all = {path.name: path for path in outputs.comparison_files(self.task).values()}
        drawn = []
        for name in (f"{name}.png" for name in self.task.pages.charts.pictures):
            if self.trained.plots is not None:
                drawn.append(self.trained.plots / name)
            elif self._is_served and name in of_all:
                drawn.append(of_all[name])
        return [path for path in drawn if path.is_file()]

    def _inputs(self) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs, of = self.run.inputs, self.task.outputs
        present = {entry.dataset.name for entry in inputs.dataset_inputs} if inputs is not None else set()
        datasets = [
            DatasetInput(
                Dataset(name, md5, "dvc", f'{{"path": "{of.root / name}", "md5": "{md5}"}}'),
                [InputTag("mlflow.data.context", "training and test" if name == of.dataset else "source")],
            )
            for name, md5 in self.trained.data.items()
            if name not in present
        ]
        if datasets:
            self.client.log_inputs(self.run.info.run_id, datasets)


def curve(path: Path, seed: int, time_ms: int) -> tuple[dict[str, Any], ...]:
    """The learning curve of a model folder as epochs with one and the same time; empty for a baseline."""
    if not path.is_file():
        return ()
    with open(path, encoding="utf-8", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return tuple({**row, "epoch": int(row["epoch"]), "seed": seed, "time": time_ms} for row in rows)


def repository_tags(run: "Run", measured: bool) -> dict[str, str]:
    """Tags with the state of the repository; a rebuilt run lacks the commit that it was trained at."""
    now = event_log.circumstances()
    tags = {"DVC_EXP_NAME": now["experiment"]}
    if measured:
        tags |= {"mlflow.source.git.commit": now["commit"], "convoy.dirty": str(now["dirty"]).lower()}
    else:
        tags["convoy.rebuilt_at_commit"] = now["commit"]
    return {key: value for key, value in tags.items() if value and key not in run.data.tags}


def _now() -> int:
    return round(time.time() * 1000)
