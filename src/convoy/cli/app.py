"""`convoy …`: what people and schedulers call beside `dvc repro`.

Commands import what they need when they run: `convoy --help` must not wait for libraries.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from convoy.cli.commands import naming, pairs, progress, stored_model, without_new_parents
from convoy.core import threads
from convoy.core.errors import ConvoyError
from convoy.core.stage import guarded

if TYPE_CHECKING:
    from convoy.climate.data.netcdf import Reader

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


def main() -> None:
    """Run the command line."""
    app(prog_name="convoy")


@app.callback(invoke_without_command=True)
def _convoy(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Convolutional models from raw data to their consumers."""
    if show_version:
        print(f"convoy {version('convoy')}")
        raise typer.Exit


MODEL = "PATH_OR_URI"
# \b keeps the lines of what follows as they are.
EMBED_EXAMPLE = """\b
Example:
  convoy embed netflix_titles.csv vectors \\
    --model data/streamrec/models/textcnn \\
    --columns item_id=show_id,synopsis=description
"""


@app.command(epilog=EMBED_EXAMPLE)
def embed(
    catalogue: Annotated[Path, typer.Argument(help="A .csv, .jsonl or .parquet file of items.")],
    out: Annotated[Path, typer.Argument(help="The folder to write: Parquet, .npy for mmap, manifest.")],
    model: Annotated[
        str, typer.Option(metavar=MODEL, help="A model folder, or models:/streamrec-text@champion.")
    ],
    columns: Annotated[
        str, typer.Option(help="Our names of columns that are called otherwise in the file: ours=theirs,…")
    ] = "",
    normalise: Annotated[Literal["none", "l2"], typer.Option(help="l2: vectors of length 1.")] = "none",
    force: Annotated[bool, typer.Option("--force", help="Replace embeddings in OUT.")] = False,
) -> None:
    """Embed every item of a catalogue file, whatever its size, in little memory."""
    _finish(lambda: _embed(catalogue, out, model, columns, normalise, force))


def _embed(
    catalogue: Path, out: Path, model: str, columns: str, normalise: Literal["none", "l2"], force: bool
) -> None:
    from convoy.embeddings.write_io import write
    from convoy.streamrec.catalogue.io import Items
    from convoy.streamrec.classification.embedding import Embedder, EmbedParams, summary, warning

    names = pairs("--columns", columns, "item_id=show_id")
    with naming(out, "folder", catalogue, Path(model)):
        out = Path(os.path.realpath(out))
        _check_out(out, force)
        embedder = Embedder(stored_model(model)[0], EmbedParams(normalise=normalise))
        with without_new_parents(out), progress("items") as report:
            items = Items(catalogue, names)
            manifest = write(out, items, embedder, embedder.dimension, embedder.facts, report)
    print(summary(manifest))
    if told := warning(manifest):
        print(f"convoy: {told}", file=sys.stderr)


def _check_out(out: Path, force: bool) -> None:
    from convoy.embeddings.io import is_embeddings, refuse_foreign

    refuse_foreign(out)
    if is_embeddings(out) and not force:
        raise ConvoyError(f"{out}: is there already; name another folder, or replace it with --force")


DOWNSCALE_EXAMPLE = """\b
Example:
  convoy downscale cesm.nc fine.nc \\
    --model data/climate/models/residual \\
    --variables tasmax=TREFHTMX,psl=PSL,huss=QREFHT
  convoy downscale tasmax_*.nc psl_*.nc huss_*.nc fine.nc \\
    --model models:/climate-downscaling@champion
"""


@app.command(epilog=DOWNSCALE_EXAMPLE)
def downscale(
    # Not required, as far as the parser knows: it gives a single name to OUT, and would miss an IN.
    coarse: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN",
            default_factory=list,
            show_default=False,
            help="Daily coarse fields, one file or more: NetCDF or Zarr; variables and years in any of them.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The NetCDF-4 file to write, by CF-1.11.")],
    model: Annotated[
        str, typer.Option(metavar=MODEL, help="A model folder, or models:/climate-downscaling@champion.")
    ],
    orography: Annotated[
        Path | None, typer.Option(help="Heights on the fine grid to make, if not the training's own.")
    ] = None,
    variables: Annotated[
        str, typer.Option(help="Our names of variables that are called otherwise in the files: ours=theirs,…")
    ] = "",
    units: Annotated[
        str, typer.Option(help="Units where the files state none or wrong ones: tasmax=degC,…")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT where this command made it.")] = False,
) -> None:
    """Bring daily fields of any length to a fine grid, in little memory."""
    _finish(lambda: _downscale(coarse, out, model, orography, variables, units, force))


def _downscale(
    coarse: list[Path], out: Path, model: str, orography: Path | None, variables: str, units: str, force: bool
) -> None:
    if not coarse:
        raise ConvoyError(f"OUT is missing: name the file to write after {out}")
    threads.sleep_soon()
    threads.keep_memory()
    from convoy.climate.data.netcdf import Reader
    from convoy.climate.downscaling.inference import files as application
    from convoy.climate.downscaling.inference import io as downscaled
    from convoy.climate.downscaling.inference import surface as application_surface

    names = pairs("--variables", variables, "tasmax=tx"), pairs("--units", units, "tasmax=degC")
    read = [*coarse, Path(model), *([] if orography is None else [orography])]
    with naming(out, "file", *read), _by_options(), Reader() as reader:
        out = Path(os.path.realpath(out))
        _check_out_file(out, read, force, reader)
        stored, digest = stored_model(model)
        given, files = application.settings(*names), [reader.open(path) for path in coarse]
        inputs = application.inputs_side(files, stored, given)
        heights = None
        if orography is not None:
            heights = application_surface.heights_of(reader.open(orography), given)
        surface = application_surface.surface_for(stored, inputs, heights)
        applied = application.Application(stored, inputs, surface)
        attributes = application.attributes(files, stored, version("convoy"), digest)
        with without_new_parents(out), progress("days") as report:
            parts = applied.parts(report)
            downscaled.write(
                out, applied.grid, applied.days, applied.variables, attributes, parts, applied.remarks
            )
    for line in applied.warnings():
        print(f"convoy: warning: {line}", file=sys.stderr)
    print(applied.summary())


