"""Images with events: their files, and the synthetic ones."""
