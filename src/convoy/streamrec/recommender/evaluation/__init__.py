"""Metrics of clicks and of retrieval."""
