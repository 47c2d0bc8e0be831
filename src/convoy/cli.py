"""`convoy …`: what people and schedulers call beside `dvc repro`.

Commands import what they need when they run: `convoy --help` must not wait for libraries.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    out = out.resolve()
    _check_out(out, force)
    embedder = Embedder(models.read(model), EmbedParams(normalise=normalise))
    try:
        with _progress() as progress:
            manifest = embeddings.write(
                out, catalogue, names, embedder, embedder.dimension, embedder.facts, progress
            )
    except OSError as error:
        if error.errno is None:
            raise
        raise ConvoyError(f"{error.filename or out}: {error.strerror}") from None
    print(summary(manifest))


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
