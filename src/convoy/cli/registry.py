"""`convoy publish`, `promote`, `rollback` and `lineage`: runs and versions of models in MLflow."""

from typing import Annotated

import typer

from convoy.cli.options import MODEL, in_repository
from convoy.core.printable import one_line
from convoy.core.stage import guarded

PUBLISH_EXAMPLE = """\b
Example:
  convoy publish
  MLFLOW_TRACKING_URI=http://mlflow.example.org:5000 convoy publish
"""
PROMOTE_EXAMPLE = """\b
Example:
  convoy promote
  convoy promote bow
  convoy promote --model climate-downscaling

\b
Exit code:
  0  promoted, or the champion already
  1  refused, with the reason
  2  the versions cannot be compared
"""
ROLLBACK_EXAMPLE = """\b
Example:
  convoy rollback --reason "odd categories for sports titles"
"""
LINEAGE_EXAMPLE = """\b
Example:
  convoy lineage data/streamrec/embeddings/textcnn
  convoy lineage models:/streamrec-text@champion

\b
Exit code:
  0  everything that can be checked is as recorded
  2  something differs, or there is no dvc.lock
"""
_ModelOption = Annotated[str, typer.Option("--model", metavar="NAME", help="The registered model.")]


def publish() -> None:
    """Record the runs and models of dvc.lock in MLflow.

    What MLflow has already is left as it is, so the command can be repeated.
    """
    raise typer.Exit(guarded(_publish))


def _publish() -> None:
    from convoy.projects import TASKS
    from convoy.tracking.publish import publish

    in_repository()
    publish(TASKS)


def promote(
    which: Annotated[
        str,
        typer.Argument(
            metavar="VERSION",
            help="A version number, an alias, or a model's name such as bow (its newest version).",
        ),
    ] = "challenger",
    model: _ModelOption = "streamrec-text",
) -> None:
    """Make a version of a model the champion.

    It is promoted if it passes every acceptance check, and a paired comparison with the champion on the same
    test data excludes a loss larger than the margin in params.yaml.
    """
    raise typer.Exit(guarded(lambda: _promote(which, model)))


def _promote(which: str, model: str) -> None:
    from convoy.projects import task_of
    from convoy.tracking.registry.promotion import promote

    in_repository()
    print(one_line(promote(task_of(model), which)))


def rollback(
    model: _ModelOption = "streamrec-text",
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the record.")] = None,
) -> None:
    """Make the previous champion the champion again.

    A second rollback goes one champion further back. To go forward again, use `convoy promote`.
    """
    raise typer.Exit(guarded(lambda: _rollback(model, reason)))


def _rollback(model: str, reason: str | None) -> None:
    from convoy.projects import task_of
    from convoy.tracking.registry.decisions import rollback

    in_repository()
    print(one_line(rollback(task_of(model), reason)))


def lineage(
    what: Annotated[
        str,
        typer.Argument(
            metavar=MODEL,
            help="Embeddings, a model folder or any other output of dvc.lock; or models:/… or runs:/….",
        ),
    ],
) -> None:
    """Show what an output or a model was made from.

    The tree leads down to the data and its source. Every checksum on the way is compared with the recorded
    one.
    """
    raise typer.Exit(guarded(lambda: _lineage(what)))


def _lineage(what: str) -> None:
    from convoy.projects import TASKS
    from convoy.tracking.lineage.chain import lineage

    lineage(what, TASKS, lambda text: print(one_line(text), flush=True))
