"""Texts of MLflow's pages about a task: the best model, a table of all models, links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convoy.tasks import Evaluated, RegisteredTask, TaskSpec
from convoy.tracking.dashboard import views

_SPACE = "&emsp;"


@dataclass(frozen=True)
class Shown:
    """A model whose run is in the store."""

    evaluated: Evaluated
    run_id: str
    data_name: str


def best(task: TaskSpec, models: Sequence[Shown]) -> Shown:
    """The model with the best figure of the task."""
    metric = task.ranking.metric
    return task.ranking.best(
        models, lambda one: task.figures(one.evaluated.model, one.evaluated.metrics).get(metric)
    )


def overview(task: TaskSpec, experiment: str, models: Sequence[Shown], parent: str) -> str:
    """The experiment's description; pages show its first paragraph, lists its first words."""
    winner = best(task, models)
    result = task.pages.headline(winner.evaluated)
    versions = ""
    if isinstance(task, RegisteredTask):
        versions = f" · [versions of the model]({views.model_link(task.registered)})"
    return (
        f"{task.pages.about} Best on {winner.data_name}: "
        f"[{result}]({views.run_link(experiment, winner.run_id)}).\n\n"
        f"Open: [table, best first]({views.runs_link(experiment)}) · "
        f"[charts and pictures]({views.runs_link(experiment, charts=True)}) · "
        f"[comparison]({views.run_link(experiment, parent)}){versions}\n\n"
        f"{task.pages.description}"
    )


def in_lists(task: TaskSpec, models: Sequence[Shown]) -> dict[str, str]:
    """The experiment's tags that are shown in lists of experiments."""
    winner = best(task, models).evaluated
    return {"best": f"{winner.model}, {task.pages.table_row(winner)[0]}"}


def comparison(
    task: TaskSpec, experiment: str, models: Sequence[Shown], content: Mapping[str, Any], report: str | None
) -> list[str]:
    """Paragraphs for the run of all models: title, table, link to the report if there is one, findings."""
    title, found = task.pages.comparison(content)
    link = [] if report is None else [f"[Full report]({report})"]
    return [f"{title}.", table(task, experiment, models), *link, *found]


def table(task: TaskSpec, experiment: str, models: Sequence[Shown]) -> str:
    """The models in markdown, best first."""
    rows = [["model", *task.pages.table_header]]
    left = list(models)
    while left:
        left.remove(model := best(task, left))
        link = views.run_link(experiment, model.run_id)
        rows.append([f"[{model.evaluated.model}]({link})", *task.pages.table_row(model.evaluated)])
    # MLflow's pages show tables without lines and without space between their columns.
    header, *lines = (f"| {f'{_SPACE} | '.join(row)} |" for row in rows)
    return "\n".join([header, f"|{'---|' * len(rows[0])}", *lines])
