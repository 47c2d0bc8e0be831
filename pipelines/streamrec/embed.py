"""Embed the catalogue's items with one trained model, under the contract."""

from pathlib import Path

from convoy.core import artifact as models
from convoy.core import params
from convoy.core.stage import run
from convoy.embeddings import io as embeddings
from convoy.streamrec.classification.embedding import Embedder, EmbedParams, summary

DATA = Path("data/streamrec")


def main(model: str) -> None:
    """Write data/streamrec/embeddings/MODEL: Parquet parts, the .npy sidecar, the manifest."""
    section = params.load("streamrec.embed", EmbedParams)
    embedder = Embedder(models.read(DATA / "models" / model), section)
    manifest = embeddings.write(
        DATA / "embeddings" / model,
        DATA / "catalogue.parquet",
        {},
        embedder,
        embedder.dimension,
        embedder.facts,
    )
    print(summary(manifest))


if __name__ == "__main__":
    run(main)
