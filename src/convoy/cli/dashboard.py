"""`convoy dashboard`: MLflow's web pages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from convoy.cli.options import in_repository
from convoy.core.stage import guarded

if TYPE_CHECKING:
    from convoy.tasks import TaskSpec

EXAMPLE = """\b
Example:
  convoy dashboard --port 8000
"""


def dashboard(
    port: Annotated[int, typer.Option(metavar="PORT", help="The port on 127.0.0.1.")] = 5000,
) -> None:
    """Serve MLflow's web pages for this repository.

    Press Ctrl-C to stop. Where MLFLOW_TRACKING_URI names a server, its address is printed instead.
    """
    raise typer.Exit(guarded(lambda: _dashboard(port)))


def _dashboard(port: int) -> None:
    from convoy.tracking.dashboard.server import serve

    in_repository()
    serve(port, _tasks)


def _tasks() -> "Sequence[TaskSpec]":
    from convoy.projects import TASKS

    return TASKS
