"""Stage climate-series-embed@MODEL: embed the sites with one trained network, under the contract."""

from pathlib import Path

from convoy.climate.series.data.io import read
from convoy.climate.series.embedding import Embedder, Sites, summary
from convoy.core import artifact
from convoy.core.files import MANIFEST
from convoy.core.stage import run
from convoy.embeddings.write_io import write

DATA = Path("data/climate/series")


def main(model: str) -> None:
    """Write data/climate/series/embeddings/MODEL: Parquet parts, .npy files for mapping, the manifest."""
    held = read(DATA / "site_years")
    embedder = Embedder(artifact.read(DATA / "models" / model), held)
    sites = Sites(DATA / "site_years" / MANIFEST, held)
    print(summary(write(DATA / "embeddings" / model, sites, embedder, embedder.dimension, embedder.facts)))


if __name__ == "__main__":
    run(main)
