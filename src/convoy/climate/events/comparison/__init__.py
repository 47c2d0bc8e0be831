"""Comparison of the models in words and pictures."""
