"""Embed the catalogue's items with one trained model, under the contract."""

import sys
from pathlib import Path

from convoy.core import artifact, params
from convoy.core.stage import run
from convoy.embeddings.write_io import write
from convoy.streamrec.catalogue.source_io import Items
from convoy.streamrec.classification.embedding import Embedder, EmbedParams, summary, warning

DATA = Path("data/streamrec")


def main(model: str) -> None:
    """Write data/streamrec/embeddings/MODEL: Parquet parts, .npy files for memory mapping, the manifest."""
    section = params.load("streamrec.embed", EmbedParams)
    embedder = Embedder(artifact.read(DATA / "models" / model), section)
    manifest = write(
        DATA / "embeddings" / model,
        Items(DATA / "catalogue.parquet", {}),
        embedder,
        embedder.dimension,
        embedder.facts,
    )
    print(summary(manifest))
    if message := warning(manifest):
        print(f"convoy: {message}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
