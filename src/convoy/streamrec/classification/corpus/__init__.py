"""The corpus: token ids of the cleaned catalogue, split by the hash of the text."""
