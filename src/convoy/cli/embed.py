"""`convoy embed`: a catalogue file in, an embeddings folder out.

As in all modules of commands, libraries are imported when the command runs: `convoy --help` loads none.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from convoy.cli.options import MODEL, in_place_of_params, pairs, stored_model
from convoy.cli.outputs import naming, without_new_parents
from convoy.cli.progress import progress
from convoy.core.errors import ConvoyError, Param
from convoy.core.printable import one_line
from convoy.core.stage import guarded

# \b keeps the lines of what follows as they are.
EXAMPLE = """\b
Example:
  convoy embed netflix_titles.csv vectors \\
    --model data/streamrec/models/textcnn \\
    --columns item_id=show_id,synopsis=description
"""


def embed(
    catalogue: Annotated[
        Path,
        typer.Argument(
            metavar="CATALOGUE",
            help="The items: a .csv, .jsonl or .parquet file with the columns title, synopsis and, if "
            "there are ids, item_id.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The folder to write: one row per item as Parquet, and the vectors as .npy files.",
        ),
    ],
    model: Annotated[
        str, typer.Option(metavar=MODEL, help="A model folder, or models:/streamrec-text@champion.")
    ],
    columns: Annotated[
        str,
        typer.Option(
            metavar="OURS=THEIRS,…",
            help="Columns with other names in the file: item_id=show_id,… for show_id as item_id.",
        ),
    ] = "",
    normalise: Annotated[
        Literal["none", "l2"], typer.Option(help="l2 scales every vector to length 1.")
    ] = "none",
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD",
            help="Embeddings by the same model: their unchanged items are taken over, and new and changed "
            "texts alone are embedded. The result is that of a full export. OUT itself may be OLD.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the embeddings in OUT if there are any.")
    ] = False,
) -> None:
    """Write an embedding for every item of a catalogue.

    The file may be larger than memory: it is read in batches.
    """
    raise typer.Exit(guarded(lambda: _embed(catalogue, out, model, columns, normalise, since, force)))


def _embed(
    catalogue: Path, out: Path, model: str, columns: str, normalise: Literal["none", "l2"],
    since: Path | None, force: bool,
) -> None:  # fmt: skip
    from convoy.embeddings.versions_io import refuse_inside
    from convoy.embeddings.write_io import write, write_since
    from convoy.streamrec.catalogue.io import Items
    from convoy.streamrec.classification.embedding import Embedder, EmbedParams, summary, warning

    names = pairs("--columns", columns, "item_id=show_id")
    inputs = (catalogue, Path(model), *((since,) if since is not None else ()))
    changes = ""
    with naming(out, "folder", *inputs), in_place_of_params(_option):
        out = Path(os.path.realpath(out))
        read_only = (Path(os.path.realpath(path)) for path in inputs[1:])
        refuse_inside(out, "OUT", [path for path in read_only if path != out], itself=False)
        check = partial(_check_out, force=force)
        check(out)
        embedder = Embedder(stored_model(model)[0], EmbedParams(normalise=normalise))
        with without_new_parents(out), progress("items") as report:
            items = Items(catalogue, names)
            how = embedder.dimension, embedder.facts, report, check
            if since is None:
                manifest = write(out, items, embedder, *how)
            else:
                manifest, found = write_since(since, out, items, embedder, embedder.digests, *how)
                changes = (
                    f"since {since}: {found.new:,} new, {found.changed:,} changed, {found.kept:,} kept, "
                    f"{found.removed:,} removed"
                )
    print(one_line(summary(manifest)))
    if changes:
        print(one_line(changes))
    if advice := warning(manifest):
        print(f"convoy: {one_line(advice)}", file=sys.stderr)


def _option(param: Param) -> str:
    from convoy.streamrec.catalogue.io import COLUMNS_PARAM

    return "--columns" if param == COLUMNS_PARAM else str(param)


def _check_out(out: Path, force: bool) -> None:
    from convoy.embeddings.io import is_embeddings, refuse_foreign

    refuse_foreign(out)
    if is_embeddings(out) and not force:
        raise ConvoyError(
            "is there already", path=out, hint="name another folder, or replace it with --force"
        )
