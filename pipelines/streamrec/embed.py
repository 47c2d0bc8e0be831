"""Embed the catalogue's items with one trained model, under the contract."""

from pathlib import Path

from convoy import params
from convoy.stage import run
from convoy.storage import embeddings, models
from convoy.streamrec.embedding import Embedder, EmbedParams, summary

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
