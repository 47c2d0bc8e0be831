"""What every task shows of itself: which outputs of DVC make up a model, and how its versions are judged.

A task names its stages by their prefix: `PREFIX-train@MODEL` and `PREFIX-evaluate@MODEL` in dvc.lock are one
trained and evaluated model.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from convoy.core import artifact as models
from convoy.core.files import MANIFEST, read_json, sha256
from convoy.tasks import ModelSpec
from convoy.tracking import dvclock
from convoy.tracking.dvclock import Entry

if TYPE_CHECKING:
    import pandas as pd

    from convoy.tracking.promotion import PromotionParams

Metrics = dict[str, float]
# Artifacts of a run.
EVALUATION, FIGURES = "evaluation", "metrics.json"


@dataclass(frozen=True)
class Trained:
    """One trained and evaluated model as DVC's outputs hold it."""

    kind: str
    stages: tuple[Entry, ...]
    folder: Path
    evaluation: Mapping[str, Path]  # name in the run's `evaluation` -> file that the evaluate stage wrote
    plots: Path | None
    data: Mapping[str, str]  # name of a data set -> DVC's md5

    @property
    def key(self) -> str:
        return dvclock.key(self.stages)

    @property
    def content(self) -> str:
        """What a version is known by: the sha256 of the model folder's manifest."""
        return sha256(self.folder / MANIFEST)

    @property
    def config(self) -> dict[str, Any]:
        return read_json(self.folder / models.CONFIG)

    @property
    def metrics(self) -> dict[str, Any]:
        return read_json(self.evaluation[FIGURES])


class Judge(ABC):
    """How two versions of a task are compared on the same test split.

    `file`: what the evaluate stage measured item by item, by its name in `evaluation`; `source`: the data
    from which it can be measured again, in the task's folder.
    """

    file: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def read(self, path: Path) -> Any:
        """What was measured; ConvoyError where the file is missing or broken."""

    @abstractmethod
    def test_split(self, path: Path, data: Mapping[str, str]) -> str:
        """A hash of what was tested on: models with the same one may be compared in pairs."""

    @abstractmethod
    def faults(self, metrics: Mapping[str, Any], measured: Any, params: "PromotionParams") -> list[str]:
        """The acceptance checks that the figures fail, in words."""

    @abstractmethod
    def again(self, source: Path, measured: Any, model: Any) -> Any:
        """What `model`, as `pyfunc.load` gives it, would have measured on what `measured` is about."""

    @abstractmethod
    def difference(self, candidate: Any, champion: Any, resamples: int, seed: int) -> dict[str, float]:
        """By how much the candidate is better, with the 95% interval `low` to `high`."""

    @abstractmethod
    def margin(self, params: "PromotionParams") -> float:
        """The largest loss that is allowed."""

    @abstractmethod
    def words(self, difference: Mapping[str, float]) -> str:
        """The difference in words, and which loss is excluded or not."""

    @abstractmethod
    def beside(self, new: Metrics, old: Metrics) -> tuple[float, str] | None:
        """Without what was measured: the most that `new` may be better, and the lead in words."""

    @abstractmethod
    def spoken(self, metrics: Mapping[str, float]) -> str | None:
        """The figure that a version is known for, in words."""


