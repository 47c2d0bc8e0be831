"""Networks of this task: from images to weights and from weights to probabilities."""
