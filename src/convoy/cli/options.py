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
    from convoy.streamrec.catalogue.source_io import Items

MODEL = "PATH_OR_URI"
CatalogueColumns: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="OURS=THEIRS,…", help="Columns with other names in the catalogue: item_id=show_id,…"
    ),
]
Delimiter: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="CHARACTER", help="Of a CSV catalogue: one character, or tab; auto finds , ; | and tab."
    ),
]
Encoding: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Of a text catalogue, such as windows-1252; auto: UTF-8, or by its mark."
    ),
]
Quotes: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="HOW", help="Of a CSV catalogue: quotes in a field are doubled, backslash or none (are text)."
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


def catalogue_option(param: Param) -> str:
    """The option in place of a param of catalogues; the param for any other."""
    section = "streamrec.catalogue"
    if param.section.startswith(section):
        return "--" + ".".join((param.section, *param.keys)).removeprefix(f"{section}.")
    return str(param)


def catalogue_items(path: Path, columns: str, delimiter: str, encoding: str, quotes: str) -> "Items":
    """The items of a catalogue that a command names; ConvoyError for an option of a wrong value."""
    from convoy.core.params import parse
    from convoy.streamrec.catalogue.params import CatalogueParams
    from convoy.streamrec.catalogue.source_io import Items

    dialect = {"delimiter": delimiter, "encoding": encoding, "quotes": quotes}
    try:
        params = parse(dialect, CatalogueParams, "")
    except ConvoyError as error:
        error.key = "--" + str(error.key).removeprefix("key ").strip("'")
        raise
    return Items(path, pairs("--columns", columns, "item_id=show_id"), params.dialect())


def in_repository() -> None:
    """Change to the root of the repository that the current folder lies in: its dvc.lock and params.yaml."""
    from convoy.training.event_log import repository

    os.chdir(repository())


def stored_model(named: str) -> "tuple[StoredModel, str]":
    """The model that a folder's path or a URI of MLflow's names, and the sha256 of its manifest.

    A folder holds files and folders. A link to a file counts as the file, since DVC makes such links under
    `cache.type symlink`; pipes, sockets and links that lead elsewhere are refused.

    Raises ConvoyError for a model that is not there or was changed, a store that cannot be reached, and any
    other URI. Nothing is read through a pickle, nor through MLflow's own loaders.
    """
    from convoy.core import artifact, files

    if _URI.match(named) is None:
        _refuse_odd(Path(named))
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
        from convoy.projects import REGISTERED
        from convoy.tracking.registry.loading import stored

        with store.reachable():
            return stored(client, named, [task.serving.loader for task in REGISTERED])
    except OutOfReachError as error:
        raise ConvoyError(error.message, hint="name a model folder, or try again") from None


def _refuse_odd(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() and (path.is_symlink() or not path.is_dir()):
            what = "a link that leads to no file" if path.is_symlink() else "neither a file nor a folder"
            raise ConvoyError(what, path=path, hint="remove it")


def pairs(option: str, text: str, example: str) -> dict[str, str]:
    """Parse `ours=theirs,…`; ConvoyError for anything else."""
    found = [pair.partition("=") for pair in text.split(",") if pair]
    for ours, equals, theirs in found:
        if not (ours and equals and theirs):
            raise ConvoyError(f"'{ours}{equals}{theirs}' is not ours=theirs, such as {example}", key=option)
    return {ours.strip(): theirs.strip() for ours, _, theirs in found}
