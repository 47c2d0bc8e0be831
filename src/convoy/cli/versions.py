"""`convoy versions`: the accepted versions in a store of embeddings, and back to the previous one."""

from pathlib import Path
from typing import Annotated

import typer

from convoy.cli.outputs import naming
from convoy.cli.tables import show
from convoy.core.printable import one_line
from convoy.core.stage import guarded

EXAMPLE = """\b
Example:
  convoy versions store
  convoy versions store --rollback
"""
_DIGITS = 12


def versions(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="The folder that `convoy accept --into` writes.")
    ],
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the version that was accepted before.")
    ] = False,
) -> None:
    """List the versions of a store of embeddings.

    A second rollback goes one version further back.
    """
    raise typer.Exit(guarded(lambda: _versions(store, rollback)))


def _versions(store: Path, back: bool) -> None:
    # A list is only read, so that an OSError is about reading.
    with naming(store, "folder", *(() if back else (store,))):
        if back:
            _rollback(store)
        else:
            _list(store)


def _list(store: Path) -> None:
    from convoy.acceptance.versions_io import listing

    kept, accepted = listing(store)
    rows = []
    for one in kept:
        facts, rotation = one.facts, one.facts["rotation"] or {}
        state = "accepted" if one.name in accepted[-1:] else "before" if one.name in accepted else ""
        figures = (facts["churn"].get("churn"), rotation.get("cosine"), rotation.get("cosine_unrotated"))
        rows.append(
            (
                one.name,
                state,
                str(facts["model"]),
                str(facts["weights_sha256"])[:_DIGITS],
                f"{facts['items']:,}",
                str(facts["dimension"]),
                facts["onto"] or "",
                *("" if figure is None else f"{figure:.3f}" for figure in figures),
            )
        )
    header = ("version", "state", "model", "weights", "items", "dimension", "replaces", "churn")
    show((*header, "cosine rotated", "unrotated"), rows, right=("items", "dimension", "churn"))


def _rollback(store: Path) -> None:
    from convoy.acceptance.versions_io import exclusive, rollback

    with exclusive(store, make=False):
        former, name = rollback(store)
    print(one_line(f"accepted: {name}, as before {former}"))
