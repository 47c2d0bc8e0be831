"""The trained and evaluated models that dvc.lock describes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from convoy.core import artifact
from convoy.core.files import MANIFEST, read_json, sha256
from convoy.tasks import Evaluated, RegisteredTask, TaskSpec
from convoy.tracking import dvclock
from convoy.tracking.dvclock import Entry

Lock = Mapping[str, Entry]
EVALUATION = "evaluation"
"""The folder of a run's artifacts with what the evaluate stage wrote."""


@dataclass(frozen=True)
class Trained:
    """One trained and evaluated model among DVC's outputs; `stages` train and evaluate it."""

    task: TaskSpec
    model: str
    stages: tuple[Entry, ...]
    data: Mapping[str, str]
    """Name of a data set -> DVC's md5."""

    @property
    def registered(self) -> RegisteredTask:
        """Its task, of which models are versions."""
        assert isinstance(self.task, RegisteredTask)
        return self.task

    @property
    def key(self) -> str:
        """A hash of the stages and the model's name, by which the model's run is found."""
        return dvclock.key(self.stages, self.model)

    @property
    def folder(self) -> Path:
        """The model folder."""
        return self.task.outputs.of(self.task.outputs.folder, self.model)

    @property
    def evaluation(self) -> dict[str, Path]:
        """Name in the run's folder `evaluation` -> file that the evaluate stage wrote."""
        outputs = self.task.outputs
        found = outputs.figures.of(self.model)
        return found | {name: outputs.figures.folder_of(self.model) / name for name in outputs.evaluation}

    @property
    def plots(self) -> Path | None:
        """The folder of the model's plots."""
        outputs = self.task.outputs
        return None if outputs.plots is None else outputs.figures.folder_of(self.model) / outputs.plots

    @property
    def content(self) -> str:
        """The sha256 of the model folder's manifest, which identifies a version."""
        return sha256(self.folder / MANIFEST)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of the model's config.json."""
        return read_json(self.folder / artifact.CONFIG)

    @cached_property
    def evaluated(self) -> Evaluated:
        """The model with its metrics and the comparison in the workspace."""
        return Evaluated(self.model, self.task.outputs.figures.read(self.model), comparison(self.task))

    @cached_property
    def figures(self) -> dict[str, float]:
        """The final metrics, flat."""
        return self.task.figures(self.model, self.evaluated.metrics)

    @cached_property
    def test_split(self) -> str:
        """A hash of the test data, of a task whose versions are compared."""
        versions = self.registered.versions
        return versions.test_split(versions.read(self.evaluation[versions.file]), self.data)


def trained(task: TaskSpec, lock: Lock) -> list[Trained]:
    """All trained and evaluated models of the lock, in its order.

    DVC keeps the entries of models that are no longer selected, but perhaps not their outputs: those that are
    neither selected nor in the workspace are left out, and those whose metrics file has no figure, such as a
    baseline that equals another on these data.
    """
    outputs = task.outputs
    makers = {path: entry for entry in lock.values() for path in entry.outs}
    compared = lock.get(outputs.compare_stage)
    lists = [] if compared is None else [compared.params.get(name) for name in outputs.selected]
    selected = None if None in lists or not lists else [model for models in lists for model in models or ()]
    found = []
    for path, model, train in _folders(task, makers):
        metrics = outputs.figures.metrics_of(model).as_posix()
        evaluate = train if metrics.startswith(f"{path}/") else makers.get(metrics)
        if evaluate is None or not _has_figures(Path(metrics)):
            continue
        if selected is None or model in selected or outputs.of(outputs.folder, model).exists():
            stages = (train,) if train is evaluate else (train, evaluate)
            found.append(Trained(task, model, stages, _data(task, lock, stages)))
    return found


def _folders(task: TaskSpec, makers: Mapping[str, Entry]) -> Iterator[tuple[str, str, Entry]]:
    """Each output that is a model's folder or holds those of all models: its path, the model, its stage."""
    pattern = task.outputs.of(task.outputs.folder, "{model}")
    for path, entry in makers.items():
        if (model := _model_of(path, pattern.as_posix())) is not None:
            yield path, model, entry
        elif Path(path) == pattern.parent:
            there = (name for name in task.models if task.outputs.of(task.outputs.folder, name).is_dir())
            yield from ((path, name, entry) for name in there)


def _has_figures(metrics: Path) -> bool:
    """Whether a metrics file has a number anywhere; true for one that is not in the workspace."""

    def has(value: Any) -> bool:
        if isinstance(value, Mapping | list):
            return any(map(has, value.values() if isinstance(value, Mapping) else value))
        return isinstance(value, int | float)

    return not metrics.is_file() or has(read_json(metrics))


def data_params(task: TaskSpec, lock: Lock) -> dict[str, Any]:
    """The params that all models of the lock share."""
    stages = [lock[name] for name in task.outputs.data_stages if name in lock]
    return {key: value for entry in stages for key, value in entry.params.items()}


def comparison(task: TaskSpec) -> Mapping[str, Any] | None:
    """The comparison in the workspace; None where there is none."""
    path = task.outputs.root / task.outputs.comparison
    return read_json(path) if path.is_file() else None


def comparison_files(task: TaskSpec) -> dict[str, Path]:
    """The artifacts of the run of all models by their names."""
    root = task.outputs.root
    patterns = task.outputs.comparison_files
    return {path.name: path for pattern in patterns for path in sorted(root.glob(pattern))}


def _data(task: TaskSpec, lock: Lock, stages: tuple[Entry, ...]) -> dict[str, str]:
    made = [lock[name].outs for name in task.outputs.data_stages if name in lock]
    md5s = {path: md5 for files in (*made, stages[-1].deps) for path, md5 in files.items()}
    paths = [task.outputs.root / name for name in task.outputs.datasets]
    return {path.name: md5s[path.as_posix()] for path in paths if path.as_posix() in md5s}


def _model_of(path: str, pattern: str) -> str | None:
    """The name of the model whose folder `path` is; None for any other path."""
    before, _, after = pattern.partition("{model}")
    name = path.removeprefix(before).removesuffix(after)
    return name if f"{before}{name}{after}" == path and name and "/" not in name else None
