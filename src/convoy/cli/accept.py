"""`convoy accept`: whether a version of embeddings may be offered to its users."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convoy.cli.options import (
    MODEL,
    CatalogueColumns,
    Delimiter,
    Encoding,
    Quotes,
    catalogue_items,
    catalogue_option,
    in_place_of_params,
    stored_model,
)
from convoy.cli.outputs import naming, without_new_parents
from convoy.cli.tables import show
from convoy.core.errors import ConvoyError
from convoy.core.printable import one_line
from convoy.core.stage import guarded

if TYPE_CHECKING:
    from convoy.acceptance.case import Case, Result

EXAMPLE = """\b
Example:
  convoy accept data/streamrec/embeddings/textcnn \\
    --catalogue data/streamrec/catalogue.parquet --model data/streamrec/models/textcnn
  convoy accept vectors --against accepted_vectors --catalogue titles.csv
  convoy accept vectors --into store
  convoy accept data/climate/series/embeddings/temporal_cnn

\b
Exit code:
  0  accepted
  1  not accepted: a check failed
  2  something that was named cannot be read or written
"""


class NotAcceptedError(ConvoyError):
    """A version of which a check failed; has its own exit code, since the user made no mistake."""

    exit_code = 1


def accept(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The embeddings folder.")],
    accepted: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="PATH",
            help="The accepted version, to compare it with.",
        ),
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The catalogue that was embedded.")
    ] = None,
    columns: CatalogueColumns = "",
    delimiter: Delimiter = "auto",
    encoding: Encoding = "auto",
    quotes: Quotes = "auto",
    model: Annotated[
        str | None,
        typer.Option(
            metavar=MODEL,
            help="The model, to embed 1,000 random items again; needs --catalogue.",
        ),
    ] = None,
    bag_of_words: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Embeddings of the same items by bag-of-words, to compare with."),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Figures of the recommender: data/streamrec/recommender.json."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to write certificate.json and certificate.html; by default in PATH-certificate.",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE",
            help="Compare with the accepted version of this store of versions, add this one where it passes, "
            "and make it the accepted one.",
        ),
    ] = None,
) -> None:
    """Check a version of embeddings before it is offered.

    Prints every check with what it found. A check for which nothing was given to compare with does not apply.
    """
    written = (columns, delimiter, encoding, quotes)
    given = _Given(path, accepted, catalogue, written, model, bag_of_words, metrics)
    raise typer.Exit(guarded(lambda: _accept(given, out, into)))


@dataclass(frozen=True)
class _Given:
    """What the command line names."""

    path: Path
    accepted: Path | None
    catalogue: Path | None
    written: tuple[str, str, str, str]
    """Columns, delimiter, encoding and quotes of the catalogue."""
    model: str | None
    bag_of_words: Path | None
    metrics: Path | None


def _accept(given: _Given, out: Path | None, into: Path | None) -> None:
    from convoy.acceptance import versions_io
    from convoy.acceptance.certificate import certificate, is_accepted
    from convoy.acceptance.checks import judged
    from convoy.acceptance.io import write_certificate
    from convoy.acceptance.page import page

    if into is not None and given.accepted is not None:
        raise ConvoyError("--into compares with the accepted version of that store", key="--against")
    path = Path(os.path.realpath(given.path))
    folder = path.with_name(f"{path.name}-certificate") if out is None else Path(os.path.realpath(out))
    store = None if into is None else Path(os.path.realpath(into))
    with (
        naming(folder if store is None else store, "folder", *_inputs(given)),
        in_place_of_params(catalogue_option),
    ):
        _check_outputs(given, folder, store)
        with nullcontext() if store is None else _held(store):
            now = None if store is None else versions_io.current(store)
            case = _case(given if now is None else replace(given, accepted=now.embeddings))
            results = judged(case)
            found = certificate(case, results)
            html = page(case, results, found)
            write_certificate(folder, found, html)
            kept = ""
            if store is not None and is_accepted(results):
                kept = _into(store, path, case, results, found, html)
    show(
        ("check", "result", "found"), [(result.check.name, result.state, result.words) for result in results]
    )
    print(f"\n{one_line(found['words'][0])}\ncertificate: {one_line(folder / 'certificate.html')}")
    if kept:
        print(one_line(kept))
    if (registered := _registered(str(case.version.manifest.get("weights_sha256")))) is not None:
        print(one_line(registered))
    if not is_accepted(results):
        names = ", ".join(result.check.name for result in results if result.state == "failed")
        raise NotAcceptedError(f"not accepted: {names}", path=given.path)


def _into(
    store: Path, path: Path, case: "Case", results: "Sequence[Result]", found: dict[str, Any], html: str
) -> str:
    """Keep an accepted version in the store; one line about it."""
    from convoy.acceptance import versions_io
    from convoy.embeddings.alignment import align

    other = None if case.accepted is None else case.accepted.items
    alignment = None
    if other is not None:
        alignment = align(case.items.ids, case.items.vectors, other.ids, other.vectors)
    churn = next((result.figures for result in results if result.check.name == "overlap"), {})
    offer = versions_io.Offer(path, case.version.sha256, found, html, alignment, churn)
    name, moved = versions_io.accept(store, offer)
    return f"{store}: {name} is the accepted version{'' if moved else ' already'}"


def _registered(weights: str) -> str | None:
    """The registered version with the weights that made the embeddings, in words; None without a store.

    A store that cannot be read does not change whether embeddings are accepted.
    """
    from convoy.tracking import store

    try:
        if not store.exists():
            return None
        from convoy.projects import REGISTERED
        from convoy.tracking.registry.listing import of_weights, with_aliases

        client = store.existing(store.LIVE_TIMEOUT)
        with store.reachable():
            found = of_weights(client, [task.registered for task in REGISTERED], weights)
            named = ", ".join(with_aliases(client, version) for version in found)
    except ConvoyError as error:
        return f"model: its version is not known: {error}"
    return f"model: {named or f'no registered version has its weights, sha256 {weights[:12]}'}"


@contextmanager
def _held(store: Path) -> Iterator[None]:
    """Hold the lock of a store; one that was made for this command is removed where it fails."""
    from convoy.acceptance.versions_io import POINTER, VERSIONS, exclusive

    with without_new_parents(store / VERSIONS / POINTER), exclusive(store):
        yield


def _check_outputs(given: _Given, folder: Path, store: Path | None) -> None:
    """Raise ConvoyError where a certificate or a store would be written into a folder that is only read."""
    from convoy.acceptance.versions_io import refuse_inside

    named = (given.path, given.accepted, given.bag_of_words, given.model)
    read_only = [Path(os.path.realpath(path)) for path in named if path is not None and Path(path).is_dir()]
    if store is None:
        refuse_inside(folder, "--out", read_only)
    else:
        refuse_inside(store, "--into", read_only, itself=False)
        refuse_inside(folder, "--out", [*read_only, store])


def _inputs(given: _Given) -> list[Path]:
    """The paths to read, as they were named and as they are."""
    named = (
        given.path, given.accepted, given.catalogue, given.model, given.bag_of_words, given.metrics
    )  # fmt: skip
    found = [Path(path) for path in named if path is not None]
    return [*found, *(Path(os.path.realpath(path)) for path in found)]


def _case(given: _Given) -> "Case":
    """Everything that was named, read; ConvoyError for what cannot be, except for the version itself."""
    from convoy.acceptance.io import examine
    from convoy.streamrec.classification.acceptance_io import gathered

    if given.catalogue is None:
        for option, value in (("--model", given.model), ("--columns", given.written[0])):
            if value:
                raise ConvoyError("needs --catalogue, which holds the texts", key=option)
    return gathered(
        examine(given.path),
        None if given.catalogue is None else catalogue_items(given.catalogue, *given.written),
        None if given.model is None else stored_model(given.model)[0],
        given.accepted,
        given.bag_of_words,
        given.metrics,
    )
