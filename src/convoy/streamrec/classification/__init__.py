"""From texts to categories and item embeddings."""
