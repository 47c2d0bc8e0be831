"""`convoy neighbours`: the items nearest to an item or to a new text, as a table."""

from collections.abc import Mapping
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
from convoy.cli.outputs import naming
from convoy.cli.tables import show
from convoy.core.errors import ConvoyError
from convoy.core.printable import cut
from convoy.core.stage import guarded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

EXAMPLE = """\b
Example:
  convoy neighbours data/streamrec/embeddings/textcnn item-0000007 \\
    --catalogue data/streamrec/catalogue.parquet
  convoy neighbours vectors --text "A heist in Rome" --model data/streamrec/models/textcnn
"""
_ID = 60
_NEAR = 3  # known ids that are named for an unknown one
_PADDED = 64  # characters up to which leading zeros are tried
_AROUND = 200  # known ids in sorted order that are compared with it


def neighbours(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The embeddings folder.")],
    item_id: Annotated[
        str | None, typer.Argument(metavar="ITEM_ID", help="The item; leave it out with --text.")
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="K", min=1, max=10_000, help="How many items.")] = 10,
    catalogue: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The catalogue, for titles and categories.")
    ] = None,
    columns: CatalogueColumns = "",
    delimiter: Delimiter = "auto",
    encoding: Encoding = "auto",
    quotes: Quotes = "auto",
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="A new text in place of an item.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar=MODEL, help="The model of the embeddings, for --text.")
    ] = None,
) -> None:
    """Print the items nearest to an item or to a new text.

    By cosine similarity, compared with every vector.
    """
    named = None if catalogue is None else (catalogue, columns, delimiter, encoding, quotes)
    raise typer.Exit(guarded(lambda: _neighbours(path, item_id, k, named, text, model)))


def _neighbours(
    path: Path, item_id: str | None, k: int, catalogue: tuple[Path, str, str, str, str] | None,
    text: str | None, model: str | None,
) -> None:  # fmt: skip
    import numpy as np

    from convoy.acceptance.io import are_ids
    from convoy.embeddings.io import read, read_manifest
    from convoy.embeddings.similarity import nearest

    if (item_id is None) == (text is None):
        raise ConvoyError("name either an ITEM_ID or a --text")
    if (text is None) != (model is None):
        raise ConvoyError("--text and --model need each other")
    with naming(path, "folder", path):
        ids, vectors = read(path, mmap=True)
    if not are_ids(ids):
        raise ConvoyError("its ids are no strings", path=path, hint="make the folder again")
    if text is None:
        own = np.array([_row(path, ids, str(item_id))])
        query = np.array(vectors[own])
        if not np.isfinite(query).all():
            raise ConvoyError(
                f"the vector of '{cut(str(item_id), _ID)}' holds NaN or infinity",
                path=path, hint="make the folder again",
            )  # fmt: skip
        if not query.any():
            raise ConvoyError(
                f"'{cut(str(item_id), _ID)}' has no vector: its status is not ok",
                path=path, hint="name another item",
            )  # fmt: skip
        found = nearest(vectors, query, k, own)
    else:
        found = nearest(vectors, _embedded(str(text), str(model), read_manifest(path)["weights_sha256"]), k)
    others = ids[found.rows[0]].tolist()
    known = {} if catalogue is None else _described(catalogue, [*others, item_id])
    if item_id is not None and item_id in known:
        show(("item", *known[item_id]), [(item_id, *known[item_id].values())])
        print()
    header = list(next(iter(known.values()), {}))
    rows = [
        (str(place), other, *(known.get(other, {}).get(name, "") for name in header), f"{cosine:.4f}")
        for place, (other, cosine) in enumerate(zip(others, found.cosines[0].tolist(), strict=True), start=1)
    ]
    show(("", "item", *header, "similarity"), rows, right=("", "similarity"))


def _row(path: Path, ids: "npt.NDArray[np.str_]", item_id: str) -> int:
    """The row of an id among the sorted ones; ConvoyError with the nearest known ids for an unknown one."""
    import difflib

    longest = ids.dtype.itemsize // 4
    row = _place(ids, item_id)
    if row < len(ids) and ids[row] == item_id:
        return row
    around = ids[max(0, row - _AROUND) : row + _AROUND].tolist()
    # An id that lost its leading zeros stands elsewhere.
    padded = [item_id.zfill(width) for width in range(len(item_id) + 1, min(longest, _PADDED) + 1)]
    near = [one for one in padded if (at := _place(ids, one)) < len(ids) and ids[at] == one]
    near += difflib.get_close_matches(cut(item_id, longest), around, _NEAR, 0.0)
    near = list(dict.fromkeys(near))[:_NEAR]
    raise ConvoyError(
        f"no item '{cut(item_id, _ID)}'",
        path=path, hint=f"the nearest ids are {', '.join(cut(one, _ID) for one in near)}",
    )  # fmt: skip


def _place(ids: "npt.NDArray[np.str_]", item_id: str) -> int:
    """Where an id stands, or would stand, among the sorted ones."""
    import numpy as np

    # Of the type of the ids, or all of them would be copied to the width of a longer one.
    return int(np.searchsorted(ids, np.array(item_id, ids.dtype)))


def _embedded(text: str, model: str, weights_sha256: Any) -> "npt.NDArray[np.float32]":
    """The vector of a new text, (1, D)."""
    import pyarrow as pa

    from convoy.embeddings.io import OK, STATUSES
    from convoy.streamrec.classification.embedding import Embedder, EmbedParams

    with naming(Path(model), "model", Path(model)):
        stored = stored_model(model)[0]
    embedder = Embedder(stored, EmbedParams())
    if embedder.facts["weights_sha256"] != weights_sha256:
        raise ConvoyError(
            "the embeddings are by other weights than the model has",
            key="--model", hint="name the model that made them",
        )  # fmt: skip
    item = {"item_id": [""], "title": [""], "synopsis": [text]}
    found = embedder(
        pa.RecordBatch.from_pydict({name: pa.array(value, pa.string()) for name, value in item.items()})
    )
    if found.status[0] != OK:
        raise ConvoyError(
            f"no vector: {STATUSES[found.status[0]]}", key="--text",
            hint="use words that the model has seen",
        )  # fmt: skip
    return found.vectors


def _described(
    catalogue: tuple[Path, str, str, str, str], ids: list[str | None]
) -> Mapping[str, Mapping[str, str]]:
    """Title and, where there is one, category of these ids, as far as the catalogue has them."""
    from convoy.streamrec.classification.listing_io import described

    with in_place_of_params(catalogue_option):
        return described(catalogue_items(*catalogue), [one for one in ids if one is not None])
