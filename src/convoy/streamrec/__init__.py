"""What a catalogue means: pure functions from texts to embeddings."""
