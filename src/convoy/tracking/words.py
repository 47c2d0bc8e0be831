"""What MLflow's pages say of a task as a whole: which model is best, how the others are, where to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convoy.tracking import views
from convoy.tracking.task import Task


@dataclass(frozen=True)
class Shown:
    """A model whose run is in the store."""

    kind: str
    run_id: str
    data_name: str
    metrics: Mapping[str, Any]


def best(task: Task, models: Sequence[Shown]) -> Shown:
    """The model with the best figure of the task."""
    return task.best(models, lambda model: task.figures(model.kind, model.metrics))


def overview(task: Task, experiment: str, models: Sequence[Shown], parent: str) -> str:
    """The experiment's description; pages show its first paragraph at once, lists its first words."""
    winner = best(task, models)
    result = task.in_short(winner.kind, winner.metrics)
    return (
        f"{task.about} Best on {winner.data_name}: "
        f"[{result}]({views.run_link(experiment, winner.run_id)}).\n\n"
        f"Open: [table, best first]({views.runs_link(experiment)}) · "
        f"[charts and pictures]({views.runs_link(experiment, charts=True)}) · "
        f"[comparison in words]({views.run_link(experiment, parent)}) · "
        f"[versions of the model]({views.model_link(task.registered)})\n\n"
        f"{task.description}"
    )


def in_lists(task: Task, models: Sequence[Shown]) -> dict[str, str]:
    """The experiment's tags that lists of experiments show."""
    winner = best(task, models)
    return {"best": f"{winner.kind}, {task.row(winner.kind, winner.metrics)[0]}"}


def comparison(task: Task, experiment: str, models: Sequence[Shown], report: str | None) -> list[str]:
    """Paragraphs for the run of the whole: title, table, link to the report if there is one, findings."""
    title, found = task.comparison_words()
    link = [] if report is None else [f"[The whole report]({report})"]
    return [f"{title}.", table(task, experiment, models), *link, *found]


def table(task: Task, experiment: str, models: Sequence[Shown]) -> str:
    """The models in markdown, best first."""
    rows = [["model", *task.heads], ["---"] * (1 + len(task.heads))]
    left = list(models)
    while left:
        left.remove(model := best(task, left))
        link = views.run_link(experiment, model.run_id)
        rows.append([f"[{model.kind}]({link})", *task.row(model.kind, model.metrics)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
