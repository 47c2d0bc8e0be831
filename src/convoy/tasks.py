"""TaskSpec: description of a task for tracking and the command line."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import Field

from convoy.core.figures_io import FigureFiles
from convoy.core.models import ModelSpec
from convoy.core.params import Section

if TYPE_CHECKING:
    import pandas as pd

    from convoy.core.artifact import StoredModel

Item = TypeVar("Item")
Measured = TypeVar("Measured")
Source = TypeVar("Source")

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Evaluated:
    """An evaluated model: its figures, and the content of the comparison file where there is one."""

    model: str
    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outputs:
    """The outputs of DVC that make up a task's models: paths below `root`; `{model}` is a model's name.

    A model counts as trained and evaluated where `folder` and the metrics file are outputs of dvc.lock, or
    lie in one that holds the folders of all models.
    """

    root: Path
    folder: str
    figures: FigureFiles
    evaluation: tuple[str, ...]
    """Files next to the details of the figures, which the run keeps in its folder `evaluation` as well."""
    plots: str | None
    """The folder of plots next to them."""
    datasets: tuple[str, ...]
    """Data sets whose md5 is recorded; `dataset` is the one that models are trained and tested on."""
    dataset: str
    compare_stage: str
    comparison: str
    """The comparison file."""
    comparison_files: tuple[str, ...]
    """Patterns of the files that the run of all models keeps as artifacts."""
    data_stages: tuple[str, ...]
    """The stages whose params all models share."""
    selected: tuple[str, ...]
    """The params of the compare stage that list the models in use."""

    def of(self, pattern: str, model: str) -> Path:
        """The path of one of the patterns above for `model`."""
        return self.root / pattern.format(model=model)


@dataclass(frozen=True)
class Ranking:
    """Which figure ranks models; `validation` is the column of curve.csv that ranks new versions."""

    metric: str
    lower_is_better: bool
    validation: str

    def best(self, items: Iterable[Item], figure: Callable[[Item], float | None]) -> Item:
        """The item with the best figure, the first of equal ones; None counts as worst."""

        def key(item: Item) -> float:
            value = figure(item)
            if value is None:
                return float("inf")
            return value if self.lower_is_better else -value

        return min(items, key=key)


@dataclass(frozen=True)
class Charts:
    """Charts on the pages of an experiment. Metrics in one tuple share a chart."""

    bars: tuple[tuple[str, ...], ...]
    lines: tuple[tuple[str, ...], ...]
    reference_lines: tuple[str, ...]
    """Final metrics that are drawn as level lines over all epochs."""
    pictures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Pages:
    """Texts and tables of MLflow's pages."""

    about: str
    description: str
    version_note: str = ""
    columns: tuple[str, ...]
    """Metrics in the table of runs."""
    version_tags: tuple[str, ...] = ()
    """Metrics among the tags of a version."""
    charts: Charts
    table_header: tuple[str, ...]
    table_row: Callable[[Evaluated], tuple[str, ...]]
    headline: Callable[[Evaluated], str]
    """The result of a model in a few words without markup."""
    summary: Callable[[Evaluated], str]
    """The result of a model in a few sentences."""
    comparison: Callable[[Mapping[str, Any]], tuple[str, list[str]]]
    """The headline and the findings of a comparison file."""


class PromotionParams(Section):
    """Criteria that a version has to meet before it becomes champion."""

    margin: float = Field(
        0.005, ge=0, lt=1,
        description="classification: the 95% confidence interval must exclude a larger loss of accuracy",
    )  # fmt: skip
    rmse_margin: float = Field(
        0.01, ge=0, lt=1,
        description="downscaling: the same for 1 - RMSE / RMSE of the champion",
    )  # fmt: skip
    max_ece: float = Field(0.1, ge=0, le=1, description="largest expected calibration error")
    resamples: int = Field(
        2000, ge=100, le=100_000, description="bootstrap samples of items and seeds, or of blocks of days"
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="of the bootstrap")


@dataclass(frozen=True)
class Difference:
    """Difference of candidate and champion on the same `n` test cases, with its 95% confidence interval."""

    difference: float
    low: float
    high: float
    n: int
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Estimate:
    """A difference of two versions estimated from their summary metrics: its upper limit, and words."""

    high: float
    words: str


@dataclass(frozen=True)
class VersionComparison(Generic[Measured, Source]):
    """Functions that compare two versions of a task on the same test split."""

    file: str
    """Name of the file in the run's folder `evaluation` with the results case by case."""
    read: Callable[[Path], Measured]
    """Reads that file; raises ConvoyError where it is missing or broken."""
    test_split: Callable[[Measured, Mapping[str, str]], str]
    """A hash of the test cases, given the md5s of the data; equal ones allow a paired comparison."""
    checks: Callable[[Mapping[str, Any], Measured, PromotionParams], list[str]]
    """The acceptance checks that the figures of a model fail, in words."""
    margin: Callable[[PromotionParams], float]
    """The largest loss that is allowed."""
    difference: Callable[[Measured, Measured, int, int], Difference]
    """Candidate, champion, resamples and seed; raises ConvoyError where the test cases differ."""
    describe: Callable[[Difference, float], str]
    """A difference and the margin in words: which loss the interval excludes."""
    estimate: Callable[[Metrics, Metrics], Estimate | None]
    """The same from the metrics of two versions alone; None where these are incomplete."""
    figure: Callable[[Metrics], str | None]
    """The metric that identifies a version for a reader, in words."""
    source: str
    """The data set, by its name in `Outputs.datasets`, on which a version can be measured again."""
    read_source: Callable[[Path], Source]
    remeasure: Callable[[Source, Measured, Any], Measured]
    """Evaluates a served model on the test cases of the candidate."""


@dataclass(frozen=True)
class Column:
    """A column of a served model's input."""

    name: str
    kind: Literal["text", "numbers"]
    required: bool = True


class ServedModel(Protocol):
    """A stored model that predicts tables."""

    def columns(self) -> tuple[Column, ...]:
        """The columns of its input."""

    def predict(self, model_input: "pd.DataFrame") -> "pd.DataFrame":
        """One row of predictions per row; raises ConvoyError for a table that it cannot read."""

    def fault(self) -> str | None:
        """Description of a fault in its prediction for a built-in example, or None."""


@dataclass(frozen=True)
class Serving:
    """How MLflow serves a model: `loader` is the module with `_load_pyfunc`, `examples` reads rows to try."""

    loader: str
    serve: "Callable[[StoredModel], ServedModel]"
    examples: "Callable[[Path], pd.DataFrame]"


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task whose models are compared and recorded: its name in MLflow, outputs, metrics and pages."""

    experiment: str
    models: Mapping[str, ModelSpec[Any, Any]]
    """The registry."""
    ranking: Ranking
    outputs: Outputs
    data_name: Callable[[Mapping[str, Any]], str]
    """The data in a few words, from the params of `Outputs.data_stages`."""
    figures: Callable[[str, Mapping[str, Any]], dict[str, float]]
    """The final metrics of a model, flat, from its name and all its figures."""
    pages: Pages

    def best(self, models: Iterable[Evaluated]) -> Evaluated:
        """The model with the best figure."""
        return self.ranking.best(
            models, lambda one: self.figures(one.model, one.metrics).get(self.ranking.metric)
        )


@dataclass(frozen=True, kw_only=True)
class RegisteredTask(TaskSpec):
    """A task whose models that export `served` are registered as versions, which are compared and served."""

    registered: str
    versions: VersionComparison[Any, Any]
    serving: Serving
