"""`convoy embed`: a catalogue file in, an embeddings folder out.

As in all modules of commands, libraries are imported when the command runs: `convoy --help` loads none.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from convoy.cli.options import (
    MODEL,
    Delimiter,
    Encoding,
    Quotes,
    catalogue_items,
    catalogue_option,
    in_place_of_params,
    stored_model,
)
from convoy.cli.outputs import naming, without_new_parents
from convoy.cli.progress import progress
from convoy.core.errors import ConvoyError
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
            help="The items: a .csv, .tsv, .json, .jsonl or .parquet file (text may be compressed) with the "
            "columns title and, if there are any, item_id and synopsis.",
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
    delimiter: Delimiter = "auto",
    encoding: Encoding = "auto",
    quotes: Quotes = "auto",
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
    named = catalogue, columns, delimiter, encoding, quotes
    raise typer.Exit(guarded(lambda: _embed(named, out, model, normalise, since, force)))


def _embed(
    named: tuple[Path, str, str, str, str], out: Path, model: str, normalise: Literal["none", "l2"],
    since: Path | None, force: bool,
) -> None:  # fmt: skip
    from convoy.acceptance.versions_io import refuse_inside
    from convoy.embeddings.write_io import write, write_since
    from convoy.streamrec.catalogue.source_io import notes
    from convoy.streamrec.classification.embedding import Embedder, EmbedParams, summary, warning

    items = catalogue_items(*named)
    inputs = (items.path, Path(model), *((since,) if since is not None else ()))
    changes = ""
    with naming(out, "folder", *inputs), in_place_of_params(catalogue_option):
        out = Path(os.path.realpath(out))
        read_only = (Path(os.path.realpath(path)) for path in inputs[1:])
        refuse_inside(out, "OUT", [path for path in read_only if path != out], itself=False)
        check = partial(_check_out, force=force)
        check(out)
        embedder = Embedder(stored_model(model)[0], EmbedParams(normalise=normalise))
        with without_new_parents(out), progress("items") as report:
            how = embedder.dimension, embedder.facts, report, check
            if since is None:
                manifest = write(out, items, embedder, *how)
            else:
                manifest, found = write_since(since, out, items, embedder, embedder.digests, *how)
                changes = (
                    f"since {since}: {found.new:,} new, {found.changed:,} changed, {found.kept:,} kept, "
                    f"{found.removed:,} removed"
                )
        advice = [*notes(items.path, items.columns, items.dialect), *filter(None, [warning(manifest)])]
    print(one_line(summary(manifest)))
    if changes:
        print(one_line(changes))
    for line in advice:
        print(f"convoy: {one_line(line)}", file=sys.stderr)


def _check_out(out: Path, force: bool) -> None:
    from convoy.embeddings.io import is_embeddings, refuse_foreign

    refuse_foreign(out)
    if is_embeddings(out) and not force:
        raise ConvoyError(
            "is there already", path=out, hint="name another folder, or replace it with --force"
        )
