"""The tasks of both projects, in the order of MLflow's pages."""

from convoy.climate.downscaling.task import TASK as DOWNSCALING
from convoy.climate.events.task import TASK as EVENTS
from convoy.climate.series.task import TASK as SERIES
from convoy.core.errors import ConvoyError
from convoy.streamrec.classification.task import TASK as CLASSIFICATION
from convoy.streamrec.recommender.task import TASK as RECOMMENDER
from convoy.tasks import RegisteredTask, TaskSpec

TASKS: tuple[TaskSpec, ...] = (CLASSIFICATION, RECOMMENDER, DOWNSCALING, SERIES, EVENTS)
REGISTERED = tuple(task for task in TASKS if isinstance(task, RegisteredTask))
"""Those with registered models."""


def task_of(registered: str) -> RegisteredTask:
    """The task of a registered model; ConvoyError where no task has it."""
    for task in REGISTERED:
        if task.registered == registered:
            return task
    names = " or ".join(task.registered for task in REGISTERED)
    raise ConvoyError("none of our registered models", path=registered, expected=names)
