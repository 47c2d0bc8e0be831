"""The embeddings folder: item vectors as Parquet, and how they are read."""
