"""Options of commands: parsing, models by path or URI, and their names in errors."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from convoy.core.errors import ConvoyError, Param

if TYPE_CHECKING:
    from convoy.core.artifact import StoredModel

MODEL = "PATH_OR_URI"
CatalogueColumns: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="OURS=THEIRS,…", help="Columns with other names in the catalogue: item_id=show_id,…"
    ),
]
_URI = re.compile(r"(models|runs):|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)


@contextmanager
def in_place_of_params(option: Callable[[Param], str]) -> Iterator[None]:
    """Have errors name what `option` returns for the param that they are about; nothing where it is empty."""
    try:
        yield
    except ConvoyError as error:
        if isinstance(error.key, Param):
            error.key = option(error.key)
        raise


def in_repository() -> None:
    """Change to the root of the repository that the current folder lies in: its dvc.lock and params.yaml."""
    from convoy.training.event_log import repository

    os.chdir(repository())


def stored_model(named: str) -> "tuple[StoredModel, str]":
    """The model that a folder's path or a URI of MLflow's names, and the sha256 of its manifest.

    Raises ConvoyError for a model that is not there or was changed, a store that cannot be reached, and any
    other URI. Nothing is read through a pickle, nor through MLflow's own loaders.
    """
    from convoy.core import artifact, files

    if _URI.match(named) is None:
        return artifact.read(Path(named)), files.sha256(Path(named) / files.MANIFEST)
    if not named.startswith(("models:", "runs:")):
        raise ConvoyError(
            key="--model",
            expected="a model folder, models:/NAME/VERSION, models:/NAME@ALIAS, models:/ID or runs:/RUN/PATH",
            found=f"'{named}'",
        )
    from convoy.tracking import store
    from convoy.tracking.probe import OutOfReachError

    try:
        client = store.existing(store.LIVE_TIMEOUT)  # which makes MLflow's settings, before it is imported
        from convoy.projects import TASKS
        from convoy.tracking.registry.loading import stored

        with store.reachable():
            return stored(client, named, [task.serving.loader for task in TASKS])
    except OutOfReachError as error:
        raise ConvoyError(error.message, hint="name a model folder, or try again") from None


def pairs(option: str, text: str, example: str) -> dict[str, str]:
    """Parse `ours=theirs,…`; ConvoyError for anything else."""
    found = [pair.partition("=") for pair in text.split(",") if pair]
    for ours, equals, theirs in found:
        if not (ours and equals and theirs):
            raise ConvoyError(f"'{ours}{equals}{theirs}' is not ours=theirs, such as {example}", key=option)
    return {ours.strip(): theirs.strip() for ours, _, theirs in found}
