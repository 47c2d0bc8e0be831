"""The embeddings folder: item vectors as Parquet, and how they are read."""

from convoy.embeddings.io import read

__all__ = ["read"]
