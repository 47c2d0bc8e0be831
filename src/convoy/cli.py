"""`convoy …`: what people and schedulers call beside `dvc repro`.

Commands import what they need when they run: `convoy --help` must not wait for libraries.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from convoy.errors import ConvoyError
from convoy.stage import guarded

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
Progress = Callable[[str, int, int], None]
_SECONDS_BETWEEN_LINES = 10.0


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
    out: Annotated[Path, typer.Argument(help="The folder to write: Parquet parts, .npy sidecar, manifest.")],
    model: Annotated[Path, typer.Option(help="A model folder, such as data/streamrec/models/textcnn.")],
    columns: Annotated[
        str, typer.Option(help="Our names of columns that are called otherwise in the file: ours=theirs,…")
    ] = "",
    normalise: Annotated[Literal["none", "l2"], typer.Option(help="l2: vectors of length 1.")] = "none",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT where it holds embeddings.")] = False,
) -> None:
    """Embed every item of a catalogue file, whatever its size, in little memory."""
    _finish(lambda: _embed(catalogue, out, model, columns, normalise, force))


def _embed(
    catalogue: Path, out: Path, model: Path, columns: str, normalise: Literal["none", "l2"], force: bool
) -> None:
    from convoy.storage import embeddings, models
    from convoy.streamrec.embedding import Embedder, EmbedParams, summary

    names = _column_names(columns)
    with _naming(out, catalogue, model):
        out = Path(os.path.realpath(out))
        _check_out(out, force)
        embedder = Embedder(models.read(model), EmbedParams(normalise=normalise))
        with _without_new_parents(out), _progress() as progress:
            manifest = embeddings.write(
                out, catalogue, names, embedder, embedder.dimension, embedder.facts, progress
            )
    print(summary(manifest))


@contextmanager
def _naming(out: Path, *inputs: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line that names the user's path, not our hidden files beside it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        refused = Path(str(error.filename or out))
        for path in inputs:
            if path in (refused, *refused.parents):
                raise ConvoyError(f"{refused}: cannot be read: {error.strerror}") from None
        raise ConvoyError(f"{out}: cannot be written: {error.strerror}; name another folder") from None


@contextmanager
def _without_new_parents(out: Path) -> Iterator[None]:
    """Where nothing comes of `out`, remove the folders that were made to hold it."""
    new = [folder for folder in out.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _column_names(columns: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in columns.split(",") if pair]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise ConvoyError(
                f"--columns: '{ours}{equals}{theirs}' is not ours=theirs, such as item_id=show_id"
            )
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def _check_out(out: Path, force: bool) -> None:
    from convoy.storage.embeddings import is_embeddings

    if not out.exists():
        return
    if not force:
        raise ConvoyError(f"{out}: is there already; name another folder, or replace it with --force")
    if not is_embeddings(out):
        raise ConvoyError(f"{out}: --force replaces embeddings only, and this is something else; remove it")


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
    from convoy.tracking.publish import publish

    publish()


DASHBOARD_EXAMPLE = """\b
Example:
  convoy dashboard --port 8000
"""


@app.command(epilog=DASHBOARD_EXAMPLE)
def dashboard(port: Annotated[int, typer.Option(help="Of 127.0.0.1.")] = 5000) -> None:
    """Serve MLflow's pages over this repository's store until Ctrl-C."""
    _finish(lambda: _dashboard(port))


def _dashboard(port: int) -> None:
    from convoy.tracking.dashboard import serve

    serve(port)


PROMOTE_EXAMPLE = """\b
Example:
  convoy promote bow
  convoy promote

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
    """Make a version champion, where on the same test items it is surely not worse and passes every check."""
    _finish(lambda: _promote(which, model))


def _promote(which: str, model: str) -> None:
    from convoy.tracking.promotion import promote

    print(promote(model, which))


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
    from convoy.tracking.decisions import rollback

    print(rollback(model, reason))


LINEAGE_EXAMPLE = """\b
Example:
  convoy lineage data/streamrec/embeddings/textcnn
  convoy lineage models:/streamrec-text@champion

Exit code 0: all that can be checked is as recorded. 2: something differs, and is named.
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
    from convoy.tracking.lineage import lineage

    lineage(what, lambda line: print(line, flush=True))


def _finish(action: Callable[[], Any]) -> NoReturn:
    raise typer.Exit(guarded(action))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        rate,
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, tuple[Any, float]] = {}

        def report(phase: str, done: int, items: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, rate=""), time.monotonic()
            task, start = tasks[phase]
            bar.update(task, completed=done, total=items or None, rate=_rate(done, start))

        yield report


def _lines() -> Progress:
    started: dict[str, float] = {}
    last = [time.monotonic()]

    def report(phase: str, done: int, items: int) -> None:
        now = time.monotonic()
        start = started.setdefault(phase, now)
        if now - last[0] < _SECONDS_BETWEEN_LINES:
            return
        last[0] = now
        of = f" of {items:,}" if items else ""
        print(f"{phase}: {done:,}{of} items, {_rate(done, start)}", file=sys.stderr, flush=True)

    return report


def _rate(done: int, start: float) -> str:
    return f"{done / max(time.monotonic() - start, 1e-3):,.0f} items/s"


if __name__ == "__main__":
    main()
