"""Which model is better, in words, numbers and pictures."""