class Task(ABC):
    """A task: its names in MLflow, its outputs, its figures and the words for them."""

    experiment: ClassVar[str]
    registered: ClassVar[str]
    prefix: ClassVar[str]
    data: ClassVar[Path]
    dataset: ClassVar[str]  # the data set that models are trained and tested on
    judge: ClassVar[Judge]
    best_metric: ClassVar[str]
    lower_is_better: ClassVar[bool]
    validation: ClassVar[str]  # the column of curve.csv by which the challenger is chosen
    columns: ClassVar[tuple[str, ...]]
    shown_with_versions: ClassVar[tuple[str, ...]]
    # Charts: names in one tuple share a chart. A horizon is drawn as a line over all epochs.
    bars: ClassVar[tuple[tuple[str, ...], ...]]
    lines: ClassVar[tuple[tuple[str, ...], ...]]
    horizons: ClassVar[tuple[str, ...]]
    heads: ClassVar[tuple[str, ...]]
    about: ClassVar[str]
    description: ClassVar[str]
    version_note: ClassVar[str]
    models: ClassVar[Mapping[str, ModelSpec[Any, Any]]]
    data_stages: ClassVar[tuple[str, ...]]  # without their prefix: those whose params all models share

    @property
    @abstractmethod
    def pictures(self) -> tuple[str, ...]:
        """Names of the pictures that charts show."""

    @abstractmethod
    def data_name(self, lock: Mapping[str, Entry]) -> str:
        """Words for the data, such as `synthetic default 50,000` or `netflix_titles`."""

    @abstractmethod
    def delivers(self, kind: str) -> bool:
        """Whether versions of this kind are kept; those to compare with stay in the house."""

    @abstractmethod
    def figures(self, kind: str, metrics: Mapping[str, Any]) -> Metrics:
        """The final metrics of a model, flat."""

    @abstractmethod
    def in_short(self, kind: str, metrics: Mapping[str, Any]) -> str:
        """A model's result in a few words without markup: lists show the beginning of it."""

    @abstractmethod
    def summary(self, kind: str, metrics: Mapping[str, Any]) -> str:
        """A model's result in words."""

    @abstractmethod
    def row(self, kind: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
        """A model's cells of the table whose heads are `heads`."""

    @abstractmethod
    def comparison_words(self) -> tuple[str, list[str]]:
        """The headline and the findings of the comparison in the workspace."""

    @abstractmethod
    def comparison_files(self) -> dict[str, Path]:
        """Artifacts of the parent run by their path there."""

    @abstractmethod
    def examples(self) -> "pd.DataFrame":
        """A few rows of real data as a model takes them, for its signature."""

    @abstractmethod
    def _outputs(self, kind: str) -> tuple[dict[str, Path], Path | None]:
        """What the evaluate stage wrote of a model: `Trained.evaluation`, `Trained.plots`."""

    @abstractmethod
    def _data(self, md5s: Mapping[str, str]) -> dict[str, str]:
        """Out of md5s by path those of `Trained.data`."""

    def trained(self, lock: Mapping[str, Entry]) -> list[Trained]:
        """All trained and evaluated models of the lock, in its order."""
        found = []
        for stage, train in lock.items():
            prefix, _, kind = stage.partition("@")
            evaluate = lock.get(f"{self.prefix}-evaluate@{kind}")
            if prefix != f"{self.prefix}-train" or evaluate is None:
                continue
            made = [lock[name].outs for name in self._names(self.data_stages) if name in lock]
            md5s = {path: md5 for outs in (*made, evaluate.deps) for path, md5 in outs.items()}
            evaluation, plots = self._outputs(kind)
            folder = self.data / "models" / kind
            found.append(Trained(kind, (train, evaluate), folder, evaluation, plots, self._data(md5s)))
        return found

    def comparison(self, lock: Mapping[str, Entry]) -> Entry | None:
        """The stage that compares the models, where it ran."""
        return lock.get(f"{self.prefix}-compare")

    def data_params(self, lock: Mapping[str, Entry]) -> dict[str, Any]:
        """The params that all models of the lock share."""
        stages = [lock[name] for name in self._names(self.data_stages) if name in lock]
        return {key: value for entry in stages for key, value in entry.params.items()}

    def rank(self, figures: Mapping[str, float], name: str | None = None) -> float:
        """A number that is the smaller the better a figure is, by default that of the task."""
        value = figures.get(name or self.best_metric)
        if value is None:
            return float("inf")
        return value if self.lower_is_better else -value

    def best(self, items: Any, figures: Callable[[Any], Mapping[str, float]]) -> Any:
        """The item with the best figure, the first of equal ones."""
        return min(items, key=lambda item: self.rank(figures(item)))

    def _names(self, stages: tuple[str, ...]) -> list[str]:
        return [f"{self.prefix}-{stage}" for stage in stages]
