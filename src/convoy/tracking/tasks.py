"""The tasks that are tracked."""

from convoy.core.errors import ConvoyError
from convoy.tracking.downscaling import Downscaling
from convoy.tracking.task import Task
from convoy.tracking.text import Text

TASKS: tuple[Task, ...] = (Text(), Downscaling())


def of_model(registered: str) -> Task:
    """The task of a registered model; ConvoyError where its versions are none of ours."""
    for task in TASKS:
        if task.registered == registered:
            return task
    names = " or ".join(task.registered for task in TASKS)
    raise ConvoyError(f"{registered}: none of our registered models; expected {names}")