def _check_out_file(out: Path, inputs: list[Path], force: bool, reader: "Reader") -> None:
    from convoy.climate.downscaling.inference.files import is_downscaled

    for path in map(os.path.realpath, inputs):
        if Path(path) in (out, *out.parents):
            raise ConvoyError(f"{out}: would overwrite or change {path}, which is read; name another file")
    if not out.exists():
        return
    if not force:
        raise ConvoyError(f"{out}: is there already; name another file, or replace it with --force")
    with suppress(ConvoyError):  # whatever cannot be read is none of ours
        if is_downscaled(reader.open(out)):
            return
    # The last of several inputs stands here where OUT was forgotten.
    raise ConvoyError(f"{out}: --force replaces what this command has made, and this is something else")


@contextmanager
def _by_options() -> Iterator[None]:
    """Tell of a command's options where a message tells of the params that stages have in their place."""
    from convoy.climate.data.sides import SOURCE
    from convoy.climate.data.variables import SECTION

    key = re.compile(re.escape(SECTION) + r"(?:: \{|\.)(\w+)(?:: \{|\.)(name|units)(?:: ([^{}]*)\}\})?")
    options = {"name": "--variables", "units": "--units"}
    try:
        yield
    except ConvoyError as error:
        told = key.sub(lambda at: f"{options[at[2]]} {at[1]}" + (f"={at[3]}" if at[3] else ""), str(error))
        raise ConvoyError(told.replace(SECTION, "--variables").replace(f"{SOURCE}: ", "")) from None


PUBLISH_EXAMPLE = """\b
Example:
  convoy publish
  MLFLOW_TRACKING_URI=http://mlflow.example.org:5000 convoy publish
"""


@app.command(epilog=PUBLISH_EXAMPLE)
def publish() -> None:
    """Bring MLflow up to date with dvc.lock: what is missing there is made, all else stays."""
    _finish(_publish)


def _publish() -> None:
    from convoy.projects import TASKS
    from convoy.tracking.publish import publish

    publish(TASKS)


DASHBOARD_EXAMPLE = """\b
Example:
  convoy dashboard --port 8000
"""


@app.command(epilog=DASHBOARD_EXAMPLE)
def dashboard(port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 5000) -> None:
    """Serve MLflow's pages over this repository's store until Ctrl-C."""
    _finish(lambda: _dashboard(port))


def _dashboard(port: int) -> None:
    from convoy.projects import TASKS
    from convoy.tracking.dashboard.server import serve

    serve(port, TASKS)


PROMOTE_EXAMPLE = """\b
Example:
  convoy promote bow
  convoy promote
  convoy promote --model climate-downscaling

Exit code 0: promoted, or the champion already. 1: refused, with the reason. 2: could not be judged.
"""
MODEL_OPTION = Annotated[str, typer.Option("--model", help="The registered model.")]


@app.command(epilog=PROMOTE_EXAMPLE)
def promote(
    which: Annotated[
        str, typer.Argument(help="A version number, an alias, or a kind of model such as bow (its newest).")
    ] = "challenger",
    model: MODEL_OPTION = "streamrec-text",
) -> None:
    """Make a version champion, where on the same test data it is surely not worse and passes every check."""
    _finish(lambda: _promote(which, model))


def _promote(which: str, model: str) -> None:
    from convoy.projects import task_of
    from convoy.tracking.registry.promotion import promote

    print(promote(task_of(model), which))


ROLLBACK_EXAMPLE = """\b
Example:
  convoy rollback --reason "odd categories for sports titles"

Each rollback goes one champion further back, never forward again: `convoy promote` does that.
"""


@app.command(epilog=ROLLBACK_EXAMPLE)
def rollback(
    model: MODEL_OPTION = "streamrec-text",
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
) -> None:
    """Make the former champion champion again."""
    _finish(lambda: _rollback(model, reason))


def _rollback(model: str, reason: str | None) -> None:
    from convoy.projects import task_of
    from convoy.tracking.registry.decisions import rollback

    print(rollback(task_of(model), reason))


LINEAGE_EXAMPLE = """\b
Example:
  convoy lineage data/streamrec/embeddings/textcnn
  convoy lineage models:/streamrec-text@champion

Exit code 0: all that can be checked is as recorded. 2: something differs, or dvc.lock
is missing, and is named.
"""


@app.command(epilog=LINEAGE_EXAMPLE)
def lineage(
    what: Annotated[
        str,
        typer.Argument(metavar="PATH_OR_URI", help="Embeddings, a model, any output; models:/… or runs:/…."),
    ],
) -> None:
    """Show what something was made from, down to the data and the source, and check every hash on the way."""
    _finish(lambda: _lineage(what))


def _lineage(what: str) -> None:
    from convoy.projects import TASKS
    from convoy.tracking.lineage.chain import lineage

    lineage(what, TASKS, lambda line: print(line, flush=True))


def _finish(action: Callable[[], Any]) -> NoReturn:
    raise typer.Exit(guarded(action))


if __name__ == "__main__":
    main()
