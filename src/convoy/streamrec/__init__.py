"""StreamRec: from a catalogue of texts to categories and item embeddings."""
